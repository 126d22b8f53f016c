"""The live page in a real browser: headless Chromium, opened from a file and from localhost.

Set TIMBREKIT_SCREENSHOTS to a folder to keep the screenshots for looking at.
"""

import base64
import html
import http.server
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from page_support import golden_metadata

from timbrekit.export.live_page import build_page

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright (pip install playwright) to drive a browser"
)

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
PATIENCE = 20  # seconds before a condition that never comes true fails the test
FAKE_RATE = 44_100  # Hz; Chromium's fake microphone runs at this rate
FAKE_LEAD_IN = 22_050  # samples of silence in which the capture settles
FAKE_TAKE = 110_000  # samples of the golden take that it plays
POLICIES = {  # of servers that forbid scripts from data: addresses, or from blob: ones as well
    "strict": "script-src 'unsafe-inline'",
    "blob": "script-src 'unsafe-inline' blob:",
}


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "onset_features.npz") as data:
        return dict(data)


@pytest.fixture(scope="module")
def site(golden, tmp_path_factory):
    """A folder with the page, a page that frames it, and the golden take as WAV files."""
    folder = tmp_path_factory.mktemp("site")
    build_page(golden_metadata(golden), folder / "play.html")
    soundfile.write(folder / "take.wav", golden["input_i16"], 48_000, subtype="PCM_16")
    heard = np.concatenate([np.zeros(FAKE_LEAD_IN, np.int16), golden["input_i16"][:FAKE_TAKE]])
    soundfile.write(folder / "fake.wav", heard, FAKE_RATE, subtype="PCM_16")
    (folder / "noise.txt").write_text("this is no audio\n" * 100)
    return folder


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def browser(site):
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


def until(frame, expression):
    """Wait for a JavaScript expression. (Playwright's own way needs eval, which the page forbids.)"""
    end = time.monotonic() + PATIENCE
    while not (value := frame.evaluate(expression)):
        assert time.monotonic() < end, f"{expression} did not come true; notices: {notices(frame)!r}"
        time.sleep(0.02)
    return value


def notices(frame):
    return frame.locator("#notices").inner_text()


def assert_pads_and_file_play(frame, site):
    frame.evaluate("timbrekit.hits.length = 0")
    frame.locator("#pads button").first.click()
    until(frame, "timbrekit.hits.length === 1")
    frame.set_input_files("#file", site / "take.wav")
    until(frame, "document.getElementById('file-state').textContent.includes('31 hits')")
    frame.click("#play")
    until(frame, "timbrekit.hits.length >= 4")
    frame.click("#play")


def let_ring(frame, seconds=0.3):
    """Wait by the sound's own clock, so that the next stroke stands out from silence."""
    now = frame.evaluate("timbrekit.sound.context.currentTime")
    until(frame, f"timbrekit.sound.context.currentTime > {now + seconds}")


SAMPLES_IN_PAGE = """async ({ encoded, rate, poison, length }) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const samples = Float32Array.from(new Int16Array(bytes.buffer), (x) => x / 32768);
  if (poison) samples.fill(NaN, ...poison);
  const context = new OfflineAudioContext(1, samples.length, rate);
  const node = await timbrekit.makeInstrument(context, timbrekit.model, { fixed: false }, "silent");
  const hits = [];
  node.port.onmessage = ({ data }) => data.hit && hits.push(data.hit);
  node.connect(context.destination);
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(node);
  source.start();
  const rendered = (await context.startRendering()).getChannelData(0).slice(0, length);
  const letters = Array.from(new Uint8Array(rendered.buffer), (byte) => String.fromCharCode(byte));
  while (hits.length < 31) await new Promise((resolve) => setTimeout(resolve, 10));
  return { triggers: hits.map((hit) => hit.position), audio: btoa(letters.join("")) };
}"""


def render_in_page(page, golden, rate, **options):
    encoded = base64.b64encode(golden["input_i16"].tobytes()).decode()
    result = page.evaluate(SAMPLES_IN_PAGE, {"encoded": encoded, "rate": rate, "length": 0, **options})
    return result["triggers"], np.frombuffer(base64.b64decode(result["audio"]), "<f4")


@pytest.mark.parametrize("place", ["file", "localhost"])
def test_it_opens_plays_and_asks_for_nothing(visit, address, site, place):
    page = visit(address[place])
    assert_pads_and_file_play(page, site)
    assert page.evaluate("timbrekit.sound.refusal") is None
    assert page.complaints == []
    assert page.requests == [address[place]]


