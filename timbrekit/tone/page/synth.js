// Harmonics, filtered noise and a room, hop by hop. As timbrekit/tone/synth.py.

class Harmonics {
  constructor(constants) {
    Object.assign(this, constants);
    this.hertz = 440;
    this.phase = 0; // of the fundamental, in cycles
    this.before = new Float64Array(this.PARTIALS); // amplitudes where the last hop ended
    this.after = new Float64Array(this.PARTIALS);
  }

  // Adds a hop that ends at `hertz` with `amplitudes`, none of a partial beyond FADE_HZ.
  add(out, hertz, amplitudes) {
    const { HOP, RATE, PARTIALS, FADE_HZ } = this;
    let [before, after] = [this.before, this.after];
    let last = 0; // partials that sound at either end
    let sounded = false;
    for (let k = 0; k < PARTIALS; k++) {
      after[k] = amplitudes[k];
      sounded ||= before[k] !== 0;
      if (before[k] !== 0 || after[k] !== 0) last = k + 1;
    }
    const from = sounded ? this.hertz : hertz; // what begins after silence does so at its own pitch
    const rise = (hertz - from) / HOP;
    const leaps = Math.abs(rise) * HOP > 0.05 * from; // within one, a partial may be beyond half the rate
    let cycles = 0;
    for (let i = 1; i <= HOP; i++) {
      cycles = (from * i + (rise * i * (i + 1)) / 2) / RATE;
      if (!last) continue;
      const count = leaps ? Math.min(last, Math.ceil(FADE_HZ[1] / (from + rise * i)) - 1) : last;
      const angle = 2 * Math.PI * ((this.phase + cycles) % 1);
      const twice = 2 * Math.cos(angle);
      let older = 0;
      let sine = Math.sin(angle); // sin (k + 1) a = 2 cos a sin k a - sin (k - 1) a
      let fading = 0;
      let rising = 0;
      for (let k = 0; k < count; k++) {
        fading += before[k] * sine;
        rising += after[k] * sine;
        const next = twice * sine - older;
        older = sine;
        sine = next;
      }
      out[i - 1] += fading + ((rising - fading) * i) / HOP;
    }
    this.phase = (this.phase + cycles) % 1;
    this.hertz = hertz;
    [this.before, this.after] = [after, before];
  }
}

class Noise {
  constructor(constants, next) {
    this.next = next; // white, in -1..1
    this.size = 2 * constants.HOP;
    this.fourier = new Fourier(this.size);
    this.tail = new Float64Array(constants.HOP);
    // Squares of overlapping halves add up to as much as bins of parts in -1..1 need for a variance of 1.
    const shape = (_, i) => Math.sqrt(1.5 * this.size) * Math.sin(((i + 0.5) * Math.PI) / this.size);
    this.window = Float64Array.from({ length: this.size }, shape);
  }

  add(out, magnitudes) {
    const { fourier, tail, window, size, next } = this;
    const { re, im } = fourier;
    for (let k = 0; k <= size / 2; k++) {
      re[k] = next() * magnitudes[k];
      im[k] = next() * magnitudes[k];
    }
    im[0] = im[size / 2] = 0;
    const shaped = fourier.inverse(re, im);
    for (let i = 0; i < size / 2; i++) {
      out[i] += shaped[i] * window[i] + tail[i];
      tail[i] = shaped[size / 2 + i] * window[size / 2 + i];
    }
  }
}

// Convolution with an impulse response, in parts as long as a hop (Stockham 1966; overlap-save).
class Room {
  constructor({ HOP }, response) {
    this.hop = HOP;
    this.fourier = new Fourier(2 * HOP);
    this.pair = new Float64Array(2 * HOP); // the last two hops
    const bins = () => ({ re: new Float64Array(HOP + 1), im: new Float64Array(HOP + 1) });
    this.parts = Array.from({ length: response.length / HOP }, bins);
    this.parts.forEach((part, n) => {
      this.fourier.forward(response.subarray(n * HOP, (n + 1) * HOP));
      this.keep(part);
    });
    this.heard = this.parts.map(bins); // likewise of the hops so far, in a ring
    this.newest = 0;
    this.sum = bins();
  }

  keep(spectrum) {
    spectrum.re.set(this.fourier.re);
    spectrum.im.set(this.fourier.im);
  }

  silence() {
    this.pair.fill(0);
    for (const { re, im } of this.heard) [re.fill(0), im.fill(0)];
  }

  // A hop of dry sound in, the same hop in the room out.
  play(dry) {
    const { hop, pair, parts, heard, fourier, sum } = this;
    pair.copyWithin(0, hop);
    pair.set(dry, hop);
    this.newest = (this.newest + parts.length - 1) % parts.length;
    fourier.forward(pair);
    this.keep(heard[this.newest]);
    sum.re.fill(0);
    sum.im.fill(0);
    for (let n = 0; n < parts.length; n++) addProduct(sum, heard[(this.newest + n) % parts.length], parts[n]);
    return fourier.inverse(sum.re, sum.im).subarray(hop);
  }
}

function addProduct({ re, im }, a, b) {
  const aRe = a.re;
  const aIm = a.im;
  const bRe = b.re;
  const bIm = b.im;
  for (let k = 0; k < re.length; k++) {
    re[k] += aRe[k] * bRe[k] - aIm[k] * bIm[k];
    im[k] += aRe[k] * bIm[k] + aIm[k] * bRe[k];
  }
}
