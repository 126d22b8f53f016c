// Discrete Fourier transforms of real samples whose number is a power of two, in 64 bits.
class Fourier {
  constructor(size) {
    const half = (this.half = size / 2);
    this.cos = Float64Array.from({ length: size }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sin = Float64Array.from({ length: size }, (_, i) => Math.sin((2 * Math.PI * i) / size));
    this.order = new Uint16Array(half); // the bits of each place, backwards
    for (let i = 1; i < half; i++) this.order[i] = (this.order[i >> 1] >> 1) | (i & 1 ? half / 2 : 0);
    this.x = new Float64Array(half); // even samples as real parts, odd ones as imaginary parts
    this.y = new Float64Array(half);
    this.re = new Float64Array(half + 1); // bins 0 to size / 2
    this.im = new Float64Array(half + 1);
    this.samples = new Float64Array(size);
  }

  // The complex transform of x + iy (Cooley and Tukey 1965), in place, x and y in the order of their bits. Two steps at
  // once: four values are turned by multiples of the same angle, and added up. Where the number of steps is odd, the
  // first, which turns nothing, goes alone.
  transform() {
    const { half, cos, sin, x, y } = this;
    const first = Math.log2(half) % 2 ? 2 : 1;
    for (let a = 0; first === 2 && a < half; a += 2) {
      const re = x[a + 1];
      const im = y[a + 1];
      x[a + 1] = x[a] - re;
      y[a + 1] = y[a] - im;
      x[a] += re;
      y[a] += im;
    }
    for (let span = first, stride = half / 2 / first; span < half; span *= 4, stride /= 4) {
      for (let j = 0; j < span; j++) {
        const t = j * stride;
        const c1 = cos[2 * t];
        const s1 = sin[2 * t];
        const c2 = cos[t];
        const s2 = sin[t];
        const c3 = cos[3 * t];
        const s3 = sin[3 * t];
        for (let a = j; a < half; a += 4 * span) {
          const b = a + span;
          const c = b + span;
          const d = c + span;
          const bRe = x[b] * c1 + y[b] * s1;
          const bIm = y[b] * c1 - x[b] * s1;
          const cRe = x[c] * c2 + y[c] * s2;
          const cIm = y[c] * c2 - x[c] * s2;
          const dRe = x[d] * c3 + y[d] * s3;
          const dIm = y[d] * c3 - x[d] * s3;
          const sumRe = x[a] + bRe;
          const sumIm = y[a] + bIm;
          const gapRe = x[a] - bRe;
          const gapIm = y[a] - bIm;
          x[a] = sumRe + cRe + dRe;
          y[a] = sumIm + cIm + dIm;
          x[b] = gapRe + cIm - dIm;
          y[b] = gapIm - cRe + dRe;
          x[c] = sumRe - cRe - dRe;
          y[c] = sumIm - cIm - dIm;
          x[d] = gapRe - cIm + dIm;
          y[d] = gapIm + cRe - dRe;
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
