// What the instrument hears: pitch, how sure it is of it, loudness. As timbrekit/tone/pitch.py, which says why.
// Numbers with a name in capitals come from there, with the model.

// Power gain of a second-order filter, where s is the squared sine of half the angular frequency.
function powerGain(s, b0, b1, b2, a1, a2) {
  const above = (b0 + b1 + b2) ** 2 - 4 * (b0 * b1 + 4 * b0 * b2 + b1 * b2) * s + 16 * b0 * b2 * s * s;
  const below = (1 + a1 + a2) ** 2 - 4 * (a1 + 4 * a2 + a1 * a2) * s + 16 * a2 * s * s;
  return Math.max(0, above / below);
}

// Power gain of the K-weighting at 48 kHz (ITU-R BS.1770-4, tables 1 and 2).
function kWeighting(hertz) {
  const s = Math.sin((hertz * Math.PI) / 48000) ** 2;
  const shelf = powerGain(
    s,
    1.53512485958697,
    -2.69169618940638,
    1.19839281085285,
    -1.69065929318241,
    0.73248077421585,
  );
  return shelf * powerGain(s, 1, -2, 1, -1.99004745483398, 0.99007225036621);
}

// K-weighted power that each bin of a spectrum of `size` samples contributes, both its sides taken together.
const binWeights = (size, rate) =>
  Float64Array.from(
    { length: size / 2 + 1 },
    (_, k) => kWeighting((k * rate) / size) * (k > 0 && k < size / 2 ? 2 : 1),
  );

class Listener {
  constructor(constants) {
    Object.assign(this, constants);
    const { WINDOW, RATE } = constants;
    this.whole = new Fourier(WINDOW);
    this.part = new Fourier(WINDOW);
    this.newestFirst = new Float64Array(WINDOW);
    const energy = 0.375 * WINDOW; // of a Hann window
    this.weights = binWeights(WINDOW, RATE).map((weight) => weight / (WINDOW * energy));
    this.energies = new Float64Array(WINDOW + 1);
    this.differences = new Float64Array(this.LONGEST + 2);
    this.window = new Float64Array(WINDOW); // the last samples heard
    this.restart();
  }

  restart() {
    this.window.fill(0);
    [this.pitch, this.voiced, this.waited, this.goal, this.trust] = [60, 0, 0, 60, 0];
  }

  // A hop of samples in; { pitch, voiced, loudness } of the window that ends with them out.
  hear(hop) {
    const { window, HOP, WINDOW } = this;
    window.copyWithin(0, HOP);
    window.set(hop, WINDOW - HOP);
    const [period, confidence] = this.yin();
    const loudness = this.measureLoudness();
    this.follow(f32(69 + 12 * Math.log2(this.RATE / 440 / period)), confidence, loudness);
    return { pitch: this.pitch, voiced: this.voiced, loudness };
  }

  // Loudness of the window under a Hann window, out of the spectrum that yin() left in `whole`. In a spectrum, a Hann
  // window is a sum of neighbours; here they are turned, because samples stand the newest first.
  measureLoudness() {
    const { weights, WINDOW } = this;
    const { re, im } = this.whole;
    const last = WINDOW / 2;
    const [turnRe, turnIm] = [Math.cos((2 * Math.PI) / WINDOW) / 4, Math.sin((2 * Math.PI) / WINDOW) / 4];
    let power = 1e-12;
    for (let k = 1; k < last; k++) {
      const x = re[k] / 2 - (re[k - 1] + re[k + 1]) * turnRe + (im[k - 1] - im[k + 1]) * turnIm;
      const y = im[k] / 2 - (im[k - 1] + im[k + 1]) * turnRe - (re[k - 1] - re[k + 1]) * turnIm;
      power += (x * x + y * y) * weights[k];
    }
    power += (re[0] / 2 - 2 * (re[1] * turnRe + im[1] * turnIm)) ** 2 * weights[0];
    power += (re[last] / 2 - 2 * (re[last - 1] * turnRe - im[last - 1] * turnIm)) ** 2 * weights[last];
    return Math.max(this.FLOOR, 10 * Math.log10(power) - 0.691);
  }

  // Period in samples, and confidence 0 to 1.
  yin() {
    const { window, whole, part, newestFirst, energies, differences } = this;
    const { WINDOW, COMPARED, SHORTEST, LONGEST, SLACK } = this;
    let mean = 0;
    for (let i = 0; i < WINDOW; i++) mean += window[i] / WINDOW;
    for (let i = 0; i < WINDOW; i++) {
      const x = window[WINDOW - 1 - i] - mean; // the newest first: a lag looks back
      newestFirst[i] = x;
      energies[i + 1] = energies[i] + x * x;
    }
    whole.forward(newestFirst);
    part.forward(newestFirst.subarray(0, COMPARED));
    for (let k = 0; k <= WINDOW / 2; k++) {
      const re = whole.re[k] * part.re[k] + whole.im[k] * part.im[k];
      part.im[k] = whole.im[k] * part.re[k] - whole.re[k] * part.im[k];
      part.re[k] = re;
    }
    const correlation = part.inverse(part.re, part.im);
    const ground = 1e-4 * energies[WINDOW] + 1e-20;
    let sum = 0;
    for (let lag = 1; lag <= LONGEST + 1; lag++) {
      const energy = energies[COMPARED] + energies[COMPARED + lag] - energies[lag];
      const difference = energy - 2 * correlation[lag] + ground;
      sum += difference;
      differences[lag] = (difference * lag) / sum;
    }
    const isDip = (lag) => differences[lag] <= differences[lag - 1] && differences[lag] < differences[lag + 1];
    let lowest = 2;
    for (let lag = SHORTEST; lag <= LONGEST; lag++) {
      if (differences[lag] < lowest && isDip(lag)) lowest = differences[lag];
    }
    let lag = SHORTEST;
    while (lowest < 2 && !(differences[lag] <= lowest + SLACK && isDip(lag))) lag++;
    const [before, at, after] = [differences[lag - 1], differences[lag], differences[lag + 1]];
    const bend = before - 2 * at + after;
    const offset = bend > 1e-12 ? clip((0.5 * (before - after)) / bend, -0.5, 0.5) : 0;
    return [lag + offset, clip(1 - at, 0, 1)];
  }

  // Holds the pitch where there is none, and lets doubtful leaps wait until they have lasted.
  follow(pitch, confidence, loudness) {
    const heard = loudness > this.SILENT;
    const share = heard ? clip((confidence - this.UNSURE) / (this.SURE - this.UNSURE), 0, 1) : 0;
    const isDeep = pitch < this.pitch - this.DEEP;
    const [needed, longest] = isDeep ? [this.CERTAIN_DEEP, this.DEEP_HOPS] : [this.CERTAIN, this.LEAP_HOPS];
    const leaps = this.voiced === 0 || Math.abs(pitch - this.pitch) > this.STEP;
    const lasts = this.waited >= longest && Math.abs(pitch - this.goal) <= this.STEP;
    this.goal = pitch;
    const isDoubtful = this.voiced > 0 && leaps && confidence < Math.min(needed, this.trust);
    if (share > 0 && isDoubtful && !lasts) {
      this.waited += 1;
    } else {
      this.waited = 0;
      if (share > 0) {
        this.pitch = clip(pitch, this.LOWEST_PITCH, this.HIGHEST_PITCH);
        this.trust = leaps ? confidence : Math.max(this.trust, confidence);
      }
    }
    this.voiced = share;
  }
}
