// The voice of the plug-in's 808, in its arithmetic: free-running oscillators and noise under four envelopes.
// What a voice is to the player stands in player.js.

class Oscillator {
  phase = 0; // never reset by a trigger

  // step: phase per sample; sweep: pitch envelope; depth: how far it raises the pitch
  next(step, sweep, depth) {
    const sample = f32(Math.sin(f32(this.phase)));
    this.phase += step + f32(f32(step * sweep) * depth);
    if (this.phase > 2 * Math.PI) this.phase -= 2 * Math.PI;
    return sample;
  }
}

// Linear attack of about 1 ms from wherever the envelope stands, then exponential decay.
class Envelope {
  value = 0;
  rising = false;

  next(attack, decay) {
    if (this.rising) {
      this.value = Math.min(1, f32(this.value + attack));
      this.rising = this.value < 1;
    } else if (this.value > 0) {
      this.value = f32(this.value * decay);
      if (this.value < 1e-4) this.value = 0;
    }
    return this.value;
  }
}

const gain = (decibels) => f32(Math.pow(10, f32(decibels / 20)));

class Snare808 {
  step = 0.01; // the plug-in rounds every parameter to this step
  groups = [
    ["Osc 1", ["osc1.freq", "osc1.mod", "osc1_env.decay", "osc1_gain.gain"]],
    ["Osc 2", ["osc2.freq", "osc2.mod", "osc2_env.decay", "osc2_gain.gain"]],
    ["Noise", ["noise_filter.freq", "noise_filter.q", "noise_env.decay", "noise_gain.gain"]],
  ];

  constructor(rate) {
    this.rate = rate;
    this.attack = f32(1 / Math.floor(0.001 * rate));
    this.silence();
  }

  silence() {
    this.oscillators = [new Oscillator(), new Oscillator()];
    this.envelopes = [new Envelope(), new Envelope(), new Envelope(), new Envelope()];
    this.filter = new HighPass();
    if (this.values) this.set(this.values);
  }

  // values: 14 physical values in the plug-in's order
  set(values) {
    this.values = values;
    const [f1, depth1, f2, depth2, sweep, tone1, tone2, hiss, cutoff, q, gain1, gain2, gain3, drive] = values;
    this.steps = [f1, f2].map((hertz) => f32((2 * Math.PI * hertz) / this.rate));
    this.depths = [depth1, depth2];
    this.decays = [sweep, tone1, tone2, hiss].map((ms) => f32(1 - f32(f32(6.91) / f32(f32(ms * this.rate) / 1000))));
    this.filter.tune(Math.min(cutoff, this.rate / 2 - 1000), q, this.rate);
    this.gains = [gain1, gain2, gain3].map(gain);
    this.drive = gain(drive);
  }

  trigger() {
    for (const envelope of this.envelopes) envelope.rising = true;
  }

  // One sample out. noise: white, in -1..1.
  next(noise) {
    const { oscillators, envelopes, steps, depths, decays, gains, attack } = this;
    const sweep = envelopes[0].next(attack, decays[0]);
    let sum = 0;
    for (let i = 0; i < 2; i++) {
      const tone = oscillators[i].next(steps[i], sweep, depths[i]);
      sum = f32(sum + f32(f32(tone * envelopes[i + 1].next(attack, decays[i + 1])) * gains[i]));
    }
    sum = f32(sum + f32(f32(this.filter.next(noise) * envelopes[3].next(attack, decays[3])) * gains[2]));
    return f32(Math.tanh(f32(sum * this.drive)));
  }
}
