"""Shared by the browser tests: waiting, reading messages, playing what always plays."""

import base64
import time

import numpy as np

PATIENCE = 20  # seconds before a condition that never comes true fails the test
FAKE_RATE = 44_100  # Hz; Chromium's fake microphone runs at this rate
LEAD_IN = 24_000  # samples of silence before the take, in which a capture settles
FAKE_TAKE = 150_000  # samples of the take that the microphone plays


def until(frame, expression):
    """Wait for a JavaScript expression. (Playwright's own way needs eval, which the page forbids.)"""
    end = time.monotonic() + PATIENCE
    while not (value := frame.evaluate(expression)):
        assert time.monotonic() < end, f"{expression} did not come true; notices: {notices(frame)!r}"
        time.sleep(0.02)
    return value


def until_hits_are_counted(frame, name):
    """The number of hits that the page finds in the file of this name. (The loop it opens with has hits too.)"""
    state = "document.getElementById('file-state').textContent"
    return int(until(frame, f"{state}.startsWith('{name}: ') && {state}.match(/(\\d+) hits/)?.[1]"))


def notices(frame):
    return frame.locator("#notices").inner_text()


def assert_pads_and_file_play(frame, site):
    frame.evaluate("timbrekit.hits.length = 0")
    frame.locator("#pads button").first.click()
    until(frame, "timbrekit.hits.length === 1")
    frame.set_input_files("#file", site / "take.wav")
    until_hits_are_counted(frame, "take.wav")
    frame.click("#play")
    until(frame, "timbrekit.hits.length >= 4")
    frame.click("#play")


def let_ring(frame, seconds=0.3):
    """Wait by the sound's own clock, so that the next stroke stands out from silence."""
    now = frame.evaluate("timbrekit.sound.context.currentTime")
    until(frame, f"timbrekit.sound.context.currentTime > {now + seconds}")


RENDER = """async ({ encoded, model, rate, poison, hits: expected }) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const samples = Float32Array.from(new Int16Array(bytes.buffer), (x) => x / 32768);
  if (poison) samples.fill(NaN, ...poison);
  const context = new OfflineAudioContext(1, samples.length, rate);
  const settings = { fixed: false };
  const node = await timbrekit.makeInstrument(context, model ?? timbrekit.model, settings, "silent");
  const triggers = [];
  node.port.onmessage = ({ data }) => data.hit && triggers.push(data.hit.position);
  node.connect(context.destination);
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(node);
  source.start();
  const rendered = (await context.startRendering()).getChannelData(0);
  const out = new Uint8Array(rendered.buffer, rendered.byteOffset, rendered.byteLength);
  const letters = Array.from(out, (byte) => String.fromCharCode(byte)).join("");
  for (let tries = 0; triggers.length < expected && tries < 200; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10)); // messages come after the sound
  }
  return { triggers, audio: btoa(letters) };
}"""


def render_in_page(page, samples, rate, hits, model=None, poison=None):
    """Triggers and sound of int16 samples through the page's audio thread, offline and without noise."""
    encoded = base64.b64encode(samples.tobytes()).decode()
    task = {"encoded": encoded, "rate": rate, "hits": hits, "model": model, "poison": poison}
    result = page.evaluate(RENDER, task)
    return result["triggers"], np.frombuffer(base64.b64decode(result["audio"]), "<f4")
