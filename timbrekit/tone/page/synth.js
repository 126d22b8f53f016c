// Harmonics, filtered noise and a room, hop by hop. As timbrekit/tone/synth.py.

class Harmonics {
  constructor(constants) {
    Object.assign(this, constants);
    this.hertz = 440;
    this.phase = 0; // of the fundamental, in cycles
    this.before = new Float64Array(this.PARTIALS); // amplitudes where the last hop ended
    this.after = new Float64Array(this.PARTIALS);
  }

  // Adds a hop that ends at `hertz` with `amplitudes`.
  add(out, hertz, amplitudes) {
    const { HOP, RATE, PARTIALS, FADE_HZ } = this;
    let [before, after] = [this.before, this.after];
    let last = 0; // partials that sound at either end
    let sounded = false;
    for (let k = 0; k < PARTIALS; k++) {
      const fade = clip((FADE_HZ[1] - (k + 1) * hertz) / (FADE_HZ[1] - FADE_HZ[0]), 0, 1);
      after[k] = amplitudes[k] * fade;
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
    this.frame = new Float64Array(this.size);
    this.tail = new Float64Array(constants.HOP);
    // Squares of overlapping halves add up to 1; and white noise in -1..1 is brought to variance 1.
    this.window = Float64Array.from({ length: this.size }, (_, i) => Math.sin(((i + 0.5) * Math.PI) / this.size));
  }

  add(out, magnitudes) {
    const { fourier, frame, tail, window, size } = this;
    for (let i = 0; i < size; i++) frame[i] = Math.sqrt(3) * this.next();
    fourier.forward(frame);
    for (let k = 0; k <= size / 2; k++) {
      fourier.re[k] *= magnitudes[k];
      fourier.im[k] *= magnitudes[k];
    }
    const shaped = fourier.inverse(fourier.re, fourier.im);
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
    const count = response.length / HOP;
    this.parts = new Float64Array(2 * count * (HOP + 1)); // spectra, real parts and then imaginary ones of each
    for (let part = 0; part < count; part++) {
      this.fourier.forward(response.subarray(part * HOP, (part + 1) * HOP));
      this.keep(this.parts, part);
    }
    this.heard = new Float64Array(this.parts.length); // likewise of the hops so far, in a ring
    this.newest = 0;
    this.re = new Float64Array(HOP + 1);
    this.im = new Float64Array(HOP + 1);
  }

  keep(spectra, place) {
    const bins = this.hop + 1;
    spectra.set(this.fourier.re, 2 * place * bins);
    spectra.set(this.fourier.im, (2 * place + 1) * bins);
  }

  silence() {
    this.pair.fill(0);
    this.heard.fill(0);
  }

  // A hop of dry sound in, the same hop in the room out.
  play(dry) {
    const { hop, pair, parts, heard, fourier, re, im } = this;
    pair.copyWithin(0, hop);
    pair.set(dry, hop);
    const bins = hop + 1;
    const count = parts.length / (2 * bins);
    this.newest = (this.newest + count - 1) % count;
    fourier.forward(pair);
    this.keep(heard, this.newest);
    re.fill(0);
    im.fill(0);
    for (let part = 0; part < count; part++) {
      const p = 2 * part * bins;
      const h = 2 * ((this.newest + part) % count) * bins;
      for (let k = 0; k < bins; k++) {
        re[k] += heard[h + k] * parts[p + k] - heard[h + bins + k] * parts[p + bins + k];
        im[k] += heard[h + k] * parts[p + bins + k] + heard[h + bins + k] * parts[p + k];
      }
    }
    return fourier.inverse(re, im).subarray(hop);
  }
}
