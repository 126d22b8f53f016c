"""Headless Chromium, a site holding the live page, and a page opener, for the browser tests."""

import http.server
import shutil
import threading

import numpy as np
import pytest
import soundfile
from browser_support import FAKE_RATE, FAKE_TAKE, LEAD_IN
from page_support import mapping_metadata, wide_mapping
from tone_support import lively_instrument, note

from timbrekit.export.live_page import build_page
from timbrekit.recording import read_recording
from timbrekit.recording.onsets import detect
from timbrekit.tone.instrument import Ranges
from timbrekit.tone.live_page import render_tone_page

TAKE = slice(48_000, 6 * 48_000)  # of the recording
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a microphone that plays a file; permission is still asked for
)
POLICIES = {  # of servers that forbid scripts from data: addresses, or from blob: ones as well
    "strict": "script-src 'unsafe-inline'",
    "blob": "script-src 'unsafe-inline' blob:",
}


@pytest.fixture(scope="session")
def take(sample_recording):
    """Silence, then some of the project's own recording, (samples,) int16; the same samples at any rate."""
    samples = read_recording(sample_recording).samples[TAKE]
    return np.concatenate([np.zeros(LEAD_IN), np.round(samples * 32767)]).astype(np.int16)


@pytest.fixture(scope="session")
def triggers(take):
    """triggers(rate): where the engine triggers in the take, played at this rate."""
    return lambda rate: detect(take.astype(np.float32) / 32768, rate).triggers


@pytest.fixture(scope="session")
def site(take, tmp_path_factory):
    """A folder with the live pages of a drum and of a tone, the take as WAV files, and two notes at 44.1 kHz."""
    folder = tmp_path_factory.mktemp("site")
    build_page(mapping_metadata(wide_mapping(spread=0.1)), folder / "play.html")
    soundfile.write(folder / "take.wav", take, 48_000, subtype="PCM_16")
    soundfile.write(folder / "fake.wav", take[:FAKE_TAKE], FAKE_RATE, subtype="PCM_16")
    page = render_tone_page(
        lively_instrument(Ranges((55.0, 79.0), (-30.0, -12.0))), {"recording": "reed.wav"}
    )
    (folder / "tone.html").write_text(page, encoding="utf-8")
    tune = np.concatenate([note(pitch, 24_000, 0.5, np.random.default_rng(0)) for pitch in (45, 50)])
    soundfile.write(folder / "tune.wav", tune, 44_100, subtype="FLOAT")
    (folder / "noise.txt").write_text("this is no audio\n" * 100)
    return folder


@pytest.fixture(scope="session")
def server(site):
    """Port of a server for the site on all local names; folders of POLICIES send the policy."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(site))

        def do_GET(self):
            folder, _, rest = self.path[1:].partition("/")
            self.policy = POLICIES.get(folder)
            if self.policy:
                self.path = f"/{rest}"
            super().do_GET()

        def end_headers(self):
            if self.policy:
                self.send_header("Content-Security-Policy", self.policy)
            super().end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")  # not longer: while it lives, no other test can run an event loop
def browser(site):
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (pip install playwright) to drive a browser"
    )
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs Chromium (Debian's package chromium) to open the live page")
    microphone = f"--use-file-for-fake-audio-capture={site / 'fake.wav'}%noloop"
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=program, args=[*FLAGS, microphone])
        yield launched
        launched.close()


@pytest.fixture
def address(site, server):
    return {
        "file": (site / "play.html").as_uri(),
        "tone": (site / "tone.html").as_uri(),
        "localhost": f"http://localhost:{server}/play.html",
        **{name: f"http://localhost:{server}/{name}/play.html" for name in POLICIES},
    }


@pytest.fixture
def visit(browser):
    """visit(address, permissions, ...) opens a page; `complaints` and `requests` collect what it does wrong."""
    contexts = []

    def open_page(url, permissions=(), **options):
        context = browser.new_context(permissions=list(permissions), **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.requests = [], []
        page.on("console", lambda m: m.type in ("error", "warning") and page.complaints.append(m.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
