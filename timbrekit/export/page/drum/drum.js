// The voice of the user's own drum, as timbrekit/synth/drum_model.py plays it: damped modes, noise in bands and an
// onset part. Its parts are recurrences in 64 bits: one complex product for each mode and sample.

const ATTACK = 0.001; // s, of the modes
const END_FADE = 0.005; // s, at the end of a stroke and where the next one cuts it off
const ONSET_FADE = 0.01; // s at the end of the onset part in which the noise takes over
const STEP = 64; // samples between two values of a noise band's level
const NOISE_PIVOT = 1000; // Hz at which the noise's colour changes nothing
const ONSET_OCTAVES = [-2, 0, 2]; // of the onset's bands, from the middle one
const HIGHEST = 0.48; // of the sample rate: modes above are silent
const FAINT = 1e-12; // a mode below is over

// A mixture of two strokes that were recorded, at both sides of a strike; of the outermost beyond them.
function nearest(strike, loudness) {
  const above = loudness.findIndex((level) => level > strike);
  if (above <= 0) return [[above < 0 ? loudness.length - 1 : 0, 1]];
  const rising = (strike - loudness[above - 1]) / (loudness[above] - loudness[above - 1]);
  return [
    [above - 1, 1 - rising],
    [above, rising],
  ];
}

// One stroke, from its parameters to its end.
class Stroke {
  cutAt = Infinity; // age at which the next stroke came
  goesAt = Infinity; // age at which an update of its parameters came

  // age: in samples, from which on it sounds; above 0 for an update
  constructor(voice, values, age = 0) {
    const [pitch, glideAmount, glideTime, ...others] = values;
    const [modesLevel, brightness, modesDecay, tilt, noiseLevel, noiseColour, noiseDecay, ...more] = others;
    const [late, onsetLevel, onsetColour, drive, level, strike] = more;
    const harder = strike - voice.drum.loudness[voice.drum.reference];
    this.voice = voice;
    this.age = this.comesAt = age;
    this.startModes(2 ** (pitch / 12), modesLevel, brightness, 100 / modesDecay, tilt, harder);
    this.glide = { amount: 2 ** (glideAmount / 12) - 1, time: glideTime / 1000 };
    this.startNoise(noiseLevel, noiseColour, 100 / noiseDecay, late, harder);
    this.mixOnset(onsetLevel + strike, onsetColour, strike);
    this.drive = fromDecibels(drive);
    this.level = fromDecibels(level);
    this.seconds = (voice.drum.seconds * Math.max(modesDecay, noiseDecay, 100)) / 100;
  }

  startModes(pitch, level, brightness, faster, tilt, harder) {
    const { drum, rate, mainFrequency } = this.voice;
    const parts = ["re", "im", "turnRe", "turnIm"];
    for (const name of parts) this[name] = new Float64Array(drum.frequency.length);
    this.ringing = 0;
    this.gliding = [];
    drum.frequency.forEach((hertz, i) => {
      const frequency = hertz * pitch;
      if (frequency >= HIGHEST * rate) return;
      const octaves = Math.log2(hertz / mainFrequency);
      const amplitude = fromDecibels(drum.level[i] + drum.level_slope[i] * harder + level + brightness * octaves);
      const damping = drum.decay[i] * Math.exp(drum.decay_slope[i] * harder + tilt * octaves * Math.LN2);
      const fade = Math.exp((-damping * faster) / rate);
      const left = amplitude * fade ** this.age;
      const phase = drum.phase[i];
      if (drum.gliding[i] > 0.5) {
        this.gliding.push({ frequency, phase, amplitude: left, fade });
        return;
      }
      const turn = (2 * Math.PI * frequency) / rate;
      this.re[this.ringing] = left * Math.cos(phase + turn * this.age);
      this.im[this.ringing] = left * Math.sin(phase + turn * this.age);
      this.turnRe[this.ringing] = fade * Math.cos(turn);
      this.turnIm[this.ringing] = fade * Math.sin(turn);
      this.ringing += 1;
    });
  }

