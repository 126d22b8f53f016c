// The three ways to play: live input, a recording, pads and keys.

// ---------------------------------------------------------------- live input

const CHECKS = {
  echoCancellation: "echo cancellation",
  noiseSuppression: "noise suppression",
  autoGainControl: "automatic gain",
};

function showMicrophone(report) {
  const on = Boolean(report);
  $("listen").setAttribute("aria-pressed", on);
  $("listen").textContent = on ? "Stop listening" : "Start listening";
  $("processing").hidden = !on;
  if (!on) {
    $("input-state").textContent =
      "Microphone or audio interface. Wear headphones: loudspeakers would make the drum trigger itself.";
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

let counting = 0; // number of the latest count; an older one gives up

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
        "The plug-in mixes them: flip the phase of one, or feed it with one channel.",
    );
  }
  Object.assign(wave, { samples: sound.file.samples, outline: undefined, hits: [] });
  $("file-state").textContent = `${file.name}: finding hits …`;
  countHits();
  showFile();
}

$("file").addEventListener("change", ({ target }) => target.files[0] && openFile(target.files[0]));
$("play").addEventListener("click", () => {
  if (sound.playing) return sound.stopFile();
  attempt(() => sound.playFile($("loop").checked)).then(showFile);
});
$("loop").addEventListener("change", () => sound.playing && (sound.playing.loop = $("loop").checked));
$("save").addEventListener("click", () =>
  attempt(async () => {
    const title = sound.file.name.replace(/\.[^.]*$/, "");
    const { audio } = await sound.renderFile();
    download(wavFile([audio], model.sample_rate), `${title} as ${model.name}.wav`);
  }),
);

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
  if (event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
});

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// ---------------------------------------------------------------- pads

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
      attempt(() => sound.strike(loudness, brightness));
    };
    pad.addEventListener("pointerdown", (event) => event.button === 0 && pad.strike());
    pad.addEventListener("click", (event) => event.detail === 0 && pad.strike()); // Enter or space
    pads.set(KEY_PLACES[keys[column]], pad);
    $("pads").append(pad);
  }),
);

addEventListener("keydown", (event) => {
  if (event.key === "Escape") return panic();
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT")
    return;
  pads.get(event.code)?.strike();
});
