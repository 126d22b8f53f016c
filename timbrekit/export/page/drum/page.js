// The page of a drum: joins what sounds and what is drawn to controls.

const WORDS = {
  still: "A recording and the pads still play.",
  midi: "Pads of a controller strike it, and its hits go out as notes.",
  first: "Drummed loop",
  made: "A drummed loop, made here",
  latency: "From a stroke until you hear it:",
  needs: ["name", "sample_rate", "preset", "parameters", "network", "onset_features", "detector"],
  open: "It plays drums from a page or a model file (.html, .pt) or a description (.json).",
  cancelled: "The plug-in mixes them: flip the phase of one, or feed it with one channel.",
};
function instrumentDelays(rate) {
  const [samples] = answerDelays(model, rate);
  return [[`Listening to the stroke (${samples} samples)`, samples / rate]];
}

// ---------------------------------------------------------------- sound and pictures

const heard = { minimum: [Infinity, Infinity, Infinity], maximum: [-Infinity, -Infinity, -Infinity] };
let fixed = true;
const hits = []; // the last ones, newest at the end
let count = 0;
let struck = false; // a hit since the last meter report

let knobs, lanes, trained; // of the instrument that plays; its ranges of features
const scope = new OnsetScope($("onset"));
const wave = new Waveform($("wave"));

const sound = new Sound(model, {
  onHit(hit) {
    hits.push(hit);
    if (hits.length > 1000) hits.shift();
    count += 1;
    struck = true;
    if (!looks()) showFeatures(hit);
    if (hit.physical.length === model.parameters.length) knobs.show(hit.normalized, hit.physical);
    // else it came from the instrument before, while another was being chosen
    flash(hit.features[0]);
    sendHit(hit);
    $("count").textContent = `${count} so far`;
    $("forget").disabled = false;
    if (sound.delayed) scope.push(ONSET_TOP, true);
  },
  // What the mel listener hears while the hit rings, and corrects it.
  onUpdate({ look, raw, features, normalized, physical }) {
    if (!looks() || physical.length !== model.parameters.length) return; // it came from the instrument before
    if (look === 1) lanes.show(raw, features, trained);
    knobs.show(normalized, physical);
    $("count").textContent = `${count} so far, the last in ${look + 1} looks`;
  },
  onMeters(meters) {
    showLevel(meters);
    scope.push(meters.onset, struck);
    struck = false;
  },
  onFileEnd: () => showFile(),
  onMicrophoneEnd: () => microphoneEnded(),
});

const looks = () => model.listener === "mel";

function showFeatures({ raw, features }) {
  raw.forEach((value, i) => {
    heard.minimum[i] = Math.min(heard.minimum[i], value);
    heard.maximum[i] = Math.max(heard.maximum[i], value);
  });
  showRanges();
  lanes.show(raw, features, fixed ? trained : heard);
}

// What a model with the mel listener says of itself.
function looksHelp() {
  const rate = model.sample_rate;
  const [first, ...later] = answerDelays(model, rate);
  const times = later.map((delay) => Math.round((1000 * (delay - first)) / rate));
  const after = `${times.slice(0, -1).join(", ")} and ${times.at(-1)} ms`;
  return `The first sound comes ${seconds(first / rate)} after the onset. The mel listener goes on, and corrects what rings ${after} later.`;
}

function showRanges() {
  $("ranges-choice").hidden = looks();
  lanes.showRange(fixed || looks() ? trained : heard);
  $("ranges-help").textContent = looks() ? looksHelp() : fixed
    ? "A hit is placed between the softest and loudest, darkest and brightest of the take the model was " +
      "trained on. A red mark lies outside it."
    : "A hit is placed between those heard since the page opened. Play your softest, loudest, darkest and " +
      "brightest first.";
}

// ---------------------------------------------------------------- the file's hits

let counting = 0; // number of the latest count; an older one gives up

const prepareFile = () => {};
const makeFirst = drummedLoop;

function studyFile() {
  $("file-state").textContent = `${sound.file.name}: finding hits …`;
  countHits();
}

async function countHits() {
  if (!sound.file) return;
  const mine = ++counting;
  const found = await sound.renderFile(() => mine !== counting);
  if (!found) return;
  wave.hits = found.hits.map((hit) => hit.position);
  const length = (sound.file.samples.length / model.sample_rate).toFixed(1);
  const number = wave.hits.length;
  $("file-state").textContent = `${sound.file.name}: ${length} s, ${number} hit${number === 1 ? "" : "s"}`;
  wave.canvas.setAttribute("aria-label", `Waveform of ${$("file-state").textContent}`);
  wave.draw();
}

