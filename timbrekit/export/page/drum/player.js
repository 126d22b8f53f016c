// The whole instrument: hears, decides, plays. Joined to core.js and the synthesisers' voices when the page is built.
//
// A voice is a class of what one synthesiser plays:
//   step, groups: to which its host rounds parameters, in physical units, or null; its parameters in groups for the
//     page, each [heading, keys]
//   constructor(rate, drum): Hz; the drum, where the model holds one
//   set(values): parameters in physical units and in the model's order, from the next sample on
//   trigger(): a stroke at the next sample, with the values set last
//   update(values): new parameters for what rings, as timbrekit/synth/updates.py says; not of the plug-in's own 808
//   next(noise): one sample out of one of white noise in -1..1
//   silence(): at once
//   values: those set last
export const VOICES = { snare808: Snare808, drum: OwnDrum };
export const RINGING_VOICES = { snare808: Ringing808, drum: OwnDrum }; // for the mel listener

// Samples from a detection to each of a model's answers: the first sound, and updates of it.
export const answerDelays = ({ listener, looks }, rate) =>
  listener === "mel" ? looks.windows.map((window) => lookDelay(window, rate)) : [TRIGGER_DELAY];

const WARM_STROKES = 20; // that nobody hears
const WARM_SAMPLES = 200;

// model: what build_page puts into the page: preset values, parameter table, network, training ranges and
// detector settings. rate: Hz of the samples that will be fed. noise: one value in -1..1 per call.
export class Player {
  constructor(model, rate, noise = whiteNoise) {
    this.rate = rate;
    this.noise = noise;
    this.parameters = model.parameters;
    const isMel = model.listener === "mel";
    const Voice = (isMel ? RINGING_VOICES : VOICES)[model.synth ?? "snare808"]; // files of version 0.1 do not say which
    if (!Voice) throw new Error(`no voice for ${model.synth}`);
    this.synth = new Voice(rate, model.drum);
    // The plug-in snaps the preset, too, when it takes it over from the model.
    const snap = (value, p) => toNormalized(toPhysical(value, p, this.synth.step), p);
    this.preset = model.parameters.map((p) => snap(toNormalized(model.preset.values[p.key], p), p));
    this.listener = new (isMel ? MelListener : OnsetListener)(model, rate);
    this.ranges = this.listener.ranges; // of features; or null
    this.detector = new OnsetDetector(rate, {});
    this.synth.set(this.toPhysical(this.preset));
    this.recent = new Float32Array(recentSize(rate)); // the last input samples, as a listener reads them
    this.position = 0; // samples played so far
    this.told = []; // features of hits that sound with the next sample
    this.detected = -Infinity; // position of the last detection that counts
    this.origin = 0; // position that the listener's delays count from
    this.look = Infinity; // number of the listener's answer that comes next
    this.heard = null; // what was told of the hit that sounds, where it was
    this.onDetection = () => {};
    this.onHit = () => {};
    this.onUpdate = () => {}; // a later answer: of the same form as a hit
    this.configure({ ...model.detector, sensitivity: 1, wet: 1, fixed: true });
    this.clearMeters();
    this.warmUp();
  }

  // Browsers compile what is called often, and take milliseconds for it: not at the first hits.
  warmUp() {
    for (let stroke = 0; stroke < WARM_STROKES; stroke++) {
      this.synth.trigger();
      for (let i = 0; i < WARM_SAMPLES; i++) this.synth.next(0);
      this.synth.update?.(this.synth.values);
      for (let i = 0; i < WARM_SAMPLES; i++) this.synth.next(0);
    }
    this.synth.silence();
  }

