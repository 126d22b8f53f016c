// The mel listener: log-mel bands and levels of windows that end later and later, and what is made of them. In 64 bits.
// The definition is docs/listener.md; timbrekit/features/mel_looks.py and timbrekit/estimate.py are the same in Python.

const LEAST_POWER = 1e-8; // nothing is softer than -80 dB
const LEAST_FFT = 1024; // samples
const HIGHEST_MEL_HZ = 16000;
const FIRST_SAMPLE = 2; // after the detection
const KERNEL_WIDTH = 4;
const TELLING = 1; // the look that says how loud, bright and noisy a hit is: its window is the plug-in's
const WARM = 10; // times that all is answered beforehand, so that browsers have compiled it at the first hit

const toDecibels = (power) => 10 * Math.log10(power + LEAST_POWER);
const melToHz = (mel) => 700 * (10 ** (mel / 2595) - 1);
// Samples from a detection to the last one of a window.
const lookDelay = ([, after], rate) => FIRST_SAMPLE + Math.round(after * rateFactor(rate)) - 1;
const spread = (values) => ({ minimum: Math.min(...values), width: Math.max(...values) - Math.min(...values) });

// Adds a vector times a matrix to a sum: its first `rows` values, and the matrix's rows from number `first` on.
function addProduct(vector, matrix, first, rows, sum) {
  const columns = sum.length;
  for (let j = 0; j < columns; j++) {
    let all = 0;
    for (let i = 0, at = first * columns + j; i < rows; i++, at += columns) all += vector[i] * matrix[at];
    sum[j] += all;
  }
}

// One window.
class Look {
  // fouriers: those made so far, by size
  constructor(window, rate, fouriers) {
    const [before, after, bands, parts] = window;
    const factor = rateFactor(rate);
    this.length = Math.round(before * factor) + Math.round(after * factor);
    this.delay = lookDelay(window, rate);
    this.parts = parts;
    this.count = bands + parts;
    this.samples = new Float64Array(this.length);
    this.window = this.samples.map((_, i) => Math.sin((Math.PI * (i + 0.5)) / this.length) ** 2);
    this.power = this.window.reduce((sum, value) => sum + value * value, 0);
    const size = Math.round(Math.max(LEAST_FFT, 2 ** Math.ceil(Math.log2(before + after))) * factor);
    fouriers[size] ??= new Fourier(size);
    this.fourier = fouriers[size];
    const top = 2595 * Math.log10(1 + HIGHEST_MEL_HZ / 700);
    this.edges = Float64Array.from({ length: bands + 2 }, (_, i) => melToHz((top * i) / (bands + 1)));
    const widths = Array.from({ length: bands }, (_, band) => this.edges[band + 2] - this.edges[band]);
    this.widths = widths.map((width) => width / widths.reduce((sum, each) => sum + each)); // shares
    this.bands = Array.from({ length: bands }, (_, band) => this.triangle(band, rate / size, size / 2));
  }

  // The weights of a mel band and the bin of the first of them.
  triangle(band, binHz, lastBin) {
    const [low, middle, high] = this.edges.subarray(band, band + 3);
    const first = Math.max(0, Math.ceil(low / binHz));
    const last = Math.min(lastBin, Math.floor(high / binHz));
    const weights = Float64Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => {
      const hertz = (first + i) * binHz;
      return Math.max(0, Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle)));
    });
    const sum = Math.max(1e-12, weights.reduce((all, weight) => all + weight, 0));
    return { first, weights: weights.map((weight) => weight / sum) };
  }

  // Writes its features in dB into a row, from `at` on: bands, then parts.
  hear(recent, position, row, at) {
    const { samples, window, fourier, parts, length } = this;
    lastSamples(recent, position, samples);
    const part = length / parts;
    for (let p = 0; p < parts; p++) {
      let sum = 0;
      for (let i = p * part; i < (p + 1) * part; i++) sum += samples[i] * samples[i];
      row[at + this.bands.length + p] = f32(toDecibels(sum / part));
    }
    for (let i = 0; i < length; i++) samples[i] *= window[i];
    fourier.forward(samples);
    const { re, im } = fourier;
    this.bands.forEach(({ first, weights }, band) => {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) {
        const bin = first + i;
        sum += weights[i] * (re[bin] * re[bin] + im[bin] * im[bin]);
      }
      row[at + band] = f32(toDecibels(sum / this.power));
    });
  }

  // About the three features of TorchDrum, in its units, out of a row of its own in dB.
  threeFeatures(row, at) {
    const power = (decibels) => 10 ** (decibels / 10);
    const first = at + this.bands.length;
    let loudness = 0;
    for (let i = first; i < at + this.count; i++) loudness += power(row[i]) / this.parts;
    let [centroid, magnitudes, level, powers] = [0, 0, 0, 0];
    this.widths.forEach((width, band) => {
      const size = power(row[at + band]);
      centroid += width * Math.sqrt(size) * this.edges[band + 1];
      magnitudes += width * Math.sqrt(size);
      level += width * row[at + band];
      powers += width * size;
    });
    const semitones = 12 * Math.log2(centroid / magnitudes / 440) + 69;
    return Float32Array.of(10 * Math.log10(loudness), semitones, 2 * (level - 10 * Math.log10(powers)));
  }
}

export class MelListener {
  ranges = null; // that could grow: those of the training never do

