// The voice of the user's own drum, as timbrekit/synth/drum_model.py plays it: strokes, each of which the next one cuts
// off. What a voice is to the player stands in player.js.

const ONSET_FADE = 0.01; // s at the end of the onset part in which the noise takes over
const NOISE_PIVOT = 1000; // Hz at which the noise's colour changes nothing

class OwnDrum {
  step = null;
  groups = [
    ["Pitch", ["pitch", "glide.amount", "glide.time"]],
    ["Ringing", ["modes.level", "modes.brightness", "modes.decay", "modes.tilt"]],
    ["Noise", ["noise.level", "noise.colour", "noise.decay", "noise.late"]],
    ["Onset", ["onset.level", "onset.colour"]],
  ];

  // drum: as a preset holds it
  constructor(rate, drum) {
    this.rate = rate;
    this.drums = [drum, drum.other].filter(Boolean).map(readDrum);
    this.cut = Math.floor(END_FADE * rate); // samples
    this.glides = glideSamples(rate); // samples in which each update of a stroke takes over
    this.octaves = bandCentres().map((hertz) => Math.log2(hertz / NOISE_PIVOT));
    this.bands = this.drums.length * BANDS;
    const shapes = this.drums.map(({ noise_shape }) => noise_shape);
    this.table = keep(`noise ${rate} ${shapes.join()}`, () => noiseTable(rate, shapes));
    this.recorded = this.drums.map((each) => this.prepareOnsets(each));
    this.rooms = this.recorded.map(({ onsets }) => this.room(onsets[0][0].length));
    this.silence();
  }

  // The drum's numbers; those between two of them. share: of the second one.
  at(share) {
    const [one, other] = this.drums;
    return other ? between(one, other, share) : one;
  }

  // Each hit's onset at the same loudness, in bands, the softest hit first.
  prepareOnsets({ loudness, onset }) {
    const order = [...loudness.keys()].sort((a, b) => loudness[a] - loudness[b]);
    const bands = (hit) => {
      const wave = onset[hit].map((value) => value / fromDecibels(loudness[hit]));
      return threeBands(atRate(wave, this.rate), this.rate);
    };
    return {
      loudness: order.map((hit, i) => loudness[hit] + i * 1e-6), // no two alike
      onsets: keep(`onsets ${this.rate} ${loudness} ${onset}`, () => order.map(bands)),
    };
  }

  // The room that an onset of so many samples leaves to the noise.
  room(length) {
    const fade = Math.min(length, Math.floor(ONSET_FADE * this.rate));
    const window = (i) => 0.5 + 0.5 * Math.cos((Math.PI * Math.max(0, i - (length - fade) + 1)) / fade);
    return Float64Array.from({ length }, (_, i) => Math.sqrt(1 - window(i) ** 2));
  }

  silence() {
    this.strokes = [];
    this.position = 0; // samples played
    this.start = -1; // of the noise: not known before the first sample
  }

  set(values) {
    this.values = values;
  }

  trigger() {
    for (const stroke of this.strokes) stroke.cutAt = Math.min(stroke.cutAt, stroke.age);
    this.strokes.push(new Stroke(this, this.values));
  }

  // New parameters for what rings: it goes on as if it had been struck with them, after a glide.
  update(values) {
    this.set(values);
    const ringing = this.strokes.at(-1);
    if (!ringing || ringing.cutAt < Infinity) return;
    ringing.goes = ringing.age;
    this.strokes.push(new Stroke(this, values, ringing.age, ringing.updates + 1));
  }

  next(noise) {
    if (this.start < 0) this.start = Math.floor(((noise + 1) / 2) * (PERIOD - 1));
    const at = ((this.start + this.position) % PERIOD) * this.bands;
    this.position += 1;
    let sum = 0;
    for (const stroke of this.strokes) sum += stroke.next(at);
    while (this.strokes.length && this.strokes[0].over) this.strokes.shift();
    return f32(sum);
  }
}
