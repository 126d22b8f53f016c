// One stroke of the user's own drum: damped modes, noise in bands and an onset part, as recurrences in 64 bits. One
// complex product for each mode and sample.

const ATTACK = 0.001; // s, of the modes
const END_FADE = 0.005; // s, at the end of a stroke and where the next one cuts it off
const STEP = 64; // samples between two values of a noise band's level
// s after the onset at which a noise's curves have their levels, and how much each of them is late.
const NODES = [0, ...Array.from({ length: 16 }, (_, i) => 0.012 * (2 / 0.012) ** (i / 15)), 10];
const LATENESS = NODES.map((node) => clip(Math.log10(node / 0.02), 0, 1));
const ONSET_OCTAVES = [-2, 0, 2]; // of the onset's bands, from the middle one
const HIGHEST = 0.48; // of the sample rate: modes above are silent
const FAINT = 1e-12; // a mode below is over

// How far a glide from one set of parameters to the next has come, 0..1: it begins with the sample after `since` 0.
function risen(since, glide) {
  return passedOver((since + 1) / glide);
}

// What one set of parameters makes of a stroke, from an age on and after so many updates; 0 unless it is an update.
class Stroke {
  cutAt = Infinity; // age at which the next stroke came
  goes = Infinity; // age at which an update came

  constructor(voice, values, age = 0, updates = 0) {
    this.age = age; // samples
    this.updates = updates;
    [this.glideTo, this.glideFrom = 1] = [1, ...voice.glides].slice(updates); // samples
    this.came = age || -Infinity;
    const [pitch, glideAmount, glideTime, ...others] = values;
    const [modesLevel, brightness, modesDecay, tilt, noiseLevel, noiseColour, noiseDecay, ...more] = others;
    const [late, onsetLevel, onsetColour, drive, level, strike, blend = 0] = more;
    const shares = voice.drums.length > 1 ? [1 - blend / 100, blend / 100] : [1];
    const drum = voice.at(blend / 100);
    const harder = strike - drum.referenceLoudness;
    this.voice = voice;
    this.startModes(drum, 2 ** (pitch / 12), modesLevel, brightness, 100 / modesDecay, tilt, harder);
    const steps = Math.max(0, glideAmount + (drum.moreSteps ?? 0));
    this.glide = { amount: 2 ** (steps / 12) - 1, time: (glideTime / 1000) * (drum.longer ?? 1) };
    this.startNoise(drum, shares, noiseLevel, noiseColour, 100 / noiseDecay, late, harder);
    this.mixOnset(shares, onsetLevel + strike, onsetColour, strike);
    this.drive = fromDecibels(drive);
    this.level = fromDecibels(level);
    this.seconds = (drum.seconds * Math.max(modesDecay, noiseDecay, 100)) / 100;
  }

  startModes(drum, pitch, level, brightness, faster, tilt, harder) {
    const { rate } = this.voice;
    const parts = ["re", "im", "turnRe", "turnIm"];
    for (const name of parts) this[name] = new Float64Array(drum.frequency.length);
    this.ringing = 0;
    this.gliding = [];
    drum.frequency.forEach((hertz, i) => {
      const frequency = hertz * pitch;
      if (frequency >= HIGHEST * rate) return;
      const octaves = Math.log2(hertz / drum.mainFrequency);
      const amplitude = fromDecibels(drum.level[i] + drum.level_slope[i] * harder + level + brightness * octaves);
      const damping = drum.decay[i] * Math.exp(drum.decay_slope[i] * harder + tilt * octaves * Math.LN2);
      const fade = Math.exp((-damping * faster) / rate);
      const phase = drum.phase[i];
      if (drum.gliding[i] > 0.5) {
        this.gliding.push({ frequency, phase, amplitude: amplitude * fade ** this.age, fade });
        return;
      }
      const turn = (2 * Math.PI * frequency) / rate;
      this.re[this.ringing] = amplitude * fade ** this.age * Math.cos(phase + turn * this.age);
      this.im[this.ringing] = amplitude * fade ** this.age * Math.sin(phase + turn * this.age);
      this.turnRe[this.ringing] = fade * Math.cos(turn);
      this.turnIm[this.ringing] = fade * Math.sin(turn);
      this.ringing += 1;
    });
  }

