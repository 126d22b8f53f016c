// The whole instrument: hears, is fitted, sounds. As timbrekit/tone/stream.py and play.py.

const PRESS_DB = 9; // a hop by which a pressed key grows louder: 30 ms from silence
const RELEASE_DB = 2.2; // and by which it fades: 150 ms

const quantile = (sorted, share) => {
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (at - Math.floor(at)) * (high - low);
};

// All hops of a sound, and of the silence after it until all of it was heard: { pitch, voiced, loudness } each.
export function* hearing({ constants }, samples) {
  const { HOP, CENTRE } = constants;
  const listener = new Listener(constants);
  const hop = new Float64Array(HOP);
  for (let at = 0; at < samples.length + CENTRE; at += HOP) {
    hop.fill(0);
    hop.set(samples.subarray(at, at + HOP));
    yield listener.hear(hop);
  }
}

// What brings somebody's playing to the instrument's ranges: whole octaves, and the loudness that is taken for
// soft and for loud. Null where nothing was pitched.
export function fitTo({ pitch, loudness, constants }, heard) {
  const { PITCHED, ROOM_BESIDE, WIDEST_SHIFT, LEAST_SPREAD } = constants;
  const pitched = heard.filter(({ voiced }) => voiced > PITCHED);
  if (!pitched.length) return null;
  const pitches = pitched.map((hop) => hop.pitch).sort((a, b) => a - b);
  const levels = pitched.map((hop) => hop.loudness).sort((a, b) => a - b);
  const [low, high, middle] = [pitch[0] - ROOM_BESIDE, pitch[1] + ROOM_BESIDE, (pitch[0] + pitch[1]) / 2];
  const median = pitches[(pitches.length - 1) >> 1];
  let best = { outside: Infinity };
  for (let octaves = -WIDEST_SHIFT; octaves <= WIDEST_SHIFT; octaves++) {
    const beyond = pitches.filter((p) => p + 12 * octaves < low || p + 12 * octaves > high).length;
    const outside = Math.round((100 * beyond) / pitches.length);
    const distance = Math.abs(median + 12 * octaves - middle);
    if (outside < best.outside || (outside === best.outside && distance < best.distance))
      best = { octaves, outside, distance };
  }
  let [soft, loud] = [quantile(levels, 0.05), quantile(levels, 0.95)];
  if (loud - soft < LEAST_SPREAD) {
    const between = (soft + loud) / 2;
    [soft, loud] = [between - LEAST_SPREAD / 2, between + LEAST_SPREAD / 2];
  }
  return { octaves: best.octaves, outside: best.outside / 100, soft, loud };
}

// Notes that are held on a keyboard; the last one sounds.
class Keys {
  constructor({ loudness, constants }) {
    Object.assign(this, { soft: loudness[0], loud: loudness[1], floor: constants.FLOOR });
    this.bend = 0; // semitones
    this.silence();
  }

  silence() {
    this.held = [];
    this.level = this.floor; // LKFS
  }

  // What the instrument is asked for in the next hop; null while no key sounds.
  next() {
    for (const note of this.held) note.hops -= 1;
    this.held = this.held.filter((note) => note.hops >= 0);
    const note = this.held.at(-1);
    if (note) this.sounding = note.pitch;
    const target = note ? this.soft + note.force * (this.loud - this.soft) : this.floor;
    this.level += clip(target - this.level, -RELEASE_DB, PRESS_DB);
    if (this.level <= this.floor) return null;
    return { pitch: this.sounding + this.bend, voiced: 1, loudness: this.level };
  }
}

// model: what render_tone_page puts into the page. rate: Hz of the samples that will be fed, the instrument's own.
// noise: one value in -1..1 per call.
export class Player {
  constructor(model, rate, noise = whiteNoise) {
    const { constants } = model;
    Object.assign(this, { model, constants, rate });
    const { HOP, CENTRE } = constants;
    this.lateness = HOP + CENTRE; // samples by which the sound lags behind what it is played, see Stream
    this.listener = new Listener(constants);
    this.decoder = new Decoder(model);
    this.harmonics = new Harmonics(constants);
    this.noise = new Noise(constants, noise);
    this.room = new Room(constants, decodeFloats(model.room));
    this.keys = new Keys(model);
    this.hop = new Float64Array(HOP); // being collected
    this.dry = new Float64Array(HOP);
    this.ready = new Float64Array(HOP); // made, and being given out
    this.filled = 0;
    this.settings = { transpose: 0, gain: 0, fit: null };
    this.clearMeters();
  }

