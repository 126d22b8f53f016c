"""A port of each kind for the page, put in place of the browser's own before the page loads.

Chromium's Web MIDI needs the system's sequencer (ALSA on Linux). Where there is none, as on most machines that run
tests, a permitted ``requestMIDIAccess`` ends with InvalidStateError, so no virtual port can be made. The mock has what
the standard's interface has of what the page uses, and refuses what the standard refuses to send.
"""

MIDI = """(() => {
  const lengths = { 0x80: 3, 0x90: 3, 0xa0: 3, 0xb0: 3, 0xc0: 2, 0xd0: 2, 0xe0: 3 };
  const port = (id, name, more) => Object.assign(new EventTarget(), { id, name, state: "connected", ...more });
  const sent = [];
  const input = port("in", "Pad controller", { type: "input", onmidimessage: null });
  const output = port("out", "Drum machine", {
    type: "output",
    send(bytes, when = 0) {
      const [status, ...data] = bytes;
      const seven = (x) => Number.isInteger(x) && x >= 0 && x < 128;
      const whole = data.length + 1 === lengths[status & 0xf0] && data.every(seven);
      if (!whole) throw new TypeError(`no MIDI message: ${[...bytes]}`);
      sent.push({ bytes: [...bytes], when });
    },
  });
  const access = Object.assign(new EventTarget(), {
    inputs: new Map([["in", input]]),
    outputs: new Map([["out", output]]),
    onstatechange: null,
    sysexEnabled: false,
  });
  Navigator.prototype.requestMIDIAccess = async () => access;
  globalThis.midi = { access, sent, play: (...bytes) => input.onmidimessage({ data: Uint8Array.from(bytes) }) };
})()"""


def connect(page):
    """Press the button and wait until the page listens."""
    page.click("#midi")
    page.get_by_text("Listening to Pad controller.").wait_for()