@pytest.mark.parametrize("place", ["file", "localhost"])
def test_the_audio_thread_renders_the_plugins_samples(visit, address, golden, place):
    page = visit(address[place])
    expected = golden["plugin_audio_48000_first3s"]
    triggers, audio = render_in_page(page, golden, 48_000, length=len(expected))
    assert triggers == golden["trigger_idx_48000"].tolist()
    np.testing.assert_allclose(audio, expected, atol=1e-6)
    for rate in (44_100, 96_000):
        assert render_in_page(page, golden, rate)[0] == golden[f"trigger_idx_{rate}"].tolist()


def test_samples_that_are_not_numbers_do_not_silence_it(visit, address, golden):
    page = visit(address["file"])
    length = len(golden["plugin_audio_48000_first3s"])
    silent_until = int(golden["detect_idx_48000"][0]) - 200
    assert not golden["input_i16"][:silent_until].any()
    triggers, audio = render_in_page(page, golden, 48_000, length=length, poison=[500, silent_until])
    assert triggers == golden["trigger_idx_48000"].tolist()
    np.testing.assert_allclose(audio, golden["plugin_audio_48000_first3s"], atol=1e-6)


def offsets_of_the_fake_microphone(page, golden):
    """Samples between where the golden take triggers and where the page, listening to it, triggered."""
    expected = golden["trigger_idx_44100"]
    expected = expected[expected < FAKE_TAKE - 2_000] + FAKE_LEAD_IN
    assert len(expected) >= 7
    page.click("#listen")
    until(page, f"timbrekit.hits.length >= {len(expected)}")
    assert page.evaluate("timbrekit.sound.context.sampleRate") == FAKE_RATE
    return page.evaluate("timbrekit.hits.map((hit) => hit.position)")[: len(expected)] - expected


def test_a_microphone_triggers_at_one_constant_offset(visit, address, golden):
    for _ in range(3):  # on a busy machine Chromium's fake device loses a buffer of 10 ms now and then
        page = visit(address["file"], ["microphone"])
        offsets = offsets_of_the_fake_microphone(page, golden)
        assert page.complaints == []
        if len(set(offsets)) == 1:
            return
        assert set(np.diff(offsets) % (FAKE_RATE // 100)) == {0}  # else it is not a lost buffer
    pytest.fail(f"three takes, none with a constant offset; the last: {offsets}")


def test_listening_runs_with_processing_off_and_stops(visit, address):
    page = visit(address["localhost"], ["microphone"])
    page.click("#listen")
    until(page, "Boolean(timbrekit.sound.track)")
    settings = page.evaluate("timbrekit.sound.track.getSettings()")
    for name, title in {
        "echoCancellation": "echo cancellation",
        "noiseSuppression": "noise suppression",
        "autoGainControl": "automatic gain",
    }.items():
        assert settings[name] is False
        assert f"{title} off" in page.locator("#processing").inner_text()
    assert page.locator("#processing .bad").count() == 0
    until(page, "document.getElementById('latency').innerText.includes('Together, at 44.1 kHz')")
    page.click("#listen")
    assert page.locator("#listen").inner_text() == "Start listening"
    assert page.evaluate("timbrekit.sound.track") is None
    assert page.complaints == []


def test_processing_that_stays_on_is_said(visit, address):
    page = visit(address["file"], ["microphone"])
    page.evaluate(
        """() => {
          const honest = MediaStreamTrack.prototype.getSettings;
          MediaStreamTrack.prototype.getSettings = function () {
            const { autoGainControl, ...rest } = honest.call(this);
            return { ...rest, noiseSuppression: true };
          };
        }"""
    )
    page.click("#listen")
    until(page, "Boolean(timbrekit.sound.track)")
    assert "noise suppression still on" in page.locator("#processing .bad").inner_text()
    assert "automatic gain not reported" in page.locator("#processing .unknown").inner_text()


@pytest.mark.parametrize("place", ["file", "localhost"])
def test_a_refused_microphone_is_explained_and_the_rest_plays(visit, address, site, place):
    page = visit(address[place])
    page.click("#listen")
    until(page, "document.querySelector('.notice')")
    assert "refused the input (NotAllowedError)" in notices(page)
    assert "Allow the microphone for this page" in notices(page)
    assert_pads_and_file_play(page, site)
    assert page.complaints == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("NotFoundError", "Plug one in"),
        ("NotReadableError", "Another program is using the input"),
        ("OverconstrainedError", "Choose another one"),
    ],
)
def test_an_input_that_cannot_be_opened_is_explained(visit, address, name, advice):
    page = visit(address["file"])
    refusal = f"async () => {{ throw new DOMException('', '{name}') }}"
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refusal} }}")
    page.click("#listen")
    until(page, "document.querySelector('.notice')")
    assert f"could not open the input ({name})" in notices(page)
    assert advice in notices(page)
    assert page.locator("#listen").inner_text() == "Start listening"


