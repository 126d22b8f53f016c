// The way out of a page: volume, a soft limit, and what a meter shows.

const LIMIT_FROM = 10 ** (-1 / 20); // -1 dB: what is softer passes as it is
const HEADROOM = 8; // 18 dB above full scale, that the limiter still tells apart
const LIMIT_POINTS = 16385; // odd: silence lies on one of them
const VOLUME_SECONDS = 0.015; // in which a new volume is reached, so that it does not click

// Output for an input of the limiter: itself, then bent so that it never passes full scale.
function limited(x) {
  const over = Math.abs(x) - LIMIT_FROM;
  if (over <= 0) return x;
  const room = 1 - LIMIT_FROM;
  return Math.sign(x) * (LIMIT_FROM + room * Math.tanh(over / room));
}

// Works without delay: a limiter that looks ahead would be late.
class Output {
  constructor(context, decibels) {
    const at = (i) => (HEADROOM * (2 * i)) / (LIMIT_POINTS - 1) - HEADROOM;
    const curve = Float32Array.from({ length: LIMIT_POINTS }, (_, i) => limited(at(i)));
    this.context = context;
    this.input = new GainNode(context, { gain: 10 ** (decibels / 20) });
    this.analyser = new AnalyserNode(context, { fftSize: 4096 });
    this.samples = new Float32Array(this.analyser.fftSize);
    const scale = new GainNode(context, { gain: 1 / HEADROOM });
    this.input.connect(this.analyser);
    this.input.connect(scale).connect(new WaveShaperNode(context, { curve })).connect(context.destination);
  }

  setVolume(decibels) {
    this.input.gain.setTargetAtTime(10 ** (decibels / 20), this.context.currentTime, VOLUME_SECONDS / 3);
  }

  // Highest sample of the last 4096 that goes into the limiter; 1 is full scale.
  get peak() {
    this.analyser.getFloatTimeDomainData(this.samples);
    return this.samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  }
}
