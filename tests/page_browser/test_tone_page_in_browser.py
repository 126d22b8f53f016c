"""The page of a tone in a browser: file, keys, microphone, MIDI, every way of failing, and its look.

Set TIMBREKIT_SCREENSHOTS to a folder to keep the screenshots for looking at.
"""

import base64
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser_midi import MIDI, connect
from browser_support import notices, until
from page_support import node_core
from tone_support import lively_instrument, reed

from timbrekit.tone.instrument import Ranges
from timbrekit.tone.live_page import TONE_PAGE, page_model, render_tone_page
from timbrekit.tone.pitch import CENTRE, HOP, RATE, hear

HEARD = "timbrekit.scope.points.at(-1)"
STUDIED = "document.getElementById('file-state').textContent.endsWith(' s')"

RENDER = """async ({ encoded, settings }) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const samples = new Float32Array(bytes.buffer);
  const context = new OfflineAudioContext(1, samples.length, 48000);
  const node = await timbrekit.makeInstrument(context, timbrekit.model, settings, "silent");
  node.connect(context.destination);
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: 48000 });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(node);
  source.start();
  const began = performance.now();
  const rendered = (await context.startRendering()).getChannelData(0);
  const seconds = (performance.now() - began) / 1000;
  const out = new Uint8Array(rendered.buffer, rendered.byteOffset, rendered.byteLength);
  return { audio: btoa(Array.from(out, (byte) => String.fromCharCode(byte)).join("")), seconds };
}"""


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.fixture
def page(visit, address):
    opened = visit(address["tone"])
    until(opened, STUDIED)
    return opened


def test_the_audio_thread_plays_what_the_core_plays_in_node(page, tmp_path):
    samples = reed(3.0, seed=5)
    encoded = base64.b64encode(samples.tobytes()).decode()
    result = page.evaluate(RENDER, {"encoded": encoded, "settings": {"fit": None}})
    instrument = lively_instrument(Ranges((55.0, 79.0), (-30.0, -12.0)))
    core = node_core(tmp_path, TONE_PAGE)
    model = page_model(instrument, {"recording": "reed.wav"})
    core.run({"task": "tone", "model": model, "samples": core.write("samples", samples), "out": "audio"})
    played = floats(result["audio"])
    np.testing.assert_allclose(played, core.read("audio")[: len(played)], atol=1e-6)
    assert np.abs(played).max() > 0.02
    assert page.complaints == []


def test_the_phrase_plays_at_once_and_is_brought_to_the_range(page, address):
    assert "1 octave up" in page.inner_text("#fit-text")
    page.click("#play")
    until(page, f"{HEARD}?.asked.voiced > 0.9")
    hop = page.evaluate(HEARD)
    assert hop["asked"]["pitch"] == pytest.approx(hop["pitch"] + 12)
    until(page, "/[A-G]♯?3/.test(document.getElementById('pitch-text').textContent)")
    until(page, "/[A-G]♯?4/.test(document.getElementById('asked-text').textContent)")
    page.click("#play")
    assert page.locator("#play").inner_text() == "Play"
    assert "Together, at 48 kHz" in page.inner_text("#latency")
    until(page, "document.getElementById('speed').textContent.includes('This computer')")
    assert page.complaints == [] and page.requests == [address["tone"]]


