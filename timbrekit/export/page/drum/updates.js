// A sounding voice that is given new parameters: it passes over to them within 4 ms. Numbers of samples are those at 44.1
// and 48 kHz, multiplied by a power of two at other rates. Formulas: timbrekit/synth/updates.py, docs/listener.md.

const GLIDE = 192; // samples; two updates are never closer

const rateFactor = (rate) => 2 ** Math.round(Math.log2(rate / 48000));
const glideSamples = (rate) => Math.max(1, Math.round(GLIDE * rateFactor(rate)));

// How much the new parameters count at a point 0..1 of the way.
function passedOver(way) {
  const u = clip(way, 0, 1);
  return u * u * (3 - 2 * u);
}
