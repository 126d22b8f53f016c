// The page of a tone: joins what sounds and what is drawn to controls.

const { fitTo, hearing } = globalThis.timbrekitCore;
const WORDS = {
  still: "A recording and the keys still play.",
  midi: "MIDI keyboards play it.",
  first: "Hummed phrase",
  made: "A hummed phrase, made here",
  latency: "Until a change in what you play is complete in what you hear:",
  needs: ["name", "sample_rate", "pitch", "loudness", "constants", "weights", "room"],
  open: "Give it the page of a tone (.html).",
  cancelled: "Flip the phase of one channel, or record with one microphone.",
};
const { RATE, HOP, CENTRE, PITCHED } = model.constants;
const instrumentDelays = (rate) => [
  ["Hearing a pitch: half of its window", CENTRE / rate],
  ["Collecting 256 samples, and gliding to them", (2 * HOP) / rate],
];
function showRate() {} // it plays at 48 kHz alone

const wave = new Waveform($("wave"));
const scope = new Trail($("trail"), model);

const sound = new Sound(model, {
  onMeters(meters) {
    showLevel(meters);
    scope.push(meters.hops);
    const last = meters.hops.at(-1);
    if (last) showNow(last);
    meters.hops.forEach(flashAtOnset);
    if (sound.track) listenTo(meters.hops);
  },
  onHit() {},
  onFileEnd: () => showFile(),
  onMicrophoneEnd: () => microphoneEnded(),
});

let sounding = false;
function flashAtOnset({ asked }) {
  const sounds = asked.loudness > model.loudness[0];
  if (sounds && !sounding) flash(1);
  sounding = sounds;
}

function showNow({ pitch, voiced, loudness, asked, keyed }) {
  const show = (place, sounds, hertz) => {
    const [name, cents] = sounds ? noteParts(hertz) : ["–", ""];
    $(place).replaceChildren(name, element("small", { text: cents }));
  };
  show("pitch-text", voiced > 0.5, pitch);
  show("asked-text", (keyed || asked.voiced > 0.5) && asked.loudness > model.constants.SILENT, asked.pitch);
  const audible = loudness > model.constants.SILENT;
  $("loudness-text").replaceChildren(
    audible ? minus(loudness.toFixed(0)) : "silent",
    element("small", { text: audible ? " LKFS" : "" }),
  );
}

// ---------------------------------------------------------------- bringing what is heard to the instrument's range

const LIVE_SECONDS = 60; // that a fit to live playing looks back
const FIRST_FIT_SECONDS = 2; // of pitched sound, after which live playing is fitted by itself
const fits = { file: null, live: null };
let playing = "file"; // or "live": whose fit is in use
let listened = []; // hops of live playing, the newest at the end

function applyFit() {
  const choice = document.querySelector("[name=fitting]:checked").value;
  const fit = fits[playing];
  const used = { none: null, pitch: fit && { octaves: fit.octaves }, both: fit }[choice];
  sound.configure({ fit: used });
  $("refit").disabled = !listened.length;
  $("fit-text").textContent = choice === "none" ? "It plays what it hears, as it is." : fitWords(fit, choice);
}

function fitWords(fit, choice) {
  if (!fit) return playing === "live" ? "Sing or play a few notes: then it knows your range." : "";
  const number = Math.abs(fit.octaves);
  const way = fit.octaves > 0 ? "up" : "down";
  const moved = number ? `${number} octave${number === 1 ? "" : "s"} ${way}` : "Your octave is its own";
  const beyond = `${Math.round(100 * fit.outside)} % of the notes lie beyond its range; there it guesses.`;
  const outside = fit.outside > 0.1 ? ` ${beyond}` : "";
  const range = (soft, loud) => [soft, loud].map((value) => minus(value.toFixed(0))).join(" to ");
  const loudness = `, your ${range(fit.soft, fit.loud)} LKFS become its ${range(...model.loudness)}`;
  return `${moved}${choice === "both" ? loudness : ""}.${outside}`;
}

function listenTo(hops) {
  listened.push(...hops.filter((hop) => !hop.keyed));
  listened.splice(0, Math.max(0, listened.length - (LIVE_SECONDS * RATE) / HOP));
  const pitched = listened.filter((hop) => hop.voiced > PITCHED).length;
  if (!fits.live && pitched > (FIRST_FIT_SECONDS * RATE) / HOP) refit();
}

function refit() {
  fits.live = fitTo(model, listened) ?? fits.live;
  playing = "live";
  applyFit();
}

