// MIDI of a drum: notes strike it, and its hits go out as notes with what was heard as controllers.

const BRIGHTNESS = [74, 21]; // controllers that set the brightness of notes that come in: the standard's, our own
const NOISINESS = [71, 22];
const FEATURES_OUT = 20; // and the two after it: loudness, brightness, noisiness of the hit that follows
const NOTE_MS = 60; // that a note is held which goes out
const MIDDLE = 0.5;
const told = { brightness: null, noisiness: null }; // 0..1, as controllers set them; null: as in the middle of the take
let midiOutput = null;

// Where the median hit of the take lies, 0..1; the middle of the range where the model does not say.
function medianOf(i) {
  const { minimum, maximum, median } = model.onset_features;
  const at = median && (median[i] - minimum[i]) / (maximum[i] - minimum[i]);
  return Number.isFinite(at) ? Math.min(1, Math.max(0, at)) : MIDDLE;
}

// Velocity 1 is the softest of the take, 127 the loudest. A pad's number says nothing.
function midiMessage([status, first, second]) {
  const kind = status & 0xf0;
  if (kind === MIDI_NOTE_ON && second > 0) {
    const features = [(second - 1) / 126, told.brightness ?? medianOf(1), told.noisiness ?? medianOf(2)];
    sound.call("strike", features);
    if (sound.delayed) sound.delayed.play(new Float32Array(1));
  } else if (kind === MIDI_CONTROL) {
    if (BRIGHTNESS.includes(first)) told.brightness = second / 127;
    else if (NOISINESS.includes(first)) told.noisiness = second / 127;
    else if (first === ALL_SOUND_OFF || first === ALL_NOTES_OFF) sound.call("panic");
    showTold();
  }
}

function showTold() {
  const words = Object.entries(told).map(([name, at]) =>
    at === null ? `${name} of your median hit` : `${name} ${Math.round(100 * at)} %`,
  );
  $("midi-told").textContent = `Notes: velocity is loudness; ${words.join(", ")}.`;
}

// ---------------------------------------------------------------- out

const percentOf127 = (value) => Math.round(127 * value);

// The messages of a hit: three controllers, then the note. features: loudness, brightness, noisiness, 0..1.
function hitMessages(features, channel, note) {
  const controllers = [...features].map((value, i) => [MIDI_CONTROL | channel, FEATURES_OUT + i, percentOf127(value)]);
  return [...controllers, [MIDI_NOTE_ON | channel, note, 1 + Math.round(126 * features[0])]];
}

// A hit that came by MIDI is not sent: where an output leads back to an input it would never end.
function sendHit({ features, told: byMidi }) {
  if (!midiOutput || byMidi) return;
  const [channel, note] = [$("midi-channel"), $("midi-note")].map((input) => input.valueAsNumber);
  if (!(channel >= 1 && channel <= 16 && note >= 0 && note <= 127)) return;
  for (const message of hitMessages(features, channel - 1, note)) midiOutput.send(message);
  midiOutput.send([MIDI_NOTE_OFF | (channel - 1), note, 0], performance.now() + NOTE_MS);
}

function number(id, title, min, max, value) {
  const input = element("input", { type: "number", id, min, max, value });
  return element("label", { class: "field", text: title }, input);
}

const outputs = element("select", { id: "midi-output" });
$("midi-more").append(
  element("p", { class: "quiet", id: "midi-told" }),
  element("div", { class: "midi-out" },
    element("label", { class: "field", text: "Send hits to" }, outputs),
    number("midi-channel", "Channel", 1, 16, 10),
    number("midi-note", "Note", 0, 127, 38)),
  element("p", { class: "quiet", text: "Velocity from loudness; controllers 20, 21, 22: loudness, brightness, noisiness." }),
);

function midiPorts(access) {
  $("midi-more").hidden = false;
  const ports = [...access.outputs.values()];
  const none = element("option", { value: "", text: "Nothing" });
  outputs.replaceChildren(none, ...ports.map(({ id, name }) => element("option", { value: id, text: name })));
  outputs.value = midiOutput && ports.includes(midiOutput) ? midiOutput.id : "";
  midiOutput = ports.find(({ id }) => id === outputs.value) ?? null;
  outputs.onchange = () => (midiOutput = ports.find(({ id }) => id === outputs.value) ?? null);
  showTold();
}
