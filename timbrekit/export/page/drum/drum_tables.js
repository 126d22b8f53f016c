// What a drum's voice computes once for a sample rate: noise in bands, and the recorded onsets in three bands. The
// formulas are those of timbrekit/synth/noise_bands.py and drum_parts.py, which hold their sources.

const PERIOD = 65536; // samples after which the noise repeats
const BANDS = 20;
const [LOWEST_BAND, HIGHEST_BAND] = [30, 20000]; // Hz
const SHAPE_TOP = 24000; // Hz; end of the noise's shape
const NOTHING_DB = -200;
const ONSET_RATE = 48000; // Hz that onsets are kept at
const CROSSOVERS = [500, 3000]; // Hz between their three bands

const erbRate = (hertz) => 21.4 * Math.log10(1 + 0.00437 * hertz);
const fromDecibels = (decibels) => 10 ** (decibels / 20);

// Hz in the middle of each band
function bandCentres() {
  const [low, high] = [erbRate(LOWEST_BAND), erbRate(HIGHEST_BAND)];
  const at = (band) => low + ((high - low) * band) / (BANDS - 1);
  return Float64Array.from({ length: BANDS }, (_, band) => (10 ** (at(band) / 21.4) - 1) / 0.00437);
}

// The integer hash lowbias32, in 0..1.
function scattered(index) {
  let x = index;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

// Noise of RMS 1 in each band of each shape: those of the first sample, then of the next, PERIOD in all.
function noiseTable(rate, shapes) {
  const table = new Float32Array(PERIOD * BANDS * shapes.length);
  shapes.forEach((shape, n) => fillTable(table, rate, shape, n * BANDS, BANDS * shapes.length));
  return table;
}

// shape: dB from 0 Hz to SHAPE_TOP. first: place of its bands in each sample's, which are so many.
function fillTable(table, rate, shape, first, many) {
  const bins = PERIOD / 2 + 1;
  const re = new Float64Array(bins);
  const im = new Float64Array(bins);
  const place = new Float64Array(bins); // of a bin among the bands
  const [low, high] = [erbRate(LOWEST_BAND), erbRate(HIGHEST_BAND)];
  for (let k = 0; k < bins; k++) {
    const hertz = (k * rate) / PERIOD;
    const at = (hertz / SHAPE_TOP) * (shape.length - 1);
    const whole = Math.min(Math.floor(at), shape.length - 2);
    const level = hertz > SHAPE_TOP ? NOTHING_DB : shape[whole] + (shape[whole + 1] - shape[whole]) * (at - whole);
    const angle = 2 * Math.PI * scattered(k + 1);
    re[k] = Math.cos(angle) * fromDecibels(level);
    im[k] = Math.sin(angle) * fromDecibels(level);
    place[k] = clip(((erbRate(hertz) - low) / (high - low)) * (BANDS - 1), 0, BANDS - 1);
  }
  im[bins - 1] = 0; // half the rate has no phase
  const fourier = new Fourier(PERIOD);
  const [x, y] = [new Float64Array(bins), new Float64Array(bins)];
  for (let band = 0; band < BANDS; band++) {
    for (let k = 1; k < bins; k++) {
      const response = Math.cos((Math.PI / 2) * Math.min(Math.abs(place[k] - band), 1));
      x[k] = re[k] * response;
      y[k] = im[k] * response;
    }
    const samples = fourier.inverse(x, y);
    const size = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / PERIOD) + 1e-30;
    for (let i = 0; i < PERIOD; i++) table[i * many + first + band] = samples[i] / size;
  }
}

// Modified Bessel function of the first kind, of order 0.
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

// A waveform at 48 kHz, at another rate, as scipy.signal.resample_poly makes it: a Kaiser window, beta 5, around a sinc.
function atRate(wave, rate) {
  if (rate === ONSET_RATE) return wave;
  const divisor = (a, b) => (b ? divisor(b, a % b) : a);
  const common = divisor(rate, ONSET_RATE);
  const [up, down] = [rate / common, ONSET_RATE / common];
  const slower = Math.max(up, down);
  const half = 10 * slower;
  const filter = Float64Array.from({ length: 2 * half + 1 }, (_, i) => {
    const x = (Math.PI * (i - half)) / slower;
    return (x ? Math.sin(x) / x : 1) * bessel(5 * Math.sqrt(1 - ((i - half) / half) ** 2));
  });
  const gain = up / filter.reduce((sum, value) => sum + value, 0);
  return Float64Array.from({ length: Math.ceil((wave.length * up) / down) }, (_, n) => {
    let sum = 0;
    const last = Math.min(wave.length - 1, Math.floor((n * down + half) / up));
    for (let k = Math.max(0, Math.ceil((n * down - half) / up)); k <= last; k++)
      sum += wave[k] * filter[n * down - k * up + half];
    return sum * gain;
  });
}

// Three waveforms, low to high, that add up to the one given.
function threeBands(wave, rate) {
  const size = 2 ** Math.ceil(Math.log2(4 * wave.length));
  const fourier = new Fourier(size);
  const padded = new Float64Array(size);
  padded.set(wave);
  fourier.forward(padded);
  const below = CROSSOVERS.map((crossover) => {
    const edge = (_, k) => 1 / (1 + ((k * rate) / size / crossover) ** 4);
    const edges = Float64Array.from({ length: size / 2 + 1 }, edge);
    const [re, im] = [fourier.re, fourier.im].map((part) => part.map((value, k) => value * edges[k]));
    return fourier.inverse(re, im).slice(0, wave.length);
  });
  return [
    below[0],
    below[1].map((value, i) => value - below[0][i]),
    below[1].map((value, i) => wave[i] - value),
  ];
}