  startNoise(level, colour, faster, late, harder) {
    const { drum, rate, octaves } = this.voice;
    const step = STEP / rate;
    const start = (levels, slopes, extra) =>
      levels.map((decibels, i) => fromDecibels(decibels + slopes[i] * harder + level + colour * octaves[i] + extra));
    this.early = start(drum.noise_level, drum.noise_slope, 0);
    this.late = start(drum.late_level, drum.late_slope, late);
    this.earlyFade = drum.noise_decay.map((decay) => Math.exp(-decay * faster * step));
    this.lateFade = drum.late_decay.map((decay) => Math.exp(-decay * faster * step));
    this.noise = new Float64Array(BANDS); // level of each band …
    this.rise = new Float64Array(BANDS); // … and by how much it changes with each sample
    const [steps, more] = [Math.floor(this.age / STEP), this.age % STEP];
    for (let i = 0; i < BANDS; i++) {
      this.early[i] *= this.earlyFade[i] ** steps;
      this.late[i] *= this.lateFade[i] ** steps;
    }
    if (!more) return; // the first sample takes the step
    this.step();
    for (let i = 0; i < BANDS; i++) this.noise[i] += this.rise[i] * more;
  }

  mixOnset(level, colour, strike) {
    const { loudness, onsets } = this.voice;
    const { length } = onsets[0][0];
    this.onset = new Float64Array(this.age < length ? length : 0);
    if (!this.onset.length) return;
    for (const [hit, share] of nearest(strike, loudness)) {
      onsets[hit].forEach((wave, band) => {
        const gain = share * fromDecibels(level + colour * ONSET_OCTAVES[band]);
        for (let i = 0; i < wave.length; i++) this.onset[i] += gain * wave[i];
      });
    }
  }

  get over() {
    const { age, voice } = this;
    return age >= this.seconds * voice.rate || age - this.cutAt >= voice.cut || age - this.goesAt >= voice.pass;
  }

  // One sample of what still rings. at: place of the noise's bands in the table.
  next(at) {
    const { age, voice, drive } = this;
    if (age % STEP === 0) this.step();
    let sound = (this.rung() + this.glided()) * Math.min(1, age / (ATTACK * voice.rate));
    sound += this.hissed(at) * (age < voice.room.length ? voice.room[age] : 1);
    if (age < this.onset.length) sound += this.onset[age];
    sound *= clip((this.seconds - age / voice.rate) / END_FADE, 0, 1);
    const cut = clip(1 - (age - this.cutAt) / voice.cut, 0, 1);
    const share = this.share();
    this.age += 1;
    return (Math.tanh(sound * drive) / drive) * this.level * cut * share;
  }

  // How much it counts beside the same stroke with other parameters, during an update.
  share() {
    const { age, comesAt, goesAt } = this;
    const { pass } = this.voice;
    let share = comesAt && age - comesAt < pass ? passedOver((age - comesAt + 1) / pass) : 1;
    if (age >= goesAt) share *= 1 - passedOver((age - goesAt + 1) / pass);
    return share;
  }

  // Every STEP samples: the noise's levels take a new line, and modes that are over are left out.
  step() {
    const { early, late, earlyFade, lateFade, noise, rise } = this;
    for (let i = 0; i < BANDS; i++) {
      noise[i] = early[i] + late[i];
      early[i] *= earlyFade[i];
      late[i] *= lateFade[i];
      rise[i] = (early[i] + late[i] - noise[i]) / STEP;
    }
    const { re, im } = this;
    for (let i = this.ringing - 1; i >= 0; i--) {
      if (Math.abs(re[i]) + Math.abs(im[i]) > FAINT) continue;
      const last = (this.ringing -= 1);
      for (const part of [re, im, this.turnRe, this.turnIm]) part[i] = part[last];
    }
    this.gliding = this.gliding.filter(({ amplitude }) => amplitude > FAINT);
  }

  rung() {
    const { re, im, turnRe, turnIm, ringing } = this;
    let sum = 0;
    for (let i = 0; i < ringing; i++) {
      const x = re[i];
      const y = im[i];
      sum += x;
      re[i] = x * turnRe[i] - y * turnIm[i];
      im[i] = x * turnIm[i] + y * turnRe[i];
    }
    return sum;
  }