def test_a_file_of_another_rate_is_fitted_played_and_saved(page, site, tmp_path):
    page.set_input_files("#file", site / "tune.wav")
    until(page, "document.getElementById('file-state').textContent.startsWith('tune.wav: 1.1 s')")
    fit = page.evaluate("timbrekit.fits.file")
    assert fit["octaves"] == 2  # 45 and 50, a little lower than at 48 kHz, to 55 to 79
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "saved.wav")
    audio, rate = soundfile.read(tmp_path / "saved.wav", dtype="float32")
    assert (rate, len(audio)) == (RATE, pytest.approx(1.0884 * RATE, abs=2))
    heard = hear(audio)
    first = heard.pitch[int(0.3 * RATE / HOP) + CENTRE // HOP]
    assert float(first) == pytest.approx(45 + 24 + 12 * np.log2(44_100 / 48_000), abs=0.1)
    page.check("input[value=none]")
    assert "as it is" in page.inner_text("#fit-text")
    assert page.evaluate("timbrekit.sound.settings.fit") is None


def test_keys_sound_while_they_are_held(page):
    page.keyboard.down("h")
    until(page, f"{HEARD}?.keyed")
    until(page, f"{HEARD}.asked.loudness > -30")
    pitch = page.evaluate(f"{HEARD}.asked.pitch")
    assert pitch % 12 == 9
    assert page.locator("#keyboard .down").count() == 1
    page.keyboard.up("h")
    until(page, f"!{HEARD}.keyed")
    page.keyboard.press("x")
    page.keyboard.down("a")
    until(page, f"{HEARD}.keyed && {HEARD}.asked.pitch === {pitch + 3}")
    page.keyboard.press("Escape")
    until(page, f"!{HEARD}.keyed")
    assert page.locator("#keyboard .down").count() == 0
    page.keyboard.up("a")


def test_the_screens_keys_play_louder_lower_down_and_glide(page):
    box = page.locator("#keyboard").bounding_box()
    white = box["width"] / 10
    page.mouse.move(box["x"] + 0.5 * white, box["y"] + 0.95 * box["height"])
    page.mouse.down()
    until(page, f"{HEARD}?.keyed && {HEARD}.asked.loudness > -13")
    low = page.evaluate(f"{HEARD}.asked.pitch")
    page.mouse.move(box["x"] + 1.5 * white, box["y"] + 0.7 * box["height"])
    until(page, f"{HEARD}.asked.pitch === {low + 2}")
    page.mouse.up()
    until(page, f"!{HEARD}.keyed")


def test_midi_plays_bends_and_pushes(page):
    nothing = "({ inputs: new Map(), outputs: new Map() })"
    page.evaluate(f"() => {{ navigator.requestMIDIAccess = async () => {nothing}; }}")
    page.click("#midi")
    until(page, "document.getElementById('midi-state').textContent.includes('Plug it in')")
    page.evaluate("timbrekit.midiMessage([0x90, 60, 127])")
    until(page, f"{HEARD}?.asked.pitch === 60 && {HEARD}.asked.loudness === -12")
    page.evaluate("timbrekit.midiMessage([0xe0, 0, 96])")
    until(page, f"{HEARD}.asked.pitch === 61")
    page.evaluate("timbrekit.midiMessage([0xb0, 11, 0])")
    until(page, f"{HEARD}.asked.loudness === -30")
    page.evaluate("timbrekit.midiMessage([0x80, 60, 0])")
    until(page, f"!{HEARD}.keyed")


def test_a_midi_keyboard_is_listened_to_and_nothing_is_sent(visit, address):
    page = visit("about:blank")
    page.add_init_script(MIDI)
    page.goto(address["tone"])
    connect(page)
    page.evaluate("midi.play(0x90, 62, 127)")
    until(page, f"{HEARD}?.asked.pitch === 62")
    page.evaluate("midi.play(0x90, 62, 0)")
    until(page, f"!{HEARD}.keyed")
    assert page.evaluate("midi.sent") == [] and not page.locator("#midi-more").is_visible()
    assert page.complaints == []


def test_another_tone_plays_on_from_what_is_heard_and_held(page, tmp_path):
    other = lively_instrument(Ranges((40.0, 60.0), (-40.0, -22.0)))
    file = tmp_path / "other.html"
    file.write_text(render_tone_page(other, {"recording": "cello.wav"}), encoding="utf-8")
    page.set_input_files("#open-instrument", file)
    until(page, "timbrekit.instruments.length === 2")
    until(page, STUDIED)
    assert page.inner_text("h1") == "cello" and page.inner_text("#range") == "E2 to C4"
    page.keyboard.press("1")
    page.keyboard.down("a")
    until(page, f"{HEARD}?.asked.loudness > -18")
    page.keyboard.press("2")
    until(page, f"{HEARD}.keyed && {HEARD}.asked.loudness < -27 && {HEARD}.asked.loudness > -29")
    page.keyboard.up("a")
    until(page, f"!{HEARD}.keyed")
    page.click("#play")
    until(page, f"{HEARD}.asked.voiced > 0.9")
    hop = page.evaluate(HEARD)
    assert hop["asked"]["pitch"] == pytest.approx(hop["pitch"] - 12)  # the first one: an octave up
    assert page.complaints == [] and notices(page) == ""


def test_a_microphone_is_heard_at_48_kHz(visit, address):
    page = visit(address["tone"], ["microphone"])
    page.click("#listen")
    until(page, f"{HEARD}?.loudness > -40")
    assert page.evaluate("timbrekit.sound.context.sampleRate") == RATE
    assert "Sing or play a few notes" in page.inner_text("#fit-text")
    page.click("#listen")
    assert page.complaints == []


def test_live_playing_is_fitted_once_it_was_heard(page):
    page.evaluate(
        """() => { timbrekit.sound.track = { stop() {}, getSettings: () => ({}) };
          const told = { pitch: 43, voiced: 1, loudness: -20 };
          const hop = { ...told, keyed: false, asked: told };
          timbrekit.sound.listeners.onMeters({ level: 0.1, broken: 0, hops: Array(500).fill(hop) }); }"""
    )
    assert page.evaluate("timbrekit.fits.live.octaves") == 2
    assert "2 octaves up" in page.inner_text("#fit-text")


def test_an_input_that_cannot_be_had_is_explained_and_the_keys_still_play(page):
    refusal = "async () => { throw new DOMException('', 'NotFoundError') }"
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refusal} }}")
    page.click("#listen")
    until(page, "document.querySelector('.notice')")
    assert "Plug one in" in notices(page) and "the keys still play" in notices(page)
    page.keyboard.down("a")
    until(page, f"{HEARD}?.keyed")
    page.keyboard.up("a")