  constructor(model, rate) {
    const { windows, hits, aims, ...numbers } = model.looks;
    const fouriers = {};
    this.looks = windows.map((window) => new Look(window, rate, fouriers));
    this.delays = this.looks.map(({ delay }) => delay);
    this.ends = []; // how many features have been heard at each look
    for (const { count } of this.looks) this.ends.push((this.ends.at(-1) ?? 0) + count);
    this.hits = hits;
    for (const name of ["mean", "scale", "low", "high", "known", "offset", "linear", "weights"])
      this[name] = decodeFloats(numbers[name]);
    this.aims = Object.fromEntries(Object.entries(aims).map(([name, text]) => [name, decodeFloats(text)]));
    this.network = makeNetwork(model.network, Float64Array);
    this.size = this.offset.length / windows.length; // of an estimate
    this.aimed = this.aims.offset.length / windows.length; // of an aim: an estimate, and the network's context
    this.row = new Float32Array(this.ends.at(-1));
    this.scaled = new Float64Array(this.row.length);
    this.apart = new Float64Array(hits); // squared distances from the hits of the training, by what was heard so far
    this.alike = new Float64Array(hits);
    this.estimates = windows.map(() => new Float64Array(this.size));
    this.meetHits();
    this.warmUp();
  }

  // How loud, bright and noisy the hits of the training were, by each look.
  meetHits() {
    const width = this.row.length;
    const unscaled = (value, i) => value * this.scale[i] + this.mean[i];
    this.rows = Array.from({ length: this.hits }, (_, hit) =>
      this.known.subarray(hit * width, (hit + 1) * width).map(unscaled),
    );
    this.threes = this.looks.map((_, look) => this.rows.map((row) => this.threeFeatures(look, row)));
    this.spreads = this.threes.map((hits) => [0, 1, 2].map((i) => spread(hits.map((three) => three[i]))));
  }

  // Compiled code is ten times as quick.
  warmUp() {
    const silence = new Float32Array(LEAST_FFT);
    for (let time = 0; time < WARM; time++)
      this.looks.forEach((_, look) => this.answer(look, this.hear(look, silence, 0)));
    this.row.fill(0);
  }

  // Ranges of the three features over the training, as the page shows them.
  get trained() {
    const ranges = this.spreads[TELLING];
    return { minimum: ranges.map(({ minimum }) => minimum), maximum: ranges.map(({ minimum, width }) => minimum + width) };
  }

  begin(look) {
    return look ? this.ends[look - 1] : 0;
  }

  threeFeatures(look, row) {
    return this.looks[look].threeFeatures(row, this.begin(look));
  }

  hear(look, recent, position) {
    this.looks[look].hear(recent, position, this.row, this.begin(look));
    return this.row;
  }

  // The hit of the training that is nearest, made as loud as asked for.
  tell(features) {
    const { threes: { [TELLING]: hits }, spreads: { [TELLING]: ranges } } = this;
    const wanted = ranges.map(({ minimum, width }, i) => minimum + features[i] * width);
    const apart = (three) =>
      ranges.reduce((sum, { width }, i) => sum + ((three[i] - wanted[i]) / Math.max(width, 1e-3)) ** 2, 0);
    const distances = hits.map(apart);
    const nearest = distances.indexOf(Math.min(...distances));
    const louder = wanted[0] - hits[nearest][0];
    return this.rows[nearest].map((value) => Math.max(-80, value + louder));
  }

  answer(look, row) {
    const raw = this.threeFeatures(look, row);
    const place = ({ minimum, width }, i) => (width > 0 ? clip((raw[i] - minimum) / width, 0, 1) : 0.5);
    const features = Float32Array.from(this.spreads[look], place);
    return { raw, features, modulation: Float32Array.from(this.network(this.aim(look, row))) };
  }

  // What the whole hit will sound like, from what was heard of it so far: a kernel regression. Looks at a hit come in
  // turn, and what was found at those before is not computed again.
  estimate(look, row) {
    const { size, scaled, hits, apart } = this;
    const [from, end] = [this.begin(look), this.ends[look]];
    for (let i = from; i < end; i++)
      scaled[i] = clip((row[i] - this.mean[i]) / this.scale[i], this.low[i], this.high[i]);
    this.measure(from, end);
    const estimate = this.estimates[look];
    estimate.set(this.offset.subarray(look * size, (look + 1) * size));
    const above = this.ends.slice(0, look).reduce((sum, rows) => sum + rows, 0);
    addProduct(scaled, this.linear, above, end, estimate);
    const alike = this.alike;
    for (let hit = 0; hit < hits; hit++) alike[hit] = Math.exp(-Math.sqrt(apart[hit]) / (KERNEL_WIDTH * Math.sqrt(end)));
    addProduct(alike, this.weights, look * hits, hits, estimate);
    return estimate;
  }

  // How far the hits of the training lie from this one, with the features from one on to another.
  measure(from, end) {
    const { scaled, known, apart, hits } = this;
    const width = scaled.length;
    if (from === 0) apart.fill(0);
    for (let hit = 0; hit < hits; hit++) {
      let sum = 0;
      for (let i = from, at = hit * width + from; i < end; i++, at++) {
        const difference = scaled[i] - known[at];
        sum += difference * difference;
      }
      apart[hit] += sum;
    }
  }

  // What to play for the estimates at this look and at the one before.
  aim(look, row) {
    const { size, aimed, aims } = this;
    const now = this.estimate(look, row);
    const aim = Float64Array.from({ length: aimed }, (_, j) => (now[j] ?? 0) + aims.offset[look * aimed + j]);
    addProduct(now, aims.now, look * size, size, aim);
    if (look) addProduct(this.estimates[look - 1], aims.before, look * size, size, aim);
    return aim;
  }
}
