// A sounding voice that is given new parameters: it passes over to them within 4 or 11 ms. Numbers of samples are those
// at 44.1 and 48 kHz, multiplied by a power of two at other rates. Formulas: timbrekit/synth/updates.py, docs/listener.md.

const GLIDES = [512, 192, 192, 512]; // samples, of each update of a hit; the next one is never closer

const rateFactor = (rate) => 2 ** Math.round(Math.log2(rate / 48000));
const glideSamples = (rate) => GLIDES.map((glide) => Math.max(1, Math.round(glide * rateFactor(rate))));

// How much the new parameters count at a point 0..1 of the way.
function passedOver(way) {
  const u = clip(way, 0, 1);
  return u * u * (3 - 2 * u);
}
