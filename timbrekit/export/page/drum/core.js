// From input samples to the parameters of a hit, as the TorchDrum plug-in does it, one sample at a time.
//
// Plain JavaScript without browser globals: the same text runs in an AudioWorklet, on the page and in node.
// The plug-in computes partly in 32-bit floats, and its detector, envelopes and phases feed their rounding
// back into themselves. Math.fround stands where the plug-in rounds; that is what makes detections identical
// and the sound equal sample for sample.

export const WINDOW = 256; // samples that the features are computed from
export const TRIGGER_DELAY = 257; // samples from a detection to its trigger; the window ends on the trigger

// Second-order resonant high-pass: bilinear transform, transposed direct form II, in 64 bits.
class HighPass {
  z1 = 0;
  z2 = 0;

  // frequency and rate in Hz
  tune(frequency, q, rate) {
    const k = Math.tan((Math.PI * frequency) / rate);
    this.b0 = 1 / (1 + k / q + k * k);
    this.a1 = 2 * (k * k - 1) * this.b0;
    this.a2 = (1 - k / q + k * k) * this.b0;
  }

  next(x) {
    const y = this.b0 * x + this.z1;
    this.z1 = this.z2 - 2 * this.b0 * x - this.a1 * y;
    this.z2 = this.b0 * x - this.a2 * y;
    return f32(y);
  }
}

// ---------------------------------------------------------------- detector

const FLOOR = -55; // dB
const FAST_RISE = f32(1 / 3); // per sample at any sample rate: the plug-in's constants are not in seconds
const FAST_FALL = f32(1 / 383);
const SLOW = f32(1 / 2205);

// settings: { on_threshold, off_threshold: dB, hold: samples }; may be changed while it runs
export class OnsetDetector {
  constructor(rate, settings) {
    this.settings = settings;
    this.filter = new HighPass();
    this.filter.tune(600, 0.707, rate);
    this.fast = this.slow = FLOOR;
    this.signal = 0; // how far the fast follower stands above the slow one, dB
    this.previous = 0;
    this.hold = 0;
    this.triggered = false;
  }

  // One sample in; true on the sample at which the detector fires.
  next(x) {
    const level = Math.max(FLOOR, f32(20 * f32(Math.log10(Math.abs(this.filter.next(x))))));
    this.fast = f32(this.fast + f32((level > this.fast ? FAST_RISE : FAST_FALL) * f32(level - this.fast)));
    this.slow = f32(this.slow + f32(SLOW * f32(level - this.slow)));
    this.signal = f32(this.fast - this.slow);

    const { on_threshold, off_threshold, hold } = this.settings;
    if (this.signal >= on_threshold && this.previous < on_threshold && !this.triggered && this.hold === 0) {
      this.hold = hold;
      this.triggered = true;
      return true; // the plug-in neither counts the hold down nor remembers the signal on this sample
    }
    if (this.hold > 0) this.hold -= 1;
    if (this.signal < off_threshold) this.triggered = false;
    this.previous = this.signal;
    return false;
  }
}

// ---------------------------------------------------------------- features

const BINS = WINDOW / 2 + 1;
const COSINE = Float64Array.from({ length: WINDOW }, (_, i) => Math.cos((2 * Math.PI * i) / WINDOW));
const HANN = Float64Array.from(
  { length: WINDOW },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (WINDOW - 1)),
);

// Power of bin k of the discrete Fourier transform. Summed term by term: 129 bins take 0.1 ms, once a hit.
function power(windowed, k) {
  let re = 0;
  let im = 0;
  for (let i = 0; i < WINDOW; i++) {
    re += windowed[i] * COSINE[(k * i) % WINDOW];
    im += windowed[i] * COSINE[(k * i + WINDOW / 4) % WINDOW];
  }
  return re * re + im * im;
}