// ---------------------------------------------------------------- controls

let recount;
function configure(settings) {
  sound.configure(settings);
  scope.setThresholds(settings);
  clearTimeout(recount);
  recount = setTimeout(countHits, 300);
}

const db = (value) => withUnit(value, "dB");
const rateNow = () => sound.context?.sampleRate ?? model.sample_rate; // in Hz, that the browser plays at
const holdText = (value) => `${value} · ${Math.round((value / rateNow()) * 1000)} ms`;
const DETECTOR = [
  // ranges of the plug-in's controls, so that settings can be carried over
  {
    id: "on_threshold",
    title: "Trigger Threshold",
    help: "A hit starts where the onset signal rises above this",
    min: 0.5,
    max: 32,
    step: 0.1,
    text: db,
  },
  {
    id: "off_threshold",
    title: "Retrigger Threshold",
    help: "The next hit can start once the signal has fallen below this",
    min: 0,
    max: 32,
    step: 0.01,
    text: db,
  },
  {
    id: "hold",
    title: "Hold Time",
    help: "Shortest time between two hits, in samples",
    min: 0,
    max: 5000,
    step: 1,
    text: holdText,
  },
];
const detectorSliders = DETECTOR.map((control) =>
  slider($("detector"), { ...control, value: model.detector[control.id] }, (value) => {
    instruments[chosen].settings[control.id] = value;
    configure({ [control.id]: value });
  }),
);
const sensitivity = {
  id: "sensitivity",
  title: "Neurality (how strongly it follows you)",
  min: 0,
  max: 4,
  step: 0.05,
  value: 1,
  text: (v) => v.toFixed(2),
  help: "How far your playing moves the preset: 0 not at all, 1 as it was trained",
};
const wet = {
  id: "wet",
  title: "Input / instrument",
  min: 0,
  max: 1,
  step: 0.01,
  value: 1,
  text: (v) => `${Math.round(v * 100)} % instrument`,
};
slider($("output"), sensitivity, (value) => configure({ sensitivity: value }));
slider($("output"), wet, (value) => configure({ wet: value }));
configure({ ...model.detector, sensitivity: 1, wet: 1, fixed });

for (const choice of document.getElementsByName("ranges")) {
  choice.addEventListener("change", () => {
    fixed = choice.value === "fixed";
    configure({ fixed });
    showRanges();
  });
}
$("forget").addEventListener("click", () => {
  heard.minimum.fill(Infinity);
  heard.maximum.fill(-Infinity);
  sound.call("forgetRanges");
  count = 0;
  $("count").textContent = "none yet";
  showRanges();
});

// What depends on the rate, which is known only once the sound runs.
function showRate(rate) {
  detectorSliders.forEach(({ show }) => show());
  const [here, there] = [rate, model.sample_rate].map((hertz) => `${hertz / 1000} kHz`);
  $("rate").hidden = here === there;
  $("rate").textContent =
    `The model was trained for ${there}, and this browser plays at ${here}, so it sounds a little different here. ` +
    `Set your sound card to ${there}, or train a model for ${here}.`;
}

// ---------------------------------------------------------------- start

// It has the voices of all drums. What another version wrote may hear otherwise, or not at all.
const isAlike = ({ detector, listener = "torchdrum" }) =>
  ["torchdrum", "mel"].includes(listener) && DETECTOR.every(({ id }) => Number.isFinite(detector?.[id]));

// Draws the instrument that plays from now on, and gives its detector's settings. changed: what was set by hand.
function showModel(changed = {}) {
  const detector = { ...model.detector, ...changed };
  const preset = new Player(model, model.sample_rate);
  for (const place of ["knobs", "features"]) $(place).replaceChildren();
  knobs = new Knobs($("knobs"), preset);
  lanes = new FeatureLanes($("features"), model.onset_features);
  trained = preset.listener.trained ?? model.onset_features;
  knobs.show(preset.preset, preset.synth.values);
  showRanges();
  detectorSliders.forEach(({ set }, i) => set(detector[DETECTOR[i].id]));
  scope.setThresholds(detector);
  $("about").textContent =
    `${model.preset.title ?? model.preset.name} · trained ${String(model.date).slice(0, 10)}`;
  return detector;
}

showModel();
openFirst();
begin();

// For tests and the curious.
globalThis.timbrekit = { model, sound, hits, instruments, makeInstrument, Output, receiveMidi };