  // Any of: on_threshold, off_threshold (dB), hold (samples), sensitivity (0..4), wet (0 input .. 1 synth),
  // fixed (training ranges, or growing ones as in the plug-in).
  configure({ on_threshold, off_threshold, hold, sensitivity, wet, fixed }) {
    const detector = this.detector.settings;
    if (on_threshold !== undefined) detector.on_threshold = f32(on_threshold);
    if (off_threshold !== undefined) detector.off_threshold = f32(off_threshold);
    if (hold !== undefined) detector.hold = Math.round(hold);
    if (sensitivity !== undefined) this.sensitivity = f32(sensitivity);
    if (wet !== undefined) this.wet = f32(wet);
    if (fixed !== undefined && this.ranges) this.ranges.fixed = fixed;
  }

  toPhysical(normalized) {
    return normalized.map((value, i) => toPhysical(value, this.parameters[i], this.synth.step));
  }

  // Silence at once; settings, heard ranges and the detector's view of the room stay.
  panic() {
    this.synth.silence();
    this.look = Infinity;
  }

  forgetRanges() {
    this.ranges?.reset();
  }

  // A hit that is told instead of heard: features 0..1 within the trained ranges. It sounds with the next sample.
  strike(features) {
    this.told.push(features);
  }

  // `next`, of another model, goes on from all that was heard; this one rings out, and hears nothing from now on.
  handOver(next) {
    next.detector = Object.assign(this.detector, { settings: next.detector.settings });
    const { recent, position, detected, origin, told } = this;
    const look = this.look === 0 ? 0 : Infinity; // a hit that waits for its trigger, or none
    Object.assign(next, { recent: recent.slice(), position, detected, origin, told, look, heard: null });
    if (next.ranges && this.ranges) next.ranges.heard = this.ranges.heard;
    Object.assign(this, { detector: new OnsetDetector(this.rate, { on_threshold: Infinity }), look: Infinity, told: [] });
  }

  clearMeters() {
    this.meters = { level: 0, onset: 0, broken: 0 }; // peak 0..1, onset signal in dB, samples replaced
  }

  // input, output: Float32Array of the same length, mono.
  process(input, output) {
    const { meters } = this;
    const { delays } = this.listener;
    while (this.told.length) this.tell(this.told.shift());
    for (let i = 0; i < output.length; i++) {
      let x = input[i];
      if (!(Math.abs(x) < LOUDEST_INPUT)) {
        x = 0; // not a number, or absurd: the plug-in would fall silent for good
        meters.broken += 1;
      }
      this.recent[this.position & (this.recent.length - 1)] = x;
      if (this.detector.next(x) && this.position - this.detected > TRIGGER_DELAY) {
        this.detected = this.origin = this.position;
        this.look = 0;
        this.heard = null;
        this.onDetection(this.position);
      }
      if (this.position - this.origin >= delays[this.look]) this.answer(this.look++);
      meters.level = Math.max(meters.level, Math.abs(x));
      meters.onset = Math.max(meters.onset, this.detector.signal);
      output[i] = f32(f32(this.wet * this.synth.next(this.noise())) + f32(f32(1 - this.wet) * x));
      this.position += 1;
    }
  }

  answer(look) {
    const { listener, recent, position } = this;
    this.respond(look, this.heard ?? listener.hear(look, recent, position), this.heard !== null);
  }

  // A hit that is heard, and has not sounded yet, ends what is still to be answered of one that is told.
  tell(features) {
    const heard = this.listener.tell(features);
    this.respond(0, heard, true);
    if (this.look === 0) return;
    this.origin = this.position - this.listener.delays[0];
    this.look = 1;
    this.heard = heard;
  }

  // Plays the answer number `look`: a hit, or an update of one. told: whether the hit was told instead of heard.
  respond(look, heard, told) {
    const { raw, features, modulation } = this.listener.answer(look, heard);
    const normalized = this.preset.map((value, i) =>
      clip(f32(value + f32(modulation[i] * this.sensitivity)), 0, 1),
    );
    const physical = this.toPhysical(normalized);
    if (look) {
      this.synth.update(physical);
    } else {
      this.synth.set(physical);
      this.synth.trigger();
    }
    const event = { position: this.position, told, raw, features, modulation, normalized, physical };
    if (look) this.onUpdate({ look, ...event });
    else this.onHit(event);
  }
}