def test_an_input_that_is_unplugged_is_said(visit, address):
    page = visit(address["file"], ["microphone"])
    page.click("#listen")
    until(page, "Boolean(timbrekit.sound.track)")
    page.evaluate("timbrekit.sound.track.dispatchEvent(new Event('ended'))")
    assert "may have been unplugged" in notices(page)
    assert page.locator("#listen").inner_text() == "Start listening"


def test_a_frame_without_permission_says_to_open_the_page_by_itself(visit, site, server):
    (site / "frame.html").write_text(
        f"<title>frame</title><link rel=icon href='data:,'>"
        f"<iframe width=1200 height=900 src='http://127.0.0.1:{server}/play.html'></iframe>"
    )
    outer = visit(f"http://localhost:{server}/frame.html", ["microphone"])
    frame = outer.frames[1]
    until(frame, "typeof timbrekit === 'object'")
    frame.click("#listen")
    until(frame, "document.querySelector('.notice')")
    assert "NotAllowedError" in notices(frame)
    assert "sits inside another one" in notices(frame)
    assert_pads_and_file_play(frame, site)


def test_a_frame_that_was_given_the_microphone_plays_live(visit, site, server):
    """The way a trusted notebook shows the page: its whole text in srcdoc, with the microphone allowed."""
    text = html.escape((site / "play.html").read_text(encoding="utf-8"))
    (site / "notebook.html").write_text(
        f"<meta charset=utf-8><title>notebook</title><link rel=icon href='data:,'>"
        f'<iframe width=1200 height=900 allow="microphone" srcdoc="{text}"></iframe>'
    )
    outer = visit(f"http://localhost:{server}/notebook.html", ["microphone"])
    frame = outer.frames[1]
    until(frame, "typeof timbrekit === 'object'")
    frame.click("#listen")
    until(frame, "timbrekit.hits.length >= 2")
    assert frame.evaluate("timbrekit.sound.refusal") is None
    assert notices(frame) == ""
    assert outer.complaints == []


def test_a_refused_audio_thread_is_explained_and_the_rest_plays(visit, address, site):
    page = visit(address["strict"])
    assert_pads_and_file_play(page, site)
    assert "refused this page's audio thread (AbortError)" in notices(page)
    page.click("#listen")
    page.click("#record")
    assert page.locator(".notice").count() == 1
    page.locator("#pads button").first.click()
    loudest = (
        "Math.max(...[...timbrekit.sound.delayed.playing].at(-1).buffer.getChannelData(0).subarray(0, 9000))"
    )
    assert until(page, f"timbrekit.sound.delayed.playing.size && {loudest}") > 0.01
    page.keyboard.press("Escape")
    until(page, "timbrekit.sound.delayed.playing.size === 0")


def test_where_data_addresses_are_refused_the_audio_thread_comes_from_a_blob(visit, address):
    page = visit(address["blob"])
    page.keyboard.press("w")
    until(page, "timbrekit.hits.length === 1")
    assert page.evaluate("timbrekit.sound.refusal") is None
    assert notices(page) == ""


def test_a_browser_without_audio_thread_is_told_so(visit, address, site):
    page = visit("about:blank")
    page.add_init_script("delete BaseAudioContext.prototype.audioWorklet")
    page.goto(address["file"])
    assert_pads_and_file_play(page, site)
    assert "audio thread (NotSupportedError)" in notices(page)


def test_a_computer_without_sound_output_is_told_so(visit, address):
    page = visit("about:blank", ["microphone"])
    page.add_init_script(
        "AudioContext.prototype.resume = () => new Promise(() => {}); setTimeout = ((later) =>"
        " (work, delay, ...rest) => later(work, Math.min(delay ?? 0, 100), ...rest))(setTimeout)"
    )
    page.goto(address["file"])
    for start in (lambda: page.keyboard.press("q"), lambda: page.click("#listen")):
        start()
        until(page, "document.querySelector('.notice')")
        assert "(TimeoutError). No sound output has started. Connect or choose" in notices(page)
        page.click(".notice button")