  // Any of: transpose (semitones), gain (dB more or less than was heard), fit (of fitTo, or null).
  configure(settings) {
    Object.assign(this.settings, settings);
  }

  press(pitch, force, seconds = Infinity) {
    this.release(pitch);
    this.keys.held.push({ pitch, force, hops: (seconds * this.constants.RATE) / this.constants.HOP });
  }

  release(pitch) {
    this.keys.held = this.keys.held.filter((note) => note.pitch !== pitch);
  }

  bend(semitones) {
    this.keys.bend = semitones;
  }

  // Plays on with another force what is held, as breath does.
  push(force) {
    for (const note of this.keys.held) note.force = force;
  }

  // Silence at once; settings and what is being heard stay.
  panic() {
    this.keys.silence();
    this.harmonics = new Harmonics(this.constants);
    this.noise.tail.fill(0);
    this.room.silence();
    this.ready.fill(0);
  }

  // `next`, of another model, goes on from all that was heard and is held; this one rings out, and hears nothing.
  handOver(next) {
    const { listener, hop, filled, keys } = this;
    Object.assign(next, { listener, hop, filled });
    Object.assign(next.keys, { held: keys.held, bend: keys.bend, sounding: keys.sounding });
    Object.assign(this, { listener: new Listener(this.constants), hop: new Float64Array(hop.length) });
    keys.held = [];
  }

  clearMeters() {
    this.meters = { level: 0, broken: 0, hops: [] }; // peak 0..1, samples replaced, what was heard and asked for
  }

  // input, output: Float32Array of the same length, mono.
  process(input, output) {
    const { meters, hop, constants } = this;
    for (let i = 0; i < output.length; i++) {
      let x = input[i];
      if (!(Math.abs(x) < LOUDEST_INPUT)) {
        x = 0; // not a number, or absurd: it would stay in the memory
        meters.broken += 1;
      }
      meters.level = Math.max(meters.level, Math.abs(x));
      hop[this.filled] = x;
      output[i] = this.ready[this.filled];
      this.filled += 1;
      if (this.filled === constants.HOP) this.sound();
    }
  }

  sound() {
    this.filled = 0;
    const heard = this.listener.hear(this.hop);
    const played = this.keys.next();
    const asked = played ?? this.fitted(heard);
    const hertz = this.decoder.decode(asked);
    this.dry.fill(0);
    this.harmonics.add(this.dry, hertz, this.decoder.amplitudes);
    this.noise.add(this.dry, this.decoder.magnitudes);
    this.ready.set(this.room.play(this.dry));
    this.meters.hops.push({ ...heard, asked, keyed: Boolean(played) });
  }

  fitted({ pitch, voiced, loudness }) {
    const { transpose, gain, fit } = this.settings;
    const { FLOOR, PLAYABLE } = this.constants;
    const [soft, loud] = this.model.loudness;
    let level = loudness;
    if (fit?.soft !== undefined) {
      const ratio = (loud - soft) / (fit.loud - fit.soft);
      const below = (soft - FLOOR) / Math.max(fit.soft - FLOOR, 1);
      level = level > fit.soft ? soft + (level - fit.soft) * ratio : FLOOR + (level - FLOOR) * below;
      level = clip(level, FLOOR, loud + 6);
    }
    if (level > FLOOR) level += gain;
    // Rounded where Python rounds: a phase adds up what rounding leaves.
    const moved = f32(f32(pitch + 12 * (fit?.octaves ?? 0)) + transpose);
    return { pitch: clip(moved, ...PLAYABLE), voiced, loudness: level };
  }
}
