// Pads and keys to strike.

const { seededNoise, onsetFeatures, answerDelays } = globalThis.timbrekitCore;

const AUDIBLE = [
  [-34, -3],
  [74, 122],
]; // loudness in dB, brightness in semitones that any detector setting finds

const SECONDS = 0.12; // of a stroke
const struckTones = new Map(); // by instrument, sample rate and brightness

// Where 0..1 of a feature lies: in the trained range, as far as it can be heard. In dB, or semitones.
function within({ minimum, maximum }, i, at) {
  const [low, high] = [Math.max(minimum[i], AUDIBLE[i][0]), Math.min(maximum[i], AUDIBLE[i][1])];
  return low < high ? low + at * (high - low) : AUDIBLE[i][0] + at * (AUDIBLE[i][1] - AUDIBLE[i][0]);
}

// A stroke as bright as asked for, 0..1: noise through a low-pass whose cutoff is searched until it comes out so.
function makeTone(model, rate, brightness) {
  const semitones = within(model.onset_features, 1, brightness);
  const burst = (cutoff) => {
    const noise = seededNoise(1 + Math.round(100 * brightness));
    const follow = 1 - Math.exp((-2 * Math.PI * cutoff) / rate);
    let first = 0;
    let second = 0;
    return Float32Array.from({ length: Math.round(SECONDS * rate) }, (_, i) => {
      first += follow * (noise() - first);
      second += follow * (first - second);
      return second * Math.exp(-i / (0.018 * rate));
    });
  };
  let [low, high] = [40, rate / 2];
  for (let round = 0; round < 12; round++) {
    const middle = Math.sqrt(low * high);
    const heard = onsetFeatures(burst(middle).subarray(2, 258), rate)[1];
    [low, high] = heard < semitones ? [middle, high] : [low, middle];
  }
  const samples = burst(low);
  const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return { samples, peak, decibels: onsetFeatures(samples.subarray(2, 258), rate)[0] };
}

// A stroke as the trained drummer could have played it: loudness and brightness 0..1 inside the trained ranges.
function makeStroke(model, rate, loudness, brightness) {
  const key = `${chosen} ${rate} ${brightness}`;
  if (!struckTones.has(key)) struckTones.set(key, makeTone(model, rate, brightness));
  const { samples, peak, decibels } = struckTones.get(key);
  const gain = 10 ** ((within(model.onset_features, 0, loudness) - decibels) / 20);
  return samples.map((x) => x * Math.min(gain, 0.99 / peak));
}

// ---------------------------------------------------------------- pads

const HARD = 0.92; // loudness of a key in the upper row, and of Enter
const SOFT = 0.35; // of one in the lower row
const SOFTEST = 0.05; // at the lower edge of a pad; at the upper one it is 1
const PADS = [
  { tone: "dark", brightness: 0.08, keys: "qa" },
  { tone: "darker", brightness: 0.36, keys: "ws" },
  { tone: "brighter", brightness: 0.64, keys: "ed" },
  { tone: "bright", brightness: 0.92, keys: "rf" },
];
const keyStrokes = new Map(); // place of a key to what it does
// Where the keys lie, whatever is printed on them: on a French keyboard Q is where A is here.
const placeOfKey = (key) => `Key${key.toUpperCase()}`;

async function strike(loudness, brightness) {
  await sound.start();
  const stroke = makeStroke(model, sound.context.sampleRate, loudness, brightness);
  if (sound.delayed) sound.delayed.play(stroke);
  else sound.sourceOf(stroke);
}

for (const { tone, brightness, keys } of PADS) {
  const dot = element("i");
  dot.style.opacity = 0.35 + 0.65 * brightness;
  const pad = element("button", { type: "button" }, dot, element("span", { class: "hidden-text", text: tone }));
  pad.append(...[...keys].map((key) => element("kbd", { text: key.toUpperCase() })));
  const play = (loudness) => {
    pad.style.setProperty("--loudness", loudness);
    pad.classList.add("struck");
    setTimeout(() => pad.classList.remove("struck"), 120);
    attempt(() => strike(loudness, brightness));
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const { top, height } = pad.getBoundingClientRect();
    const up = 1 - (event.clientY - top) / height;
    play(SOFTEST + (1 - SOFTEST) * Math.min(1, Math.max(0, up)));
  });
  pad.addEventListener("click", (event) => event.detail === 0 && play(HARD)); // Enter or space
  [HARD, SOFT].forEach((loudness, row) => keyStrokes.set(placeOfKey(keys[row]), () => play(loudness)));
  $("pads").append(pad);
}

addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  keyStrokes.get(event.code)?.();
});
