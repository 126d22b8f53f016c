"""The notebooks' recorder in a real browser, with Chromium's pretended microphone (a beep every half second)."""

import base64
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from takes import varied_strokes

import timbrekit.notebook
from timbrekit.recording.onsets import DetectorSettings, detect

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("needs Chromium (apt install chromium)", allow_module_level=True)

SCRIPT = Path(timbrekit.notebook.__file__).with_name("recorder.js").read_text(encoding="utf-8")
ADDRESS = "http://localhost/notebook"  # the microphone is for localhost and https only; nothing is fetched
SECONDS = 1.5


@pytest.fixture
def open_page():
    """open_page(microphone): a page with the recorder."""
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)

        def opened(microphone, address=ADDRESS):
            context = browser.new_context(permissions=["microphone"] if microphone else [])
            page = context.new_page()
            html = f'<div id="here"></div><script>{SCRIPT}</script>'
            page.route(
                "**/*", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8")
            )
            page.goto(address)
            return page

        yield opened
        browser.close()


def record(page):
    page.get_by_text("● Record").click()
    page.wait_for_function("!document.querySelector('.stop').disabled")
    page.wait_for_timeout(1000 * SECONDS)
    page.get_by_text("■ Stop").click()


def check(wav):
    samples, rate = soundfile.read(io.BytesIO(wav))
    assert soundfile.info(io.BytesIO(wav)).subtype == "PCM_24" and samples.ndim == 1
    assert 0.3 * SECONDS < len(samples) / rate < 6 * SECONDS
    assert np.abs(samples).max() > 0.01


def test_a_recording_reaches_colab_in_pieces(open_page):
    page = open_page(microphone=True)
    page.evaluate("window.answer = timbrekitRecordForColab('here', 60); 0")
    record(page)
    page.get_by_text("Use this recording").click()
    size = page.evaluate("window.answer")["bytes"]
    pieces = [page.evaluate(f"timbrekitPiece({start}, 50000)") for start in range(0, size, 50_000)]
    wav = b"".join(map(base64.b64decode, pieces))
    assert len(wav) == size and len(pieces) > 1
    check(wav)


def test_elsewhere_a_recording_can_be_heard_and_saved(open_page):
    page = open_page(microphone=True)
    page.evaluate("timbrekitRecordToFile('here', 60); 0")
    record(page)
    page.locator("audio").wait_for()
    with page.expect_download() as download:
        page.get_by_text("Save the recording").click()
    assert download.value.suggested_filename == "my recording.wav"
    check(Path(download.value.path()).read_bytes())


def test_a_refused_microphone_is_said(open_page):
    page = open_page(microphone=False)
    page.evaluate("timbrekitRecordToFile('here', 60); 0")
    page.get_by_text("● Record").click()
    said = page.locator(".advice").inner_text()
    assert "There is no sound: the microphone was not allowed." in said and "Then upload the file" in said


def test_a_page_that_may_use_no_microphone_says_so(open_page):
    page = open_page(microphone=True, address="http://a-plain-address.example/notebook")
    page.evaluate("timbrekitRecordToFile('here', 60); 0")
    page.get_by_text("● Record").click()
    page.get_by_text("only https and localhost may").wait_for()


def test_the_player_is_told_what_to_play_and_hits_are_counted(open_page):
    """Chromium's pretended microphone beeps twice a second: eight hits are over after four."""
    page = open_page(microphone=True)
    page.evaluate("timbrekitRecordToFile('here', 60); 0")
    assert "About a minute" in page.locator(".prompt").inner_text()
    page.get_by_text("● Record").click()
    page.locator(".prompt", has_text="One spot, eight times").wait_for()
    assert "then: soft" in page.locator(".next").inner_text()
    page.locator(".prompt", has_text="Soft: as soft as you ever play").wait_for()
    count = int(page.locator(".hits").inner_text().removesuffix(" hits"))
    assert count >= 8
    page.wait_for_function("document.querySelector('meter').value > -40")  # at the next beep
    page.get_by_text("Skip").click()
    page.locator(".prompt", has_text="Hard: your accents").wait_for()
    assert 0 < page.locator("progress").evaluate("bar => bar.value") < 60
    page.get_by_text("■ Stop").click()
    page.get_by_text("Record again").click()
    assert (
        "About a minute" in page.locator(".prompt").inner_text() and page.locator(".hits").inner_text() == ""
    )


def test_for_anything_but_a_drum_no_prompt_is_shown(open_page):
    page = open_page(microphone=True)
    page.evaluate("timbrekitRecordToFile('here', 60, false); 0")
    record(page)
    page.locator("audio").wait_for()
    assert not page.locator(".guide").is_visible() and page.locator(".prompt").inner_text() == ""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_hits_are_counted_as_the_plug_in_does(rate, tmp_path):
    samples = np.tile(varied_strokes(60), 2).astype(np.float32)
    samples.tofile(tmp_path / "take.f32")
    counter = SCRIPT[SCRIPT.index("class TimbrekitHits") : SCRIPT.index("// Why there is no")]
    program = f"""{counter}
        const content = require("fs").readFileSync(process.argv[1]);
        const samples = new Float32Array(content.buffer, content.byteOffset, content.length / 4);
        const hits = new TimbrekitHits({rate});
        for (let start = 0; start < samples.length; start += 4096) hits.add(samples.subarray(start, start + 4096));
        console.log(hits.count);"""
    command = ["node", "-e", program, str(tmp_path / "take.f32")]
    count = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert count == len(detect(samples, rate, DetectorSettings()).positions) > 60


def test_a_recording_ends_by_itself_at_the_longest(open_page):
    page = open_page(microphone=True)
    page.evaluate("window.answer = timbrekitRecordForColab('here', 0.5); 0")
    page.get_by_text("● Record").click()
    page.get_by_text("Use this recording").click()
    assert page.evaluate("window.answer")["bytes"] > 0


@pytest.mark.parametrize("function", ["timbrekitRecordForColab", "timbrekitRecordToFile"])
def test_a_take_can_be_made_again_and_its_seconds_are_right(open_page, function):
    page = open_page(microphone=True)
    page.evaluate(f"window.answer = {function}('here', 60); 0")
    record(page)
    page.locator("audio").wait_for()
    page.wait_for_timeout(500)  # in which a late block could still be counted
    said = float(page.locator("#here > span").first.inner_text().removesuffix(" s recorded"))
    seconds = page.locator("audio").evaluate("sound => sound.duration")
    assert said == pytest.approx(seconds, abs=0.06)
    page.get_by_text("Record again").click()
    assert page.locator("audio").count() == 0
    record(page)
    page.locator("audio").wait_for()
    assert page.get_by_text("Record again").count() == 1
