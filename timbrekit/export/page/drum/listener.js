// What a model hears of a hit, and answers. A listener is a class of one way to hear:
//   constructor(model, rate): Hz
//   delays: samples from a detection to each of its answers; the first is the trigger, the others correct what rings
//   hear(look, recent, position): what it hears with the sample at `position`, for its answer number `look`
//   tell(features): what it would have heard of a hit with three features in 0..1
//   answer(look, heard): { raw, features, modulation }: three features of the hit, in their units and in 0..1, and what
//     the network answers
// recent: Float32Array, a power of two long, in which the sample at a position lies at that number modulo its length.

const recentSize = (rate) => Math.max(WINDOW, 4096 * rateFactor(rate)); // that any listener needs

// The samples that end with the one at a position, oldest first.
function lastSamples(recent, position, samples) {
  const first = position - samples.length + 1 + recent.length;
  for (let i = 0; i < samples.length; i++) samples[i] = recent[(first + i) & (recent.length - 1)];
  return samples;
}

// As the plug-in: three features of 256 samples, once.
class OnsetListener {
  delays = [TRIGGER_DELAY];

  constructor(model, rate) {
    this.rate = rate;
    this.ranges = new FeatureRanges(model.onset_features);
    this.network = makeNetwork(model.network);
    this.window = new Float32Array(WINDOW);
  }

  hear(look, recent, position) {
    return onsetFeatures(lastSamples(recent, position, this.window), this.rate);
  }

  tell(features) {
    return this.ranges.raw(features);
  }

  answer(look, raw) {
    const features = this.ranges.normalize(raw);
    return { raw, features, modulation: this.network(features) };
  }
}