def test_an_input_at_another_rate_that_the_browser_does_not_convert_is_explained(visit, address):
    page = visit(address["tone"], ["microphone"])
    page.evaluate(
        """() => { globalThis.MediaStreamAudioSourceNode = class {
          constructor() { throw new DOMException("different sample-rate", "NotSupportedError"); } }; }"""
    )
    page.click("#listen")
    until(page, "document.querySelector('.notice')")
    assert "(SampleRateError)" in notices(page) and "Set the input to 48 kHz" in notices(page)


def test_files_that_cannot_be_used_are_named(page, site, tmp_path):
    page.set_input_files("#file", site / "noise.txt")
    until(page, "document.querySelector('.notice')")
    assert "noise.txt cannot be read as audio" in notices(page)
    hiss = np.random.default_rng(0).normal(0, 0.05, RATE)
    soundfile.write(tmp_path / "hiss.wav", hiss, RATE)
    page.set_input_files("#file", tmp_path / "hiss.wav")
    until(page, "document.querySelector('.notice')?.textContent.includes('hiss')")
    assert "No pitch was heard in hiss.wav" in notices(page)


def test_a_refused_audio_thread_is_explained_and_the_rest_plays(visit, server):
    page = visit(f"http://localhost:{server}/strict/tone.html")
    until(page, STUDIED)
    page.keyboard.press("a")
    until(page, "timbrekit.sound.delayed?.playing.size === 1")
    assert "refused this page's audio thread" in notices(page)
    loudest = "Math.max(...[...timbrekit.sound.delayed.playing].at(-1).buffer.getChannelData(0))"
    assert page.evaluate(loudest) > 0.01


@pytest.mark.parametrize(
    ("size", "scheme"),
    [((1440, 900), "light"), ((390, 844), "dark"), ((390, 844), "light"), ((320, 640), "light")],
)
def test_the_look_holds_at_desktop_and_phone_size(visit, address, tmp_path, size, scheme):
    page = visit(
        address["tone"], viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=True
    )
    until(page, STUDIED)
    page.click("#play")
    until(page, "timbrekit.scope.points.length > 400")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    spilled = page.locator("main *").evaluate_all(
        """(all) => {
             for (const told of document.querySelectorAll(".now dd"))
               told.innerHTML = "D♯5<small> −34 cents</small>"; // as wide as it gets
             return all.filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
               .map((one) => one.outerHTML.slice(0, 80)); }"""
    )
    assert spilled == []
    small = page.locator("button:visible, select:visible").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().height).filter((height) => height < 32)"
    )
    assert small == []
    nameless = page.locator("button, select, input").evaluate_all(
        """(all) => all.filter((control) => !(control.labels?.length || control.textContent.trim())
             && !control.hasAttribute("aria-label")).map((control) => control.outerHTML)"""
    )
    assert nameless == []
    folder = Path(os.environ.get("TIMBREKIT_SCREENSHOTS", tmp_path))
    picture = page.screenshot(full_page=True, path=folder / f"tone-{size[0]}-{scheme}.png")
    assert len(picture) > 20_000  # not an empty page
    assert page.complaints == []
