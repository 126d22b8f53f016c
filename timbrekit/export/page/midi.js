// MIDI that all pages have: asking for it, listening, sending. What a message does is each page's own
// midiMessage(bytes), and what it does with outputs its midiPorts(access).

const MIDI_NOTE_OFF = 0x80;
const MIDI_NOTE_ON = 0x90;
const MIDI_CONTROL = 0xb0;
const MIDI_PROGRAM = 0xc0;
const ALL_SOUND_OFF = 120;
const ALL_NOTES_OFF = 123;

const MIDI_ADVICE = {
  SecurityError:
    "Firefox gives MIDI only to pages from a web server (https), once its add-on for the page is installed. " +
    "Chrome and Edge give it to pages from a file, too.",
  NotSupportedError: "It has no way to this system's MIDI. Chrome and Edge have.",
  InvalidStateError: "The system's MIDI did not open. Close other programs that use it, then press Connect MIDI again.",
};

function tellMidi(error) {
  const framed = "This page sits inside another one that has no MIDI. Download it and open it by itself.";
  const allow = "Allow it for this page (the icon beside the address), then press Connect MIDI again.";
  const advice = MIDI_ADVICE[error.name] ?? (window === window.top ? allow : framed);
  notice("midi", `The browser refused MIDI (${error.name}). ${advice} ${WORDS.still}`);
}

// Program changes choose the instrument, whichever page it is.
function receiveMidi(bytes) {
  if ((bytes[0] & 0xf0) === MIDI_PROGRAM) chooseInstrument(bytes[1]);
  else midiMessage(bytes);
}

async function connectMidi() {
  await sound.start();
  clearNotice("midi");
  $("midi-state").textContent = "Waiting for the browser: it asks you beside the address.";
  let access;
  try {
    access = await navigator.requestMIDIAccess();
  } catch (error) {
    showMidi();
    tellMidi(error);
    return;
  }
  const listen = () => {
    const inputs = [...access.inputs.values()];
    for (const input of inputs) input.onmidimessage = ({ data }) => receiveMidi(data);
    const names = inputs.map((input) => input.name).join(", ");
    $("midi-state").textContent = names ? `Listening to ${names}.` : "Nothing to listen to was found. Plug it in.";
    midiPorts(access);
  };
  access.onstatechange = listen;
  listen();
}

$("midi").addEventListener("click", () => attempt(connectMidi));

// Whether it can be had at all, before anybody asked.
function showMidi() {
  const has = Boolean(navigator.requestMIDIAccess);
  $("midi").hidden = !has;
  $("midi-state").textContent = has
    ? `${WORDS.midi} The browser asks you first.`
    : "There is no Web MIDI here. Chrome and Edge have it, Firefox for pages from a web server, Safari not. " +
      "The rest of the page plays.";
}
