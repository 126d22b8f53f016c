// The network: from pitch and loudness to the strengths of partials and noise. As timbrekit/tone/decoder.py.

// y = W x + b; the rows of W one after the other. Four rows at a time: their sums do not wait for each other.
function linear(weight, bias) {
  const out = new Float64Array(bias.length);
  const columns = weight.length / bias.length;
  return (x) => {
    let row = 0;
    for (; row + 4 <= bias.length; row += 4) {
      const at = row * columns;
      let a = bias[row];
      let b = bias[row + 1];
      let c = bias[row + 2];
      let d = bias[row + 3];
      for (let i = 0; i < columns; i++) {
        const value = x[i];
        a += weight[at + i] * value;
        b += weight[at + columns + i] * value;
        c += weight[at + 2 * columns + i] * value;
        d += weight[at + 3 * columns + i] * value;
      }
      out[row] = a;
      out[row + 1] = b;
      out[row + 2] = c;
      out[row + 3] = d;
    }
    for (; row < bias.length; row++) {
      out[row] = bias[row];
      for (let i = 0; i < columns; i++) out[row] += weight[row * columns + i] * x[i];
    }
    return out;
  };
}

function normalise(x, gain, shift) {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
  const scale = 1 / Math.sqrt(variance + 1e-5);
  for (let i = 0; i < x.length; i++) x[i] = (x[i] - mean) * scale * gain[i] + shift[i];
}

function leak(x) {
  for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] *= 0.01;
  return x;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

class Decoder {
  constructor({ weights, pitch, loudness, constants }) {
    const w = Object.fromEntries(Object.entries(weights).map(([name, values]) => [name, decodeFloats(values)]));
    const layer = (name) => linear(w[`${name}.weight`], w[`${name}.bias`]);
    const normalised = (name) => {
      const first = layer(`${name}.0`);
      return (x) => {
        const y = first(x);
        normalise(y, w[`${name}.1.weight`], w[`${name}.1.bias`]);
        return leak(y);
      };
    };
    const reader = (name) => {
      const [first, second] = [normalised(name), layer(`${name}.3`)];
      return (x) => leak(second(first(x)));
    };
    Object.assign(this, { range: pitch, force: loudness }, constants);
    this.readPitch = reader("read_pitch");
    this.readLoudness = reader("read_loudness");
    this.input = linear(w["gru.weight_ih_l0"], w["gru.bias_ih_l0"]);
    this.recurrent = linear(w["gru.weight_hh_l0"], w["gru.bias_hh_l0"]);
    this.mix = normalised("mix");
    this.strengths = layer("strengths");
    this.hidden = w["gru.bias_hh_l0"].length / 3;
    const units = w["read_pitch.3.bias"].length;
    this.read = new Float64Array(2 * units + 1);
    this.joined = new Float64Array(this.hidden + this.read.length);
    this.state = new Float64Array(this.hidden);
    this.amplitudes = new Float64Array(this.PARTIALS);
    this.bands = new Float64Array(this.BANDS);
    this.magnitudes = new Float64Array(this.HOP + 1);
    this.binPower = binWeights(2 * this.HOP, this.RATE).map((weight) => weight / (2 * this.HOP));
    this.spreadBands();
  }

  // Each bin's two bands, and the share of the second.
  spreadBands() {
    const erb = (hertz) => Math.log10(1 + 0.00437 * hertz);
    const [low, high] = [erb(this.LOWEST_BAND_HZ), erb(this.RATE / 2)];
    const step = this.RATE / 2 / this.HOP;
    this.places = Float64Array.from({ length: this.HOP + 1 }, (_, k) =>
      clip(((erb(k * step) - low) / (high - low)) * (this.BANDS - 1), 0, this.BANDS - 1),
    );
  }

  remember() {
    const { state, hidden, read } = this;
    const [from, back] = [this.input(read), this.recurrent(state)];
    for (let i = 0; i < hidden; i++) {
      const reset = sigmoid(from[i] + back[i]);
      const keep = sigmoid(from[hidden + i] + back[hidden + i]);
      const fresh = Math.tanh(from[2 * hidden + i] + reset * back[2 * hidden + i]);
      state[i] = (1 - keep) * fresh + keep * state[i];
    }
  }

  // Sets `amplitudes` of the partials and `magnitudes` of the noise's bins.
  decode({ pitch, voiced, loudness }) {
    const { read, joined, amplitudes, bands, magnitudes, range, force, PARTIALS, HOP, FADE_HZ } = this;
    const place = (value, [low, high]) => (value - (low + high) / 2) / ((high - low) / 2 + 1);
    read.set(this.readPitch([clip(place(pitch, range), -1.5, 1.5)]));
    read.set(this.readLoudness([clip(place(loudness, force), -4, 2)]), (read.length - 1) / 2);
    read[read.length - 1] = voiced;
    this.remember();
    joined.set(this.state);
    joined.set(read, this.hidden);
    const made = this.strengths(this.mix(joined));
    const strength = (x) => sigmoid(x) ** Math.LN10 + this.LEAST;
    const fundamental = 440 * 2 ** ((pitch - 69) / 12);
    let power = 0;
    for (let k = 0; k < PARTIALS; k++) {
      const hertz = (k + 1) * fundamental;
      amplitudes[k] = strength(made[k]) * clip((FADE_HZ[1] - hertz) / (FADE_HZ[1] - FADE_HZ[0]), 0, 1);
      power += 0.5 * kWeighting(hertz) * amplitudes[k] ** 2;
    }
    for (let band = 0; band < bands.length; band++) bands[band] = strength(made[PARTIALS + band]);
    for (let bin = 0; bin <= HOP; bin++) {
      const band = Math.min(Math.floor(this.places[bin]), bands.length - 2);
      magnitudes[bin] = bands[band] + (this.places[bin] - band) * (bands[band + 1] - bands[band]);
      power += magnitudes[bin] ** 2 * this.binPower[bin];
    }
    const asked = Math.max(0, 10 ** ((loudness + 0.691) / 10) - 10 ** ((this.FLOOR + 0.691) / 10));
    const gain = Math.sqrt(asked / power) * Math.exp(this.WIDEST_CORRECTION * Math.tanh(made[made.length - 1]));
    for (let k = 0; k < PARTIALS; k++) amplitudes[k] *= gain * voiced;
    for (let bin = 0; bin <= HOP; bin++) magnitudes[bin] *= gain;
    return fundamental;
  }
}