// What the plug-in hears in 256 samples: [loudness in dB, spectral centroid in semitones (MIDI note
// numbers), spectral flatness in dB]. In 64 bits: a pure tone's flatness stands at the rounding floor.
export function onsetFeatures(samples, rate) {
  const energy = samples.reduce((sum, x) => sum + x * x, 0);
  const loudness = Math.max(-80, 20 * Math.log10(Math.sqrt(energy / WINDOW) + 1e-8));

  const windowed = Float64Array.from(samples, (x, i) => x * HANN[i]);
  const powers = Float64Array.from({ length: BINS }, (_, k) => power(windowed, k));
  const magnitudes = powers.map(Math.sqrt);
  const weighted = magnitudes.reduce((sum, magnitude, k) => sum + magnitude * k, 0);
  const bin = weighted > 0 ? weighted / magnitudes.reduce((sum, magnitude) => sum + magnitude, 0) : 0;
  const centroid = bin > 0 ? 12 * Math.log2((bin * rate) / WINDOW / 440) + 69 : 0;

  const floored = powers.map((value) => Math.max(value, 1e-10));
  const geometric = Math.exp(floored.reduce((sum, value) => sum + Math.log(value), 0) / BINS);
  const arithmetic = floored.reduce((sum, value) => sum + value, 0) / BINS;
  return Float32Array.of(loudness, centroid, 20 * Math.log10(geometric / arithmetic));
}

// Scales features to 0..1. Fixed: by the ranges of the training take. Growing: by the lowest and highest
// heard so far, as the plug-in does, where the first hit is 0.5 and the second 0 or 1 in each.
export class FeatureRanges {
  constructor(trained) {
    this.trained = trained; // { minimum: [3], maximum: [3] }
    this.fixed = true;
    this.reset();
  }

  // Forget the hits heard so far, as the plug-in's reset button does.
  reset() {
    this.heard = { minimum: [Infinity, Infinity, Infinity], maximum: [-Infinity, -Infinity, -Infinity] };
  }

  // Features 0..1 of the trained ranges in their own units.
  raw(features) {
    const { minimum, maximum } = this.trained;
    return Float32Array.from(features, (at, i) => minimum[i] + at * (maximum[i] - minimum[i]));
  }

  normalize(raw) {
    const { minimum, maximum } = this.heard;
    raw.forEach((value, i) => {
      minimum[i] = Math.min(minimum[i], value);
      maximum[i] = Math.max(maximum[i], value);
    });
    const range = this.fixed ? this.trained : this.heard;
    return raw.map((value, i) => {
      const low = f32(range.minimum[i]);
      const width = f32(f32(range.maximum[i]) - low);
      return width > 0 ? clip(f32(f32(value - low) / width), 0, 1) : 0.5;
    });
  }
}

// ---------------------------------------------------------------- network

// Each layer type as a function from an array of numbers to one of the kind Floats.
const LAYERS = {
  linear({ rows, cols, weight, bias }, Floats) {
    const w = decodeFloats(weight); // (cols, rows), row-major
    const b = bias ? Floats.from(decodeFloats(bias)) : new Floats(cols);
    return (x) => {
      const answer = new Floats(cols);
      for (let out = 0; out < cols; out++) {
        let sum = b[out];
        for (let i = 0; i < rows; i++) sum += w[out * rows + i] * x[i];
        answer[out] = sum;
      }
      return answer;
    };
  },
  layer_norm:
    ({ eps }) =>
    (x) => {
      const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
      const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
      return x.map((v) => (v - mean) / Math.sqrt(variance + eps));
    },
  relu: () => (x) => x.map((v) => Math.max(0, v)),
  tanh: () => (x) => x.map(Math.tanh),
  scale({ weight }) {
    const w = decodeFloats(weight);
    return (x) => x.map((v, i) => v * w[i]);
  },
  clamp:
    ({ min, max }) =>
    (x) =>
      x.map((v) => clip(v, min, max)),
};

// The function from three features in 0..1 to the modulation of the parameters, or from aims. Floats: what it computes in.
export function makeNetwork({ layers }, Floats = Float32Array) {
  const steps = layers.map((layer) => {
    if (!Object.hasOwn(LAYERS, layer.type)) throw new Error(`unknown network layer "${layer.type}"`);
    return LAYERS[layer.type](layer, Floats);
  });
  return (features) => steps.reduce((x, step) => step(x), features);
}

// ---------------------------------------------------------------- parameters

export const toNormalized = (physical, { min, max }) => f32(f32(physical - min) / f32(max - min));

// step: to which the voice's host rounds every parameter, in physical units; or null
export function toPhysical(normalized, { min, max }, step) {
  let value = f32(f32(normalized * f32(max - min)) + min);
  if (step) value = f32(min + f32(f32(step) * Math.floor(f32(f32(f32(value - min) / f32(step)) + 0.5))));
  return clip(value, min, max);
}
