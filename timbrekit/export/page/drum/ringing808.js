// The voice of the 808 for models that correct their sound while it rings, as timbrekit/synth/snare808_updates.py plays
// it: envelopes are exact, all is in 64 bits, and the noise filter starts in zero state at each trigger and update.

const SILENCE = 1e-4; // an envelope below is 0
const PITCH = 0; // envelopes: pitch, oscillators 1 and 2, noise
const NOISE = 3;

class Ringing808 extends Snare808 {
  constructor(rate) {
    super(rate);
    this.attack = Math.max(1, Math.floor(0.001 * rate)); // samples
    this.glides = glideSamples(rate);
  }

  silence() {
    this.levels = new Float64Array(4);
    this.starts = new Float64Array(4); // where each rises from
    this.rising = [false, false, false, false];
    this.risen = new Float64Array(4); // samples since each was at 1
    this.oldLevels = new Float64Array(4); // of the parameters before, during a glide
    this.phases = new Float64Array(2); // cycles
    this.filter = new Float64Array(2); // state
    this.oldFilter = new Float64Array(2);
    this.since = 0; // samples since the trigger
    this.updates = 0; // since the trigger
    this.glide = 0; // samples
    this.gliding = Infinity; // samples of the glide that are over
  }

  // values: 14 physical values in the plug-in's order; they hold from the next trigger on
  set(values) {
    this.values = values;
    const { rate } = this;
    const [f1, mod1, f2, mod2, sweep, tone1, tone2, hiss, cutoff, q, gain1, gain2, gain3, drive] = values;
    const k = Math.tan((Math.PI * Math.min(cutoff, rate / 2 - 1000)) / rate);
    const b0 = 1 / (1 + k / q + k * k);
    this.coming = {
      decays: [sweep, tone1, tone2, hiss].map((ms) => 1 - 6910 / rate / ms),
      gains: [0, gain1, gain2, gain3].map((decibels) => 10 ** (decibels / 20) * 10 ** (drive / 20)),
      steps: [f1 / rate, f2 / rate],
      mods: [mod1, mod2],
      b0,
      a1: 2 * (k * k - 1) * b0,
      a2: (1 - k / q + k * k) * b0,
    };
    this.tuning ??= this.coming;
  }

  trigger() {
    this.tuning = this.coming;
    this.starts.set(this.levels);
    this.rising.fill(true);
    this.since = 0;
    this.updates = 0;
    this.gliding = Infinity;
    this.filter.fill(0);
  }

  update(values) {
    this.set(values);
    this.before = this.tuning;
    this.oldLevels.set(this.levels);
    this.oldFilter.set(this.filter);
    this.tuning = this.coming;
    this.filter.fill(0);
    this.tuning.decays.forEach((decay, e) => {
      if (this.rising[e]) return;
      const level = decay ** this.risen[e]; // as if it had decayed like this all along
      this.levels[e] = level < SILENCE ? 0 : level;
    });
    this.glide = this.glides[this.updates++];
    this.gliding = 0;
  }

  // One sample out. noise: white, in -1..1.
  next(noise) {
    const { tuning, before, phases } = this;
    this.follow();
    const gliding = this.gliding < this.glide;
    const share = gliding ? passedOver(++this.gliding / this.glide) : 1;
    let sum = share * this.amplitude(tuning, this.levels, NOISE) * filtered(noise, tuning, this.filter);
    if (gliding) {
      const old = this.amplitude(before, this.oldLevels, NOISE) * filtered(noise, before, this.oldFilter);
      sum += (1 - share) * old;
    }
    for (let i = 0; i < 2; i++) {
      let amplitude = this.amplitude(tuning, this.levels, i + 1);
      let step = tuning.steps[i] * (1 + tuning.mods[i] * this.levels[PITCH]);
      if (gliding) {
        const oldStep = before.steps[i] * (1 + before.mods[i] * this.oldLevels[PITCH]);
        amplitude = share * amplitude + (1 - share) * this.amplitude(before, this.oldLevels, i + 1);
        step = share * step + (1 - share) * oldStep;
      }
      sum += amplitude * Math.sin(2 * Math.PI * phases[i]);
      phases[i] += step;
      phases[i] -= Math.floor(phases[i]);
    }
    return f32(Math.tanh(sum));
  }

  amplitude({ gains }, levels, e) {
    return levels[e] * gains[e];
  }

  // The envelopes' next values.
  follow() {
    const { levels, oldLevels, rising } = this;
    this.since += 1;
    for (let e = 0; e < 4; e++) {
      if (rising[e]) {
        levels[e] = Math.min(1, this.starts[e] + this.since / this.attack);
        rising[e] = levels[e] < 1;
        this.risen[e] = 0;
        continue;
      }
      levels[e] = decayed(levels[e], this.tuning.decays[e]);
      if (this.gliding < this.glide) oldLevels[e] = decayed(oldLevels[e], this.before.decays[e]);
      this.risen[e] += 1;
    }
  }
}

function decayed(level, decay) {
  const next = level * decay;
  return next < SILENCE ? 0 : next;
}

// One sample through a high-pass, transposed direct form II.
function filtered(x, { b0, a1, a2 }, state) {
  const y = b0 * x + state[0];
  state[0] = state[1] - 2 * b0 * x - a1 * y;
  state[1] = b0 * x - a2 * y;
  return y;
}
