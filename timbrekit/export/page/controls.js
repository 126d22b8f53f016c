// What all pages have beside the ways to play: panic, levels and volume, recording what sounds, delays.
// What all pages do calls what each page's own scripts say: `sound`, the pictures `wave` and `scope`, WORDS,
// studyFile() once a file was loaded, prepareFile() before it plays, makeFirst(rate) for a sound to try it with,
// instrumentDelays(rate), showRate(rate), midiMessage(bytes), midiPorts(access),
// showModel(settings), and isAlike(model): whether this page has what the model plays.

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

function panic() {
  sound.panic();
  showMicrophone();
  showFile();
}
$("panic").addEventListener("click", panic);
addEventListener("keydown", (event) => event.key === "Escape" && (onStage ? leaveStage : panic)());

// ---------------------------------------------------------------- level of the input

let shownLevel = -60; // dB
const LEVEL_FALL = 1.2; // dB a meter report, so that a stroke can be read

// level: highest sample since the last report; broken: samples in it that were no numbers
function showLevel({ level, broken }) {
  shownLevel = Math.max(20 * Math.log10(level), shownLevel - LEVEL_FALL, -60);
  $("level").firstElementChild.style.transform = `scaleX(${(shownLevel + 60) / 60})`;
  $("level").setAttribute("aria-valuenow", Math.round(shownLevel));
  bar("stage-in", shownLevel);
  $("level-text").textContent = shownLevel > -60 ? withUnit(shownLevel, "dB") : "silent";
  if (broken && !findNotice("broken")) {
    notice(
      "broken",
      "The input sent samples that are not numbers; silence was put in their place. " +
        "If it goes on, stop listening and choose the input again.",
    );
  }
}

// ---------------------------------------------------------------- level and volume of what is heard

const OUT_TOP = 6; // dB that the meter shows at most; the limiter works from -1 on
const OUT_FALL = 0.6; // dB a frame
const LAMP_MS = 600;
let shownOutput = -60;
let limitedAt = -Infinity;

function followOutput(now) {
  requestAnimationFrame(followOutput);
  if (!sound.output) return;
  const { peak } = sound.output;
  if (peak > LIMIT_FROM) limitedAt = now;
  shownOutput = Math.max(20 * Math.log10(peak), shownOutput - OUT_FALL, -60);
  $("out-level").firstElementChild.style.transform = `scaleX(${Math.min(1, (shownOutput + 60) / (60 + OUT_TOP))})`;
  $("out-level").setAttribute("aria-valuenow", Math.round(shownOutput));
  $("out-text").textContent = shownOutput > -60 ? withUnit(shownOutput, "dB") : "silent";
  $("lamp").classList.toggle("on", now - limitedAt < LAMP_MS);
  bar("stage-out", shownOutput);
}

const USUAL_VOLUME = -3; // dB: an 808 at full scale stays below the limiter
const LOWEST_VOLUME = -40; // dB; the slider's end is silence
const VOLUME = {
  id: "volume",
  title: "Volume",
  min: LOWEST_VOLUME,
  max: 12,
  step: 0.5,
  value: USUAL_VOLUME,
  text: (value) => (value > LOWEST_VOLUME ? withUnit(value, "dB") : "off"),
  help: "Of what you hear, not of what is recorded and saved",
};

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
  const input = sound.track?.getSettings().latency;
  const rows = [
    ...instrumentDelays(context.sampleRate),
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
  showRate(context.sampleRate);
}
setInterval(showLatency, 2000);

// ---------------------------------------------------------------- start

function redraw() {
  wave.outline = undefined;
  wave.draw();
  scope.draw();
}

// Called at the end of a page's own script.
function begin() {
  const setVolume = (value) => sound.setVolume(value > LOWEST_VOLUME ? value : -Infinity);
  slider($("volume-place"), VOLUME, setVolume);
  setVolume(USUAL_VOLUME);
  $("latency-help").textContent = WORDS.latency;
  $("first").textContent = WORDS.first;
  showInstruments();
  showMidi();
  redraw();
  listDevices();
  requestAnimationFrame(followOutput);
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