  glided() {
    if (!this.gliding.length) return 0;
    const time = this.age / this.voice.rate;
    const steady = time - this.glide.amount * this.glide.time * Math.expm1(-time / this.glide.time);
    let sum = 0;
    for (const mode of this.gliding) {
      const turns = mode.frequency * steady;
      sum += mode.amplitude * Math.cos(2 * Math.PI * (turns - Math.floor(turns)) + mode.phase);
      mode.amplitude *= mode.fade;
    }
    return sum;
  }

  hissed(at) {
    const { noise, rise } = this;
    const { table } = this.voice;
    let sum = 0;
    for (let i = 0; i < BANDS; i++) {
      sum += noise[i] * table[at + i];
      noise[i] += rise[i];
    }
    return sum;
  }
}

class OwnDrum {
  step = null;
  groups = [
    ["Pitch", ["pitch", "glide.amount", "glide.time"]],
    ["Ringing", ["modes.level", "modes.brightness", "modes.decay", "modes.tilt"]],
    ["Noise", ["noise.level", "noise.colour", "noise.decay", "noise.late"]],
    ["Onset", ["onset.level", "onset.colour"]],
  ];

  // drum: as a preset holds it, its arrays as texts
  constructor(rate, drum) {
    const numbers = (text) => Float64Array.from(text.split(" ").filter(Boolean), Number);
    const read = (value) => (Array.isArray(value) ? value.map(numbers) : numbers(value));
    const isRead = (value) => typeof value === "number";
    this.rate = rate;
    this.drum = Object.fromEntries(
      Object.entries(drum).map(([name, value]) => [name, isRead(value) || name === "kind" ? value : read(value)]),
    );
    this.cut = Math.floor(END_FADE * rate); // samples
    this.pass = glideSamples(rate); // of an update
    this.octaves = bandCentres().map((hertz) => Math.log2(hertz / NOISE_PIVOT));
    this.table = keep(`noise ${rate} ${drum.noise_shape}`, () => noiseTable(rate, this.drum.noise_shape));
    this.mainFrequency = this.findMainFrequency();
    this.prepareOnsets();
    this.silence();
  }

  // Of the mode that carries most energy.
  findMainFrequency() {
    const { frequency, level, decay } = this.drum;
    const energies = level.map((decibels, i) => decibels - 10 * Math.log10(decay[i]));
    return frequency.length ? frequency[energies.indexOf(Math.max(...energies))] : 200;
  }

  // Each hit's onset at the same loudness, in bands, the softest hit first; and the room that it leaves to the noise.
  prepareOnsets() {
    const { rate, drum } = this;
    const order = [...drum.loudness.keys()].sort((a, b) => drum.loudness[a] - drum.loudness[b]);
    this.loudness = order.map((hit, i) => drum.loudness[hit] + i * 1e-6); // no two alike
    const bands = (hit) => {
      const wave = drum.onset[hit].map((value) => value / fromDecibels(drum.loudness[hit]));
      return threeBands(atRate(wave, rate), rate);
    };
    this.onsets = keep(`onsets ${rate} ${drum.loudness} ${drum.onset}`, () => order.map(bands));
    const length = this.onsets[0][0].length;
    const fade = Math.min(length, Math.floor(ONSET_FADE * rate));
    const window = (i) => 0.5 + 0.5 * Math.cos((Math.PI * Math.max(0, i - (length - fade) + 1)) / fade);
    this.room = Float64Array.from({ length }, (_, i) => Math.sqrt(1 - window(i) ** 2));
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
    this.struckAt = this.position;
  }

  update() {
    const age = this.position - this.struckAt;
    for (const stroke of this.strokes)
      if (stroke.cutAt === Infinity) stroke.goesAt = Math.min(stroke.goesAt, age);
    this.strokes.push(new Stroke(this, this.values, age));
  }

  next(noise) {
    if (this.start < 0) this.start = Math.floor(((noise + 1) / 2) * (PERIOD - 1));
    const at = ((this.start + this.position) % PERIOD) * BANDS;
    this.position += 1;
    let sum = 0;
    for (const stroke of this.strokes) sum += stroke.next(at);
    while (this.strokes.length && this.strokes[0].over) this.strokes.shift();
    return f32(sum);
  }
}
