// A loop to try the drum with, drummed by the page.

const LOOP_BPM = 92;
const LOOP_STEPS = 32; // sixteenths: two bars
const LOOP = [
  // sixteenth, loudness, brightness
  [0, 0.95, 0.08], [3, 0.3, 0.36], [4, 0.8, 0.64], [6, 0.35, 0.36], [7, 0.2, 0.36], [8, 0.9, 0.08], [10, 0.7, 0.08],
  [12, 0.95, 0.92], [14, 0.25, 0.64], [15, 0.4, 0.64], [16, 0.95, 0.08], [18, 0.3, 0.36], [20, 0.85, 0.64],
  [22, 0.2, 0.36], [23, 0.3, 0.36], [24, 0.6, 0.08], [26, 0.9, 0.08], [28, 1, 0.92], [29, 0.3, 0.92],
  [30, 0.5, 0.64], [31, 0.7, 0.36],
];

// Two bars as somebody could drum them, soft and loud, dark and bright, made of the pads' strokes.
function drummedLoop(rate) {
  const step = (rate * 60) / LOOP_BPM / 4;
  const samples = new Float32Array(Math.round(LOOP_STEPS * step));
  for (const [at, loudness, brightness] of LOOP) {
    const start = Math.round(at * step);
    makeStroke(model, rate, loudness, brightness).forEach((x, i) => (samples[start + i] += x));
  }
  return samples;
}