DROP = """({ encoded, name }) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


def drop(page, path):
    page.evaluate(DROP, {"encoded": base64.b64encode(path.read_bytes()).decode(), "name": path.name})


def test_a_dropped_recording_plays_and_is_saved(visit, address, site, golden, tmp_path):
    page = visit(address["file"])
    drop(page, site / "take.wav")
    until(page, "document.getElementById('file-state').textContent.includes('31 hits')")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "saved.wav")
    audio, rate = soundfile.read(tmp_path / "saved.wav")
    assert (rate, len(audio)) == (48_000, len(golden["input_i16"]))
    first = golden["trigger_idx_48000"][0]
    assert not audio[:first].any()
    assert np.abs(audio[first : first + 2_000]).max() > 0.05
    page.click("#play")
    until(page, "timbrekit.hits.length >= 2")
    assert page.locator("#play").inner_text() == "Stop"
    page.keyboard.press("Escape")
    assert page.locator("#play").inner_text() == "Play"
    assert page.complaints == []


def test_a_file_that_is_no_audio_is_named(visit, address, site):
    page = visit(address["file"])
    drop(page, site / "noise.txt")
    until(page, "document.querySelector('.notice')")
    assert "noise.txt cannot be read as audio" in notices(page)
    assert page.complaints == []


def test_recording_saves_what_sounded(visit, address, tmp_path):
    page = visit(address["file"])
    page.click("#record")
    until(page, "document.getElementById('record').textContent === 'Stop and save'")
    page.keyboard.press("q")
    until(page, "timbrekit.hits.length === 1")
    let_ring(page, 0.2)
    with page.expect_download() as download:
        page.click("#record")
    download.value.save_as(tmp_path / "recorded.wav")
    audio, rate = soundfile.read(tmp_path / "recorded.wav")
    assert rate == page.evaluate("timbrekit.sound.context.sampleRate")
    assert len(audio) > 0.2 * rate
    assert np.abs(audio).max() > 0.01


def test_pads_span_the_trained_ranges(visit, address):
    page = visit(address["file"])
    hits = []
    for number, key in enumerate("asdfqwer", start=1):
        page.keyboard.press(key)
        until(page, f"timbrekit.hits.length === {number}")
        hits.append(page.evaluate("[...timbrekit.hits.at(-1).features]"))
        let_ring(page)
    loudness, brightness = np.array(hits)[:, 0], np.array(hits)[:, 1]
    assert loudness[:4].max() < 0.5 < loudness[4:].min()
    for row in (brightness[:4], brightness[4:]):
        assert (np.diff(row) > 0.1).all(), row


def test_ranges_can_grow_like_the_plugins_and_be_forgotten(visit, address):
    page = visit(address["file"])
    page.check("input[value=growing]")
    middle = "timbrekit.hits.at(-1).features.every((feature) => feature === 0.5)"
    page.keyboard.press("q")
    until(page, f"timbrekit.hits.length === 1 && {middle}")
    let_ring(page)
    page.keyboard.press("f")
    until(page, f"timbrekit.hits.length === 2 && !({middle})")
    page.click("#forget")
    let_ring(page)
    page.keyboard.press("f")
    until(page, f"timbrekit.hits.length === 3 && {middle}")


def test_detector_controls_change_what_is_found(visit, address, site):
    page = visit(address["file"])
    page.set_input_files("#file", site / "take.wav")
    until(page, "document.getElementById('file-state').textContent.includes('31 hits')")
    page.locator("#hold").focus()
    page.keyboard.press("End")
    until(page, "/ \\d hits|[12]\\d hits/.test(document.getElementById('file-state').textContent)")
    assert "12000 · 250 ms" in page.locator("#detector").inner_text()


def test_every_control_has_a_name_and_a_visible_focus(visit, address):
    page = visit(address["file"])
    controls = page.locator("button, select, input")
    nameless = controls.evaluate_all(
        """(all) => all.filter((control) => !(control.labels?.length || control.textContent.trim())
             && !control.hasAttribute("aria-label")).map((control) => control.outerHTML)"""
    )
    assert nameless == []
    page.keyboard.press("Tab")
    for _ in range(6):
        outline = "getComputedStyle(document.activeElement.closest('.button') ?? document.activeElement)"
        assert page.evaluate(f"{outline}.outlineStyle") == "solid"
        page.keyboard.press("Tab")


LOOKS = [
    ((1280, 900), "light"),
    ((1280, 900), "dark"),
    ((820, 1180), "light"),
    ((390, 844), "dark"),
    ((320, 640), "light"),
]


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_look_holds_at_desktop_and_phone_size(visit, address, site, tmp_path, size, scheme):
    page = visit(
        address["file"], viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=True
    )
    page.set_input_files("#file", site / "take.wav")
    until(page, "document.getElementById('file-state').textContent.includes('31 hits')")
    page.keyboard.press("w")
    until(page, "timbrekit.hits.length === 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    spilled = page.locator("main *").evaluate_all(
        """(all) => all.filter((one) => one.getBoundingClientRect().right > innerWidth + 1
             && !one.closest(".hidden-text")).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert spilled == []
    small = page.locator("button:visible, select:visible").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().height).filter((height) => height < 32)"
    )
    assert small == []
    folder = Path(os.environ.get("TIMBREKIT_SCREENSHOTS", tmp_path))
    picture = page.screenshot(full_page=True, path=folder / f"page-{size[0]}-{scheme}.png")
    assert len(picture) > 20_000  # not an empty page
