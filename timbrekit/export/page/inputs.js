// Two ways to play that all pages have: live input, and a recording.

// ---------------------------------------------------------------- live input

const CHECKS = {
  echoCancellation: "echo cancellation",
  noiseSuppression: "noise suppression",
  autoGainControl: "automatic gain",
};

const BEFORE_LISTENING = $("input-state").textContent;

function showMicrophone(report) {
  const on = Boolean(report);
  $("listen").setAttribute("aria-pressed", on);
  $("listen").textContent = on ? "Stop listening" : "Start listening";
  $("processing").hidden = !on;
  if (!on) {
    $("input-state").textContent = BEFORE_LISTENING;
    return;
  }
  $("input-state").textContent = `Listening to ${report.label || "the input"}.`;
  $("processing").replaceChildren(
    ...Object.entries(CHECKS).map(([name, title]) => {
      const state = report[name] === false ? "" : report[name] === undefined ? "unknown" : "bad";
      const text = {
        "": "off",
        unknown: "not reported by this browser",
        bad: "still on: it falsifies what the model hears",
      }[state];
      return element("li", { class: state, text: `${title} ${text}` });
    }),
  );
}

function microphoneEnded() {
  showMicrophone();
  notice(
    "microphone",
    "The input has ended; it may have been unplugged. Choose an input and press Start again.",
  );
}

async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const inputs = devices.filter((device) => device.kind === "audioinput" && device.deviceId);
  const options = inputs.map((device, i) =>
    element("option", { value: device.deviceId, text: device.label || `Input ${i + 1}` }),
  );
  const chosen = $("devices").value;
  $("devices").replaceChildren(element("option", { value: "", text: "The browser's choice" }), ...options);
  if (inputs.some((device) => device.deviceId === chosen)) $("devices").value = chosen;
}

async function listen() {
  try {
    clearNotice("microphone");
    showMicrophone(await sound.openMicrophone($("devices").value));
    await listDevices();
  } catch (error) {
    if (error === sound.refusal || error.name === "TimeoutError") throw error; // not the input's fault
    showMicrophone(sound.track && { label: sound.track.label, ...sound.track.getSettings() });
    tellMicrophone(error);
  }
}

$("listen").addEventListener("click", () => {
  if (!sound.track) return attempt(listen);
  sound.closeMicrophone();
  showMicrophone();
});
$("devices").addEventListener("change", () => sound.track && attempt(listen));
navigator.mediaDevices?.addEventListener?.("devicechange", listDevices);

// ---------------------------------------------------------------- recording that is played

function showFile() {
  const playing = Boolean(sound.playing);
  $("play").disabled = $("save").disabled = !sound.file;
  $("play").textContent = playing ? "Stop" : "Play";
  $("play").setAttribute("aria-pressed", playing);
  if (!playing) wave.progress = 0;
  wave.draw();
  if (playing) requestAnimationFrame(followFile);
}

function followFile() {
  if (!sound.playing) return;
  wave.progress = sound.progress;
  wave.draw();
  requestAnimationFrame(followFile);
}

let opening = 0; // number of the latest file chosen; an older one gives up

async function openFile(file) {
  const mine = ++opening;
  const isLatest = () => mine === opening;
  clearNotice("file");
  try {
    if (!(await sound.loadFile(file.name, await file.arrayBuffer(), isLatest))) return;
  } catch (error) {
    if (!isLatest()) return;
    notice(
      "file",
      `${file.name} cannot be read as audio by this browser (${error.name}). Browsers differ in the kinds they ` +
        "read: save it as 16-bit or 24-bit WAV (PCM) or as FLAC, and drop that.",
    );
    return;
  }
  if (sound.file.samples.alone) {
    notice(
      "file",
      `The channels of ${file.name} cancel each other, so channel ${sound.file.samples.alone} alone is played. ` +
        WORDS.cancelled,
    );
  }
  Object.assign(wave, { samples: sound.file.samples, outline: undefined, hits: [] });
  $("first").hidden = $("loop").checked = false;
  showFile();
  studyFile();
}

// What is there to try the instrument with, before anybody has a recording.
function openFirst() {
  opening += 1;
  sound.makeFile(WORDS.made, makeFirst);
  Object.assign(wave, { samples: sound.file.samples, outline: undefined, hits: [] });
  $("first").hidden = $("loop").checked = true;
  showFile();
  studyFile();
}

$("first").addEventListener("click", openFirst);
$("file").addEventListener("change", ({ target }) => target.files[0] && openFile(target.files[0]));
$("play").addEventListener("click", () => {
  if (sound.playing) return sound.stopFile();
  attempt(async () => {
    await prepareFile();
    await sound.playFile($("loop").checked);
  }).then(showFile);
});
$("loop").addEventListener("change", () => sound.playing && (sound.playing.loop = $("loop").checked));
$("save").addEventListener("click", () =>
  attempt(async () => {
    const title = sound.file.name.replace(/\.[^.]*$/, "");
    await prepareFile();
    const { audio } = await sound.renderFile();
    turnDown(audio);
    download(wavFile([audio], model.sample_rate), `${title} as ${model.name}.wav`);
  }),
);

// Brings a sound that exceeds full scale down to it.
function turnDown(audio) {
  const peak = audio.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  if (peak <= 1) return;
  audio.forEach((x, i) => (audio[i] = x / peak));
  const by = withUnit(20 * Math.log10(peak), "dB");
  notice("loud", `The sound would exceed full scale by ${by}, and was saved softer by that much.`, false);
}

addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) $("drop").classList.remove("over"); // it left the window
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const files = [...event.dataTransfer.files];
  openInstruments(files.filter(({ name }) => IS_INSTRUMENT.test(name)));
  const recording = files.find(({ name }) => !IS_INSTRUMENT.test(name));
  if (recording) openFile(recording);
});

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
