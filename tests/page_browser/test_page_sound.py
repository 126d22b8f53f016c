"""The live page in a browser: what it plays, finds, records and saves."""

import base64

import numpy as np
import pytest
import soundfile
from browser_support import (
    LEAD_IN,
    assert_pads_and_file_play,
    let_ring,
    notices,
    render_in_page,
    until,
    until_hits_are_counted,
)
from page_support import golden_metadata

from timbrekit.recording.onsets import DetectorSettings, detect


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
    model, expected = golden_metadata(golden), golden["plugin_audio_48000_first3s"]
    for rate in (48_000, 44_100, 96_000):
        wanted = golden[f"trigger_idx_{rate}"].tolist()
        found, audio = render_in_page(page, golden["input_i16"], rate, len(wanted), model)
        assert found == wanted
        if rate == 48_000:
            np.testing.assert_allclose(audio[: len(expected)], expected, atol=1e-6)


def test_samples_that_are_not_numbers_do_not_silence_it(visit, address, take, triggers):
    page = visit(address["file"])
    wanted = triggers(48_000).tolist()
    found, audio = render_in_page(page, take, 48_000, len(wanted))
    assert found == wanted
    assert not take[:LEAD_IN].any()
    found_despite, audio_despite = render_in_page(page, take, 48_000, len(wanted), poison=[500, LEAD_IN])
    assert found_despite == wanted
    np.testing.assert_array_equal(audio_despite, audio)
    assert np.abs(audio).max() > 0.05


DROP = """({ encoded, name }) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


def drop(page, path):
    page.evaluate(DROP, {"encoded": base64.b64encode(path.read_bytes()).decode(), "name": path.name})


def test_a_dropped_recording_plays_and_is_saved(visit, address, site, take, triggers, tmp_path):
    page = visit(address["file"])
    drop(page, site / "take.wav")
    assert until_hits_are_counted(page, "take.wav") == len(triggers(48_000)) > 8
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "saved.wav")
    audio, rate = soundfile.read(tmp_path / "saved.wav")
    assert (rate, len(audio)) == (48_000, len(take))
    first = triggers(48_000)[0]
    assert not audio[:first].any()
    assert np.abs(audio[first : first + 2_000]).max() > 0.05
    page.click("#play")
    until(page, "timbrekit.hits.length >= 2")
    assert page.locator("#play").inner_text() == "Stop"
    page.keyboard.press("Escape")
    assert page.locator("#play").inner_text() == "Play"
    assert page.complaints == []


def test_channels_that_cancel_are_said_and_one_of_them_is_played(visit, address, take, triggers, tmp_path):
    soundfile.write(tmp_path / "wide.wav", np.stack([take, -take], axis=1), 48_000)
    page = visit(address["file"])
    drop(page, tmp_path / "wide.wav")
    assert until_hits_are_counted(page, "wide.wav") == len(triggers(48_000))
    assert "cancel each other, so channel 1 alone is played" in notices(page)


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


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_times_are_of_the_rate_that_the_browser_plays_at_and_another_than_the_models_is_said(
    visit, address, rate
):
    page = visit(address["file"])
    page.evaluate(f"timbrekit.sound.context = new AudioContext({{ sampleRate: {rate} }})")
    page.keyboard.press("q")
    until(page, "timbrekit.hits.length === 1")
    hold = page.evaluate("timbrekit.model.detector.hold")
    shown = page.locator("output[for=hold]").inner_text()
    assert shown == f"{hold} · {round(1000 * hold / rate)} ms"
    warning = page.locator("#rate")
    trained = page.evaluate("timbrekit.model.sample_rate")
    assert warning.is_visible() == (rate != trained)
    if rate != trained:
        assert "was trained for 48 kHz, and this browser plays at 44.1 kHz" in warning.inner_text()


def test_pads_lie_where_the_keys_lie_whatever_is_printed_on_them(visit, address):
    """On a French keyboard the key at the place of Q gives "a"."""
    page = visit(address["file"])
    for code, printed in (("KeyQ", "a"), ("KeyA", "q")):
        before = page.evaluate("timbrekit.hits.length")
        page.evaluate(
            f"document.body.dispatchEvent(new KeyboardEvent('keydown', "
            f"{{ code: '{code}', key: '{printed}', bubbles: true }}))"
        )
        until(page, f"timbrekit.hits.length === {before + 1}")
        let_ring(page)
    hard, soft = page.evaluate("timbrekit.hits.map((hit) => hit.features[0])")
    assert hard > 0.5 > soft


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


def test_detector_controls_change_what_is_found(visit, address, site, take):
    page = visit(address["file"])
    page.set_input_files("#file", site / "take.wav")
    found = until_hits_are_counted(page, "take.wav")
    page.locator("#on_threshold").focus()
    page.keyboard.press("End")
    assert "32.0 dB" in page.locator("#detector").inner_text()
    loud = detect(take.astype(np.float32) / 32768, 48_000, DetectorSettings(on_threshold=32.0)).triggers
    assert 1 < len(loud) < found
    until(page, f"document.getElementById('file-state').textContent.endsWith(' {len(loud)} hits')")
