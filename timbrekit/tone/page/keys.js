// Keys on the screen, on the computer's keyboard, and of MIDI keyboards.

const LETTERS = "awsedftgyhujkolp;"; // from a C on, black keys in the upper row
const FORCE = 0.7; // of a letter
const BEND = 2; // semitones, of a MIDI keyboard's wheel
const isBlack = (semitone) => [1, 3, 6, 8, 10].includes(semitone % 12);

const down = new Set(); // pitches
let lowestKey = 12 * Math.round(((model.pitch[0] + model.pitch[1]) / 2 - 8) / 12);

function press(pitch, force) {
  down.add(pitch);
  showKeys();
  return attempt(async () => {
    await sound.start();
    if (sound.delayed) {
      sound.call("press", pitch, force, 0.6);
      sound.delayed.play(new Float32Array(sound.context.sampleRate / 2));
    } else {
      sound.call("press", pitch, force, down.has(pitch) ? undefined : 0.25); // let go while the sound was starting
    }
  });
}

function release(pitch) {
  if (!down.delete(pitch)) return;
  if (sound.context) sound.call("release", pitch);
  showKeys();
}

const releaseAll = () => [...down].forEach(release);

// ---------------------------------------------------------------- on the screen

const WHITE = [...LETTERS].filter((_, i) => !isBlack(i)).length;
[...LETTERS].forEach((letter, i) => {
  const white = [...LETTERS].slice(0, i).filter((_, k) => !isBlack(k)).length; // white keys before it
  const key = element("button", { type: "button", class: isBlack(i) ? "black" : "white" });
  key.append(element("span"), element("kbd", { text: letter.toUpperCase() }));
  key.style.left = `${(100 / WHITE) * (isBlack(i) ? white - 0.3 : white)}%`;
  key.style.width = `${(100 / WHITE) * (isBlack(i) ? 0.6 : 1)}%`;
  key.addEventListener("click", (event) => {
    if (event.detail) return; // a pointer, which plays by itself
    press(lowestKey + i, FORCE); // Enter or space
    setTimeout(release, 400, lowestKey + i);
  });
  $("keyboard").append(key);
});

function showKeys() {
  [...$("keyboard").children].forEach((key, i) => {
    const pitch = lowestKey + i;
    key.classList.toggle("down", down.has(pitch));
    key.setAttribute("aria-label", noteName(pitch));
    key.firstElementChild.textContent = pitch % 12 ? "" : noteName(pitch);
  });
}

const pointers = new Map(); // pointer to the pitch it plays

function point(event) {
  const key = document.elementFromPoint(event.clientX, event.clientY)?.closest("#keyboard button");
  const pitch = key ? lowestKey + [...$("keyboard").children].indexOf(key) : null;
  const before = pointers.get(event.pointerId);
  if (pitch === before) return;
  if (pitch !== null) {
    const { top, height } = key.getBoundingClientRect();
    press(pitch, 0.35 + 0.65 * clip((event.clientY - top) / height, 0, 1));
  }
  if (before !== null) release(before);
  pointers.set(event.pointerId, pitch);
}

$("keyboard").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  $("keyboard").setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, null);
  point(event);
});
$("keyboard").addEventListener("pointermove", (event) => pointers.has(event.pointerId) && point(event));
for (const end of ["pointerup", "pointercancel"]) {
  $("keyboard").addEventListener(end, ({ pointerId }) => {
    release(pointers.get(pointerId));
    pointers.delete(pointerId);
  });
}

function moveKeys(octaves) {
  releaseAll();
  lowestKey = clip(lowestKey + 12 * octaves, 12, 96);
  showKeys();
}
$("lower").addEventListener("click", () => moveKeys(-1));
$("higher").addEventListener("click", () => moveKeys(1));

// ---------------------------------------------------------------- on the computer's keyboard

const letters = new Map(); // letter to the pitch it plays

addEventListener("keydown", (event) => {
  if (event.key === "Escape") return releaseAll();
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.tagName === "SELECT") return;
  const letter = event.key.toLowerCase();
  if (letter === "z" || letter === "x") return moveKeys(letter === "z" ? -1 : 1);
  const i = LETTERS.indexOf(letter);
  if (i < 0) return;
  letters.set(letter, lowestKey + i);
  press(lowestKey + i, FORCE);
});
addEventListener("keyup", (event) => {
  release(letters.get(event.key.toLowerCase()));
  letters.delete(event.key.toLowerCase());
});
addEventListener("blur", releaseAll); // a key that is let go elsewhere is not heard of
$("panic").addEventListener("click", releaseAll);

// ---------------------------------------------------------------- MIDI

// Bytes of a MIDI message: notes, pitch wheel, breath, expression, channel pressure, all notes off.
function midiMessage([status, first, second]) {
  const kind = status & 0xf0;
  if (kind === MIDI_NOTE_ON && second > 0) press(first, second / 127);
  else if (kind === MIDI_NOTE_OFF || kind === MIDI_NOTE_ON) release(first);
  else if (kind === 0xe0) sound.call("bend", (BEND * (((second << 7) | first) - 8192)) / 8192);
  else if (kind === 0xd0) sound.call("push", first / 127);
  else if (kind === MIDI_CONTROL && (first === 2 || first === 11)) sound.call("push", second / 127);
  else if (kind === MIDI_CONTROL && (first === ALL_SOUND_OFF || first === ALL_NOTES_OFF)) releaseAll();
}

function midiPorts() {} // it sends nothing

showKeys();