$("refit").addEventListener("click", refit);
for (const choice of document.getElementsByName("fitting")) choice.addEventListener("change", applyFit);
$("listen").addEventListener("click", () => {
  playing = "live";
  applyFit();
});

// ---------------------------------------------------------------- the file

const AT_ONCE = 400; // hops that are heard before the page may do something else
let studied = Promise.resolve();
let studying = 0; // number of the latest file; an older one gives up

function studyFile() {
  studied = study(++studying);
}

async function study(mine) {
  const { name, samples } = sound.file;
  fits.file = null;
  $("file-state").textContent = `${name}: listening …`;
  const heard = [];
  for (const hop of hearing(model, samples)) {
    heard.push(hop);
    if (heard.length % AT_ONCE) continue;
    await new Promise((resolve) => setTimeout(resolve));
    if (mine !== studying) return;
  }
  fits.file = fitTo(model, heard);
  const length = (samples.length / RATE).toFixed(1);
  $("file-state").textContent = `${name}: ${length} s`;
  wave.canvas.setAttribute("aria-label", `Waveform of ${name}`);
  if (!fits.file) {
    const advice = "Take a recording of one voice or instrument, one note at a time.";
    notice("file", `No pitch was heard in ${name}, so little will sound. ${advice}`);
  }
  if (playing === "file") applyFit();
}

async function prepareFile() {
  await studied;
  playing = "file";
  applyFit();
}

// Somebody humming, to hear the instrument at once: six seconds with glides, swells and vibrato.
function hummedPhrase() {
  const notes = [57, 60, 62, 64, 62, 57, 55, 57];
  const length = 0.75; // s each
  const samples = new Float32Array(notes.length * length * RATE);
  let [phase, pitch] = [0, notes[0]];
  for (let i = 0; i < samples.length; i++) {
    const at = i / RATE / length;
    const within = at % 1;
    pitch += (notes[Math.floor(at)] - pitch) / (0.02 * RATE);
    const vibrato = 0.25 * Math.sin(2 * Math.PI * 5.5 * (i / RATE)) * within;
    phase += (440 * 2 ** ((pitch + vibrato - 69) / 12)) / RATE;
    const swell = Math.sin(Math.PI * within) ** 0.5 * (0.4 + 0.6 * Math.sin((Math.PI * at) / notes.length));
    for (let k = 1; k <= 6; k++) samples[i] += (0.3 * swell * Math.sin(2 * Math.PI * k * phase)) / k ** 2;
  }
  return samples;
}

// Times a second of playing; what is said of it stays true for other sounds.
function measureSpeed(samples) {
  const player = new Player(model, RATE);
  const play = (part) => player.process(part, new Float32Array(part.length));
  play(samples.subarray(0, RATE / 2)); // until the browser has compiled it
  const began = performance.now();
  play(samples.subarray(RATE, 2 * RATE));
  const times = 1000 / (performance.now() - began);
  $("speed").textContent =
    times > 2
      ? `This computer plays it ${Math.floor(times)} times as fast as it has to.`
      : "This computer is hardly fast enough for it: close other programs, or it will crackle.";
  return times;
}

const makeFirst = hummedPhrase; // at 48 kHz, as every tone

// ---------------------------------------------------------------- controls

const semitones = (value) => (value ? withUnit(value, "semitones").replace(/\.0+/, "") : "0 st");
const decibels = (value) => withUnit(value, "dB");
const SLIDERS = [
  { id: "transpose", title: "Transpose", min: -24, max: 24, step: 1, text: semitones, help: "Semitones" },
  { id: "gain", title: "Force", min: -20, max: 20, step: 0.5, text: decibels, help: "Played harder or softer" },
];
for (const control of SLIDERS) {
  slider($("output"), { ...control, value: 0 }, (value) => sound.configure({ [control.id]: value }));
}
sound.configure({ transpose: 0, gain: 0 });

const isAlike = ({ constants }) => JSON.stringify(constants) === JSON.stringify(model.constants);

// Draws the instrument that plays from now on. Whom it is brought to is found anew.
function showModel() {
  $("range").textContent = `${model.pitch.map(noteName).join(" to ")}`;
  scope.setModel(model);
  fits.live = listened.length ? fitTo(model, listened) : null;
  return { fit: playing === "live" ? fits.live : null };
}

$("about").textContent = "An instrument that learnt from a recording. Sing, hum or play, and hear it.";
showModel();
begin();
openFirst();
studied.then(() => measureSpeed(sound.file.samples));

// For tests and the curious.
globalThis.timbrekit = { model, sound, scope, makeInstrument, instruments, midiMessage, fits, measureSpeed };
