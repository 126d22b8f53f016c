// The whole instrument: hears, decides, plays. Joined to core.js and the synthesisers' voices when the page is built.
//
// A voice is a class of what one synthesiser plays:
//   step, groups: to which its host rounds parameters, in physical units, or null; its parameters in groups for the
//     page, each [heading, keys]
//   constructor(rate, drum): Hz; the drum, where the model holds one
//   set(values): parameters in physical units and in the model's order, from the next sample on
//   trigger(): a stroke at the next sample, with the values set last
//   next(noise): one sample out of one of white noise in -1..1
//   silence(): at once
//   values: those set last
export const VOICES = { snare808: Snare808, drum: OwnDrum };

// model: what build_page puts into the page: preset values, parameter table, network, training ranges and
// detector settings. rate: Hz of the samples that will be fed. noise: one value in -1..1 per call.
export class Player {
  constructor(model, rate, noise = whiteNoise) {
    this.rate = rate;
    this.noise = noise;
    this.parameters = model.parameters;
    const Voice = VOICES[model.synth ?? "snare808"]; // files of version 0.1 do not say which
    if (!Voice) throw new Error(`no voice for ${model.synth}`);
    this.synth = new Voice(rate, model.drum);
    // The plug-in snaps the preset, too, when it takes it over from the model.
    const snap = (value, p) => toNormalized(toPhysical(value, p, this.synth.step), p);
    this.preset = model.parameters.map((p) => snap(toNormalized(model.preset.values[p.key], p), p));
    this.network = makeNetwork(model.network);
    this.ranges = new FeatureRanges(model.onset_features);
    this.detector = new OnsetDetector(rate, {});
    this.synth.set(this.toPhysical(this.preset));
    this.recent = new Float32Array(WINDOW); // ring of the last input samples
    this.position = 0; // samples played so far
    this.told = []; // features of hits that sound with the next sample
    this.countdown = -1; // samples until the trigger; -1 while no window is being collected
    this.onDetection = () => {};
    this.onHit = () => {};
    this.configure({ ...model.detector, sensitivity: 1, wet: 1, fixed: true });
    this.clearMeters();
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
    if (fixed !== undefined) this.ranges.fixed = fixed;
  }

  toPhysical(normalized) {
    return normalized.map((value, i) => toPhysical(value, this.parameters[i], this.synth.step));
  }

  // Silence at once; settings, heard ranges and the detector's view of the room stay.
  panic() {
    this.synth.silence();
    this.countdown = -1;
  }

  forgetRanges() {
    this.ranges.reset();
  }

  // A hit that is told instead of heard: features 0..1 within the trained ranges. It sounds with the next sample.
  strike(features) {
    this.told.push(features);
  }

  // `next`, of another model, goes on from all that was heard; this one rings out, and hears nothing from now on.
  handOver(next) {
    next.detector = Object.assign(this.detector, { settings: next.detector.settings });
    const { recent, position, countdown, told } = this;
    Object.assign(next, { recent: recent.slice(), position, countdown, told });
    next.ranges.heard = this.ranges.heard;
    Object.assign(this, { detector: new OnsetDetector(this.rate, { on_threshold: Infinity }), countdown: -1, told: [] });
  }

  clearMeters() {
    this.meters = { level: 0, onset: 0, broken: 0 }; // peak 0..1, onset signal in dB, samples replaced
  }

  // input, output: Float32Array of the same length, mono.
  process(input, output) {
    const { meters } = this;
    while (this.told.length) this.hit(this.ranges.raw(this.told.shift()), true);
    for (let i = 0; i < output.length; i++) {
      let x = input[i];
      if (!(Math.abs(x) < LOUDEST_INPUT)) {
        x = 0; // not a number, or absurd: the plug-in would fall silent for good
        meters.broken += 1;
      }
      this.recent[this.position % WINDOW] = x;
      if (this.detector.next(x) && this.countdown < 0) {
        this.countdown = TRIGGER_DELAY;
        this.onDetection(this.position);
      }
      if (this.countdown === 0) this.trigger();
      if (this.countdown >= 0) this.countdown -= 1;
      meters.level = Math.max(meters.level, Math.abs(x));
      meters.onset = Math.max(meters.onset, this.detector.signal);
      output[i] = f32(f32(this.wet * this.synth.next(this.noise())) + f32(f32(1 - this.wet) * x));
      this.position += 1;
    }
  }

  trigger() {
    const start = this.position + 1;
    const raw = onsetFeatures(
      this.recent.map((_, i) => this.recent[(start + i) % WINDOW]),
      this.rate,
    );
    this.hit(raw, false);
  }

  // Plays a hit with the features raw: dB, semitones, dB. told: whether it was told instead of heard.
  hit(raw, told) {
    const features = this.ranges.normalize(raw);
    const modulation = this.network(features);
    const normalized = this.preset.map((value, i) =>
      clip(f32(value + f32(modulation[i] * this.sensitivity)), 0, 1),
    );
    const physical = this.toPhysical(normalized);
    this.synth.set(physical);
    this.synth.trigger();
    this.onHit({ position: this.position, told, raw, features, modulation, normalized, physical });
  }
}
