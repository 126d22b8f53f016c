"""The notebooks' recorder in a real browser, with Chromium's pretended microphone (a beep every half second)."""

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import timbrekit.notebook

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

        def opened(microphone):
            context = browser.new_context(permissions=["microphone"] if microphone else [])
            page = context.new_page()
            html = f'<div id="here"></div><script>{SCRIPT}</script>'
            page.route(
                "**/*", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8")
            )
            page.goto(ADDRESS)
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
    page.get_by_text("allow the microphone for this page").wait_for()


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
