"""The live page in a browser: the microphone, and every way of being refused one or the audio thread."""

import html

import numpy as np
import pytest
from browser_support import FAKE_RATE, FAKE_TAKE, assert_pads_and_file_play, notices, until


def test_a_microphone_triggers_at_one_constant_offset(visit, address, triggers):
    expected = triggers(FAKE_RATE)
    expected = expected[expected < FAKE_TAKE - 2_000]
    assert len(expected) >= 5
    for _ in range(3):  # on a busy machine Chromium's fake device loses a buffer of 10 ms now and then
        page = visit(address["file"], ["microphone"])
        page.click("#listen")
        until(page, f"timbrekit.hits.length >= {len(expected)}")
        assert page.evaluate("timbrekit.sound.context.sampleRate") == FAKE_RATE
        found = page.evaluate("timbrekit.hits.map((hit) => hit.position)")[: len(expected)]
        assert page.complaints == []
        offsets = np.array(found) - expected
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
