// The page: joins what sounds (sound.js) and what is drawn (view.js) to controls.

// ---------------------------------------------------------------- sound and pictures

const heard = { minimum: [Infinity, Infinity, Infinity], maximum: [-Infinity, -Infinity, -Infinity] };
let fixed = true;
const hits = []; // the last ones, newest at the end
let count = 0;
let shownLevel = -60; // dB
const LEVEL_FALL = 1.2; // dB a meter report, so that a stroke can be read
let struck = false; // a hit since the last meter report

const preset = new Player(model, model.sample_rate);
const knobs = new Knobs($("knobs"), model.parameters, preset.preset);
const lanes = new FeatureLanes($("features"), model.onset_features);
const scope = new OnsetScope($("onset"));
const wave = new Waveform($("wave"));

const sound = new Sound(model, {
  onHit(hit) {
    hits.push(hit);
    if (hits.length > 1000) hits.shift();
    count += 1;
    struck = true;
    hit.raw.forEach((value, i) => {
      heard.minimum[i] = Math.min(heard.minimum[i], value);
      heard.maximum[i] = Math.max(heard.maximum[i], value);
    });
    showRanges();
    lanes.show(hit.raw, hit.features, fixed ? model.onset_features : heard);
    knobs.show(hit.normalized, hit.physical);
    $("count").textContent = `${count} so far`;
    $("forget").disabled = false;
    if (sound.delayed) scope.push(ONSET_TOP, true);
  },
  onMeters({ level, onset, broken }) {
    shownLevel = Math.max(20 * Math.log10(level), shownLevel - LEVEL_FALL, -60);
    const db = shownLevel;
    $("level").firstElementChild.style.transform = `scaleX(${(db + 60) / 60})`;
    $("level").setAttribute("aria-valuenow", Math.round(db));
    $("level-text").textContent = db > -60 ? withUnit(db, "dB") : "silent";
    scope.push(onset, struck);
    struck = false;
    if (broken && !findNotice("broken")) {
      notice(
        "broken",
        "The input sent samples that are not numbers; silence was put in their place. " +
          "If it goes on, stop listening and choose the input again.",
      );
    }
  },
  onFileEnd: () => showFile(),
  onMicrophoneEnd() {
    showMicrophone();
    notice(
      "microphone",
      "The input has ended; it may have been unplugged. Choose an input and press Start again.",
    );
  },
});

function showRanges() {
  lanes.showRange(fixed ? model.onset_features : heard);
  $("ranges-help").textContent = fixed
    ? "A hit is placed between the softest and loudest, darkest and brightest of the take the model was " +
      "trained on. A red mark lies outside it."
    : "A hit is placed between those heard since the page opened. Play your softest, loudest, darkest and " +
      "brightest first.";
}

// Runs what a click asks for; a refused audio thread is told once, any other failure by its name.
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error !== sound.refusal) notice("failure", `That did not work (${error.name}). ${error.message}`);
  }
  if (sound.refusal) tellWorklet(sound.refusal);
  showLatency();
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
const trained = model.detector;
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
  slider($("detector"), { ...control, value: trained[control.id] }, (value) => configure({ [control.id]: value })),
);
const sensitivity = {
  id: "sensitivity",
  title: "Sensitivity",
  min: 0,
  max: 4,
  step: 0.05,
  value: 1,
  text: (v) => v.toFixed(2),
  help: "How far your playing moves the preset; the plug-in calls it Neurality",
};
const wet = {
  id: "wet",
  title: "Input / 808",
  min: 0,
  max: 1,
  step: 0.01,
  value: 1,
  text: (v) => `${Math.round(v * 100)} % 808`,
};
slider($("output"), sensitivity, (value) => configure({ sensitivity: value }));
slider($("output"), wet, (value) => configure({ wet: value }));
configure({ ...trained, sensitivity: 1, wet: 1, fixed });

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
  sound.forgetRanges();
  count = 0;
  $("count").textContent = "none yet";
  showRanges();
});

function panic() {
  sound.panic();
  showMicrophone();
  showFile();
}
$("panic").addEventListener("click", panic);

// ---------------------------------------------------------------- recording what sounds

let recordingSince = 0;
$("record").addEventListener("click", () =>
  attempt(async () => {
    if (recordingSince) {
      const blob = await sound.stopTape();
      recordingSince = 0;
      $("record-state").textContent = "Saved as a WAV file.";
      download(blob, `${model.name}.wav`);
    } else {
      await sound.startTape();
      recordingSince = sound.context.currentTime;
      followRecording();
    }
    $("record").setAttribute("aria-pressed", Boolean(recordingSince));
    $("record").textContent = recordingSince ? "Stop and save" : "Record";
  }),
);

function followRecording() {
  if (!recordingSince) return;
  $("record-state").textContent = `${(sound.context.currentTime - recordingSince).toFixed(0)} s`;
  setTimeout(followRecording, 500);
}

function showLatency() {
  const { context } = sound;
  if (!context) return;
  const window = TRIGGER_DELAY / context.sampleRate;
  const input = sound.track?.getSettings().latency;
  const rows = [
    ["Listening to the stroke (257 samples)", window],
    ["Browser", context.baseLatency],
    ["Output", context.outputLatency],
    ["Input", input],
  ];
  const known = rows.filter(([, value]) => value > 0);
  const sum = known.reduce((total, [, value]) => total + value, 0);
  const row = ([title, value]) => [element("dt", { text: title }), element("dd", { text: seconds(value) })];
  const total = [
    element("dt", { class: "sum", text: `Together, at ${context.sampleRate / 1000} kHz` }),
    element("dd", { class: "sum", text: seconds(sum) }),
  ];
  $("latency").replaceChildren(...known.flatMap(row), ...total);
  detectorSliders.forEach(({ show }) => show()); // times depend on the rate, which is known only now
  const [here, there] = [context.sampleRate, model.sample_rate].map((rate) => `${rate / 1000} kHz`);
  $("rate").hidden = here === there;
  $("rate").textContent =
    `The model was trained for ${there}, and this browser plays at ${here}, so it sounds a little different here. ` +
    `Set your sound card to ${there}, or train a model for ${here}.`;
}
setInterval(showLatency, 2000);

// ---------------------------------------------------------------- start

$("about").textContent =
  `${model.preset.title ?? model.preset.name} · trained ${String(model.date).slice(0, 10)}`;
knobs.show(preset.preset, preset.synth.values);
showRanges();
scope.draw();
listDevices();
function redraw() {
  wave.outline = undefined;
  wave.draw();
  scope.draw();
}
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// For tests and the curious.
globalThis.timbrekit = { model, sound, hits, makeInstrument };
