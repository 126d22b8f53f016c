// Discrete Fourier transforms of real samples whose number is a power of two, in 64 bits.
class Fourier {
  constructor(size) {
    const half = (this.half = size / 2);
    this.cos = Float64Array.from({ length: half + 1 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sin = Float64Array.from({ length: half + 1 }, (_, i) => Math.sin((2 * Math.PI * i) / size));
    this.order = new Uint16Array(half); // the bits of each place, backwards
    for (let i = 1; i < half; i++) this.order[i] = (this.order[i >> 1] >> 1) | (i & 1 ? half / 2 : 0);
    this.x = new Float64Array(half); // even samples as real parts, odd ones as imaginary parts
    this.y = new Float64Array(half);
    this.re = new Float64Array(half + 1); // bins 0 to size / 2
    this.im = new Float64Array(half + 1);
    this.samples = new Float64Array(size);
  }

  // The complex transform of x + iy (Cooley and Tukey 1965), in place, x and y in the order of their bits.
  transform() {
    const { half, cos, sin, x, y } = this;
    for (let span = 1, stride = half; span < half; span *= 2, stride /= 2) {
      for (let start = 0; start < half; start += 2 * span) {
        for (let a = start, b = start + span, t = 0; a < start + span; a++, b++, t += stride) {
          const re = x[b] * cos[t] + y[b] * sin[t];
          const im = y[b] * cos[t] - x[b] * sin[t];
          x[b] = x[a] - re;
          y[b] = y[a] - im;
          x[a] += re;
          y[a] += im;
        }
      }
    }
  }

  // Sets `re` and `im` to the spectrum of samples; those that are missing at the end count as 0.
  forward(samples) {
    const { half, cos, sin, order, x, y, re, im } = this;
    for (let i = 0; i < half; i++) {
      x[order[i]] = 2 * i < samples.length ? samples[2 * i] : 0;
      y[order[i]] = 2 * i < samples.length ? samples[2 * i + 1] : 0;
    }
    this.transform();
    for (let k = 0; k <= half; k++) {
      const a = k % half;
      const b = (half - k) % half;
      const evenRe = (x[a] + x[b]) / 2;
      const evenIm = (y[a] - y[b]) / 2;
      const oddRe = (y[a] + y[b]) / 2;
      const oddIm = (x[b] - x[a]) / 2;
      re[k] = evenRe + oddRe * cos[k] + oddIm * sin[k];
      im[k] = evenIm + oddIm * cos[k] - oddRe * sin[k];
    }
  }

  // The samples of a spectrum of bins 0 to size / 2; good until the next call.
  inverse(re, im) {
    const { half, cos, sin, order, x, y, samples } = this;
    for (let k = 0; k < half; k++) {
      const m = half - k;
      const evenRe = re[k] + re[m];
      const evenIm = im[k] - im[m];
      const oddRe = (re[k] - re[m]) * cos[k] - (im[k] + im[m]) * sin[k];
      const oddIm = (im[k] + im[m]) * cos[k] + (re[k] - re[m]) * sin[k];
      x[order[k]] = evenRe - oddIm;
      y[order[k]] = -evenIm - oddRe; // the inverse is the conjugate of the conjugate's transform
    }
    this.transform();
    for (let i = 0; i < half; i++) {
      samples[2 * i] = x[i] / (2 * half);
      samples[2 * i + 1] = -y[i] / (2 * half);
    }
    return samples;
  }
}
