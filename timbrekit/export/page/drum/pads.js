// Pads and keys to strike.

const { seededNoise, onsetFeatures, TRIGGER_DELAY, Voice } = globalThis.timbrekitCore;

const AUDIBLE = [
  [-34, -3],
  [74, 122],
]; // loudness in dB, brightness in semitones that any detector setting finds

// A stroke as the trained drummer could have played it: loudness and brightness 0..1 inside the trained
// ranges. Noise through a low-pass whose cutoff is searched until the features come out as asked.
function makeStroke(model, rate, loudness, brightness, seed) {
  const { minimum, maximum } = model.onset_features;
  const [decibels, semitones] = [loudness, brightness].map((at, i) => {
    const [low, high] = [Math.max(minimum[i], AUDIBLE[i][0]), Math.min(maximum[i], AUDIBLE[i][1])];
    return low < high ? low + at * (high - low) : AUDIBLE[i][0] + at * (AUDIBLE[i][1] - AUDIBLE[i][0]);
  });
  const burst = (cutoff) => {
    const noise = seededNoise(seed);
    const follow = 1 - Math.exp((-2 * Math.PI * cutoff) / rate);
    let first = 0;
    let second = 0;
    return Float32Array.from({ length: Math.round(0.12 * rate) }, (_, i) => {
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
  const stroke = burst(low);
  const gain = 10 ** ((decibels - onsetFeatures(stroke.subarray(2, 258), rate)[0]) / 20);
  const peak = stroke.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return stroke.map((x) => x * Math.min(gain, 0.99 / peak));
}

const PAD_ROWS = [
  { name: "hard", loudness: 0.92, keys: "qwer", size: 2 },
  { name: "soft", loudness: 0.35, keys: "asdf", size: 1 },
];
const PAD_COLUMNS = [
  ["dark", 0.08],
  ["darker", 0.36],
  ["brighter", 0.64],
  ["bright", 0.92],
];
// Where the keys lie, whatever is printed on them: on a French keyboard Q is where A is here.
const KEY_PLACES = Object.fromEntries([..."qwerasdf"].map((key) => [key, `Key${key.toUpperCase()}`]));
const pads = new Map(); // place of a key to pad
const strokes = new Map(); // sounds by loudness and brightness

async function strike(loudness, brightness) {
  await sound.start();
  const name = `${loudness} ${brightness}`;
  if (!strokes.has(name)) {
    const seed = strokes.size + 1;
    strokes.set(name, makeStroke(model, sound.context.sampleRate, loudness, brightness, seed));
  }
  const stroke = strokes.get(name);
  if (sound.delayed) sound.delayed.play(stroke);
  else sound.sourceOf(stroke);
}

PAD_ROWS.forEach(({ name, loudness, keys, size }) =>
  PAD_COLUMNS.forEach(([tone, brightness], column) => {
    const dot = element("i");
    dot.style.width = dot.style.height = `${size * 0.7 + 0.3}rem`;
    dot.style.opacity = 0.35 + 0.65 * brightness;
    const label = element("span", { class: "hidden-text", text: `${name}, ${tone}` });
    const pad = element(
      "button",
      { type: "button" },
      dot,
      label,
      element("kbd", { text: keys[column].toUpperCase() }),
    );
    pad.strike = () => {
      pad.classList.add("struck");
      setTimeout(() => pad.classList.remove("struck"), 120);
      attempt(() => strike(loudness, brightness));
    };
    pad.addEventListener("pointerdown", (event) => event.button === 0 && pad.strike());
    pad.addEventListener("click", (event) => event.detail === 0 && pad.strike()); // Enter or space
    pads.set(KEY_PLACES[keys[column]], pad);
    $("pads").append(pad);
  }),
);

addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT")
    return;
  pads.get(event.code)?.strike();
});