  // Curves of the bands of the first drum and then of the second one, each in its own colour: exponents of e.
  startNoise(drum, shares, level, colour, faster, late, harder) {
    const { octaves } = this.voice;
    this.faster = faster;
    this.curves = shares.flatMap((share) =>
      drum.noise_level.map((curve, i) => {
        const early = drum.noise_slope[i] * harder + level + colour * octaves[i];
        const more = (drum.late_slope[i] - drum.noise_slope[i]) * harder + late; // late on
        const exponent = (decibels, node) => ((decibels + early + more * LATENESS[node]) * Math.LN10) / 20;
        return curve.map((decibels, node) => exponent(decibels, node) + Math.log(Math.max(share, 1e-15)));
      }),
    );
    this.noise = new Float64Array(this.curves.length); // level of each band …
    this.rise = new Float64Array(this.curves.length); // … and by how much it changes with each sample
    this.coming = new Float64Array(this.curves.length); // level at the next step
    const part = this.age % STEP;
    this.noiseAt(this.age - part, this.coming);
    if (part) {
      this.step();
      this.noise.forEach((_, i) => (this.noise[i] += part * this.rise[i]));
    }
  }

  // Puts the level of each band at an age into an array.
  noiseAt(age, levels) {
    const time = Math.min((age / this.voice.rate) * this.faster, NODES.at(-1));
    const after = Math.max(1, NODES.findIndex((node) => node >= time));
    const part = (time - NODES[after - 1]) / (NODES[after] - NODES[after - 1]);
    this.curves.forEach((curve, i) => {
      levels[i] = Math.exp(curve[after - 1] + part * (curve[after] - curve[after - 1]));
    });
  }

  mixOnset(shares, level, colour, strike) {
    this.onset = new Float64Array(Math.max(...this.voice.rooms.map(({ length }) => length)));
    this.voice.recorded.forEach(({ loudness, onsets }, n) => {
      for (const [hit, near] of nearest(strike, loudness)) {
        onsets[hit].forEach((wave, band) => {
          const gain = shares[n] * near * fromDecibels(level + colour * ONSET_OCTAVES[band]);
          for (let i = 0; i < wave.length; i++) this.onset[i] += gain * wave[i];
        });
      }
    });
  }

  get over() {
    const { age, voice } = this;
    return age >= this.seconds * voice.rate || age - this.cutAt >= voice.cut || age - this.goes >= this.glideFrom;
  }

  // One sample of what still rings. at: place of the noise's bands in the table.
  next(at) {
    const { age, voice, drive } = this;
    if (age % STEP === 0) this.step();
    let sound = (this.rung() + this.glided()) * Math.min(1, age / (ATTACK * voice.rate));
    sound += this.hissed(at);
    if (age < this.onset.length) sound += this.onset[age];
    sound *= clip((this.seconds - age / voice.rate) / END_FADE, 0, 1);
    const cut = clip(1 - (age - this.cutAt) / voice.cut, 0, 1);
    const share = risen(age - this.came, this.glideTo) - risen(age - this.goes, this.glideFrom);
    this.age += 1;
    return (Math.tanh(sound * drive) / drive) * this.level * cut * share;
  }

  // Every STEP samples: the noise's levels take a new line, and modes that are over are left out.
  step() {
    const { noise, coming, rise } = this;
    noise.set(coming);
    this.noiseAt(this.age - (this.age % STEP) + STEP, coming);
    for (let i = 0; i < noise.length; i++) rise[i] = (coming[i] - noise[i]) / STEP;
    const { re, im } = this;
    for (let i = this.ringing - 1; i >= 0; i--) {
      if (Math.abs(re[i]) + Math.abs(im[i]) > FAINT) continue;
      const last = (this.ringing -= 1);
      for (const part of [re, im, this.turnRe, this.turnIm]) part[i] = part[last];
    }
    this.gliding = this.gliding.filter(({ amplitude }) => amplitude > FAINT);
  }

  rung() {
    const { re, im, turnRe, turnIm, ringing } = this;
    let sum = 0;
    for (let i = 0; i < ringing; i++) {
      const x = re[i];
      const y = im[i];
      sum += x;
      re[i] = x * turnRe[i] - y * turnIm[i];
      im[i] = x * turnIm[i] + y * turnRe[i];
    }
    return sum;
  }

  glided() {
    if (!this.gliding.length) return 0;
    const time = this.age / this.voice.rate;
    const steady = time - this.glide.amount * this.glide.time * Math.expm1(-time / this.glide.time);
    let sum = 0;
    for (const mode of this.gliding) {
      const turns = mode.frequency * steady;
      sum += mode.amplitude * Math.cos(2 * Math.PI * (turns - Math.floor(turns)) + mode.phase);
      mode.amplitude *= mode.fade;
    }
    return sum;
  }

  hissed(at) {
    const { noise, rise, age } = this;
    const { table, rooms } = this.voice;
    let sum = 0;
    for (let n = 0; n < rooms.length; n++) {
      let part = 0;
      for (let i = n * BANDS; i < (n + 1) * BANDS; i++) {
        part += noise[i] * table[at + i];
        noise[i] += rise[i];
      }
      sum += age < rooms[n].length ? part * rooms[n][age] : part;
    }
    return sum;
  }
}
