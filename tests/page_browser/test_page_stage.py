"""The page of a drum on stage: MIDI in and out, volume and limiter, pads, several instruments, a loop, a stage view."""

import copy
import json
import re

import numpy as np
import pytest
from browser_midi import MIDI, connect
from browser_support import let_ring, notices, until
from drum_support import drum_mapping, drum_metadata, preset_of, small_drum
from page_support import mapping_metadata, wide_mapping

from timbrekit.export.live_page import build_page
from timbrekit.export.torchdrum import write_model
from timbrekit.presets import load_preset

LAST = "timbrekit.hits.at(-1)"
ONE_HIT = "timbrekit.hits.length === 1"


@pytest.fixture
def midi_page(visit, address):
    page = visit("about:blank")
    page.add_init_script(MIDI)
    page.goto(address["file"])
    connect(page)
    return page


def features(page):
    return page.evaluate(f"[...{LAST}.features]")


def play(page, *messages):
    for message in messages:
        page.evaluate(f"midi.play({', '.join(map(str, message))})")


# ---------------------------------------------------------------- MIDI


@pytest.mark.parametrize(("velocity", "loudness"), [(1, 0.0), (64, 0.5), (127, 1.0)])
def test_a_note_strikes_with_its_velocity_as_loudness_and_the_rest_in_the_middle(
    midi_page, velocity, loudness
):
    play(midi_page, [0x99, 38, velocity], [0x89, 38, 0])
    until(midi_page, ONE_HIT)
    assert features(midi_page) == pytest.approx([loudness, 0.5, 0.5], abs=1e-5)
    assert midi_page.evaluate(f"{LAST}.told")
    until(midi_page, "timbrekit.sound.output.peak > 0.001")
    assert midi_page.complaints == []


def test_a_note_off_and_a_note_of_no_velocity_strike_nothing(midi_page):
    play(midi_page, [0x90, 36, 0], [0x80, 36, 64], [0x90, 40, 100])
    until(midi_page, ONE_HIT)
    assert features(midi_page)[0] == pytest.approx(99 / 126)


def test_controllers_set_brightness_and_noisiness_of_the_notes_after_them(midi_page):
    for number, (bright, noisy, expected) in enumerate([(74, 71, (127, 0)), (21, 22, (0, 127))], start=1):
        play(midi_page, [0xB0, bright, expected[0]], [0xB0, noisy, expected[1]], [0x90, 38, 127])
        until(midi_page, f"timbrekit.hits.length === {number}")
        assert features(midi_page) == pytest.approx([1, expected[0] / 127, expected[1] / 127], abs=1e-5)
    assert "brightness 0 %, noisiness 100 %" in midi_page.inner_text("#midi-told")


def test_a_note_is_as_bright_and_as_noisy_as_the_median_hit_where_the_model_knows_it(visit, tmp_path):
    metadata = mapping_metadata(wide_mapping())
    low, high = (np.array(metadata["onset_features"][end]) for end in ("minimum", "maximum"))
    metadata["onset_features"]["median"] = (low + [0.1, 0.25, 0.75] * (high - low)).tolist()
    page = visit("about:blank")
    page.add_init_script(MIDI)
    page.goto(build_page(metadata, tmp_path / "median.html").as_uri())
    connect(page)
    play(page, [0x90, 38, 64])
    until(page, ONE_HIT)
    assert features(page) == pytest.approx([0.5, 0.25, 0.75], abs=1e-5)


def test_a_hit_goes_out_as_controllers_and_a_note(midi_page):
    midi_page.select_option("#midi-output", label="Drum machine")
    midi_page.fill("#midi-channel", "3")
    midi_page.fill("#midi-note", "40")
    midi_page.keyboard.press("w")
    until(midi_page, ONE_HIT)
    heard = features(midi_page)
    sent = until(midi_page, "midi.sent.length === 5 && midi.sent")
    values = [int(np.floor(127 * value + 0.5)) for value in heard]
    velocity = 1 + int(np.floor(126 * heard[0] + 0.5))
    expected = [[0xB2, 20 + i, value] for i, value in enumerate(values)]
    assert [message["bytes"] for message in sent] == [*expected, [0x92, 40, velocity], [0x82, 40, 0]]
    assert [message["when"] for message in sent[:4]] == [0] * 4
    assert 0 < sent[4]["when"] - midi_page.evaluate("performance.now()") + 2_000 < 2_060
    assert velocity > 64
    midi_page.keyboard.press("s")
    until(midi_page, "midi.sent.length === 10")
    assert midi_page.evaluate("midi.sent[8].bytes[2]") < velocity


def test_a_note_that_came_by_midi_is_not_sent_out_again(midi_page):
    midi_page.select_option("#midi-output", label="Drum machine")
    play(midi_page, [0x90, 38, 100])
    until(midi_page, ONE_HIT)
    midi_page.keyboard.press("q")
    until(midi_page, "timbrekit.hits.length === 2 && midi.sent.length > 0")
    assert midi_page.evaluate("midi.sent.length") == 5


def test_an_output_that_is_unplugged_is_left_and_nothing_is_sent(midi_page):
    midi_page.select_option("#midi-output", label="Drum machine")
    midi_page.evaluate("midi.access.outputs.clear(); midi.access.onstatechange()")
    assert midi_page.input_value("#midi-output") == ""
    midi_page.keyboard.press("q")
    until(midi_page, ONE_HIT)
    assert midi_page.evaluate("midi.sent") == []
    assert midi_page.complaints == []


def test_notes_play_where_the_audio_thread_is_refused(visit, address):
    page = visit("about:blank")
    page.add_init_script(MIDI)
    page.goto(address["strict"])
    connect(page)
    play(page, [0x90, 38, 127])
    until(page, ONE_HIT)
    loudest = "Math.max(...[...timbrekit.sound.delayed.playing].at(-1).buffer.getChannelData(0))"
    assert page.evaluate(loudest) > 0.01


def test_a_browser_without_midi_is_told_so_and_the_rest_plays(visit, address):
    page = visit("about:blank")
    page.add_init_script("delete Navigator.prototype.requestMIDIAccess")
    page.goto(address["file"])
    assert "There is no Web MIDI here" in page.inner_text("#midi-state")
    assert not page.locator("#midi").is_visible()
    page.keyboard.press("q")
    until(page, ONE_HIT)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "Allow it for this page"),
        ("SecurityError", "only to pages from a web server (https)"),
        ("InvalidStateError", "Close other programs that use it"),
        ("NotSupportedError", "Chrome and Edge have"),
    ],
)
def test_midi_that_cannot_be_had_is_explained(visit, address, name, words):
    page = visit("about:blank")
    page.add_init_script(
        f"Navigator.prototype.requestMIDIAccess = async () => {{ throw new DOMException('', '{name}') }}"
    )
    page.goto(address["file"])
    page.click("#midi")
    until(page, "document.querySelector('.notice')")
    assert f"refused MIDI ({name})" in notices(page)
    assert words in notices(page) and "the pads still play" in notices(page)


# ---------------------------------------------------------------- volume, meter, limiter

THROUGH = """async ({ decibels, peak }) => {
  const context = new OfflineAudioContext(1, 4800, 48000);
  const output = new timbrekit.Output(context, decibels);
  const buffer = new AudioBuffer({ length: 4800, sampleRate: 48000 });
  const samples = Float32Array.from({ length: 4800 }, (_, i) => peak * Math.sin(i / 7));
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(output.input);
  source.start();
  return [...(await context.startRendering()).getChannelData(0)];
}"""


def through_the_output(page, decibels, peak):
    given = peak * np.sin(np.arange(4800) / 7)
    return given, np.array(page.evaluate(THROUGH, {"decibels": decibels, "peak": peak}))


def test_the_limiter_leaves_what_is_soft_as_it_is_and_holds_what_is_loud_without_delay(visit, address):
    page = visit(address["file"])
    given, heard = through_the_output(page, 0, 0.89)
    np.testing.assert_allclose(heard, given, atol=2e-6)
    given, heard = through_the_output(page, -3, 1.0)  # an 808 at full scale, at the usual volume
    np.testing.assert_allclose(heard, given * 10 ** (-3 / 20), atol=2e-6)
    given, heard = through_the_output(page, 12, 1.5)
    assert 0.99 < np.abs(heard).max() <= 1
    assert (np.sign(heard) == np.sign(given)).all()
    soft = np.abs(given) * 10 ** (12 / 20) < 0.89
    np.testing.assert_allclose(heard[soft], given[soft] * 10 ** (12 / 20), atol=2e-5)


def test_volume_changes_what_is_heard_and_the_lamp_warns(visit, address):
    page = visit(address["file"])
    assert "−3.0 dB" in page.inner_text("#volume-place")
    page.keyboard.press("q")
    until(page, "/−.* dB/.test(document.getElementById('out-text').textContent)")
    assert not page.evaluate("document.getElementById('lamp').classList.contains('on')")
    page.locator("#volume").focus()
    page.keyboard.press("End")
    page.click("#play")
    until(page, "document.getElementById('lamp').classList.contains('on')")
    page.locator("#volume").focus()
    page.keyboard.press("Home")
    assert "off" in page.inner_text("#volume-place")
    until(page, "document.getElementById('out-text').textContent === 'silent'")
    before = page.evaluate("timbrekit.hits.length")
    until(page, f"timbrekit.hits.length > {before + 2}")  # it plays on, unheard
    assert page.complaints == []


# ---------------------------------------------------------------- pads and the loop


def test_a_pad_is_louder_the_higher_up_it_is_touched(visit, address):
    page = visit(address["file"])
    assert "higher up is louder" in page.inner_text(".try")
    pad = page.locator("#pads button").nth(2)
    box = pad.bounding_box()
    loudness, brightness = [], []
    for number, share in enumerate([0.98, 0.7, 0.4, 0.02], start=1):
        pad.click(position={"x": box["width"] / 2, "y": share * box["height"]})
        until(page, f"timbrekit.hits.length === {number}")
        loudness.append(features(page)[0])
        brightness.append(features(page)[1])
        let_ring(page)
    assert (np.diff(loudness) > 0.15).all(), loudness
    assert loudness[0] < 0.35 and loudness[-1] > 0.8
    assert np.ptp(brightness) < 0.03


def test_a_loop_is_there_to_try_it_with_and_comes_back_after_a_recording(visit, address, site):
    page = visit(address["file"])
    state = "document.getElementById('file-state').textContent"
    until(page, f"{state} === 'A drummed loop, made here: 5.2 s, 21 hits'")
    page.click("#play")
    until(page, "timbrekit.hits.length > 23")  # once around and on
    assert len({round(x, 2) for x in page.evaluate("timbrekit.hits.map((hit) => hit.features[0])")}) > 8
    page.click("#play")
    page.set_input_files("#file", site / "take.wav")
    until(page, f"{state}.startsWith('take.wav')")
    assert not page.is_checked("#loop")
    page.get_by_role("button", name="Drummed loop").click()
    until(page, f"{state} === 'A drummed loop, made here: 5.2 s, 21 hits'")
    assert page.is_checked("#loop") and not page.locator("#first").is_visible()
    assert page.complaints == [] and page.requests == [address["file"]]


# ---------------------------------------------------------------- several instruments


@pytest.fixture
def others(tmp_path):
    """Another instrument as a page, as a description and as a model file, each under a name of its own."""

    def metadata(name):
        tom, changed = load_preset("low-tom"), copy.deepcopy(mapping_metadata(wide_mapping("linear")))
        changed |= {"name": name, "preset": {"name": "low-tom", "title": "Low tom", "values": tom.values}}
        changed["detector"]["on_threshold"] = 10.0
        return changed

    page = build_page(metadata("A page"), tmp_path / "page.html")
    description = tmp_path / "description.json"
    description.write_text(json.dumps(metadata("A description")))
    model = write_model(wide_mapping("linear"), metadata("A model file"), tmp_path / "model.pt").path
    return page, description, model


def test_instruments_come_from_pages_descriptions_and_model_files(visit, address, others):
    page = visit(address["file"])
    page.set_input_files("#open-instrument", others)
    until(page, "timbrekit.instruments.length === 4")
    names = [re.sub(r"\s*\d$", "", text) for text in page.locator("#instruments button").all_inner_texts()]
    assert names == ["Kitchen snare", "A page", "A description", "A model file"]
    assert page.inner_text("h1") == "A model file"
    for number in range(1, 4):
        same = ["network", "preset", "parameters", "onset_features", "detector"]
        mine, other = (page.evaluate(f"timbrekit.instruments[{i}].model") for i in (number, 1))
        assert {key: mine[key] for key in same} == {key: other[key] for key in same}
    assert page.complaints == [] and notices(page) == ""


def test_another_instrument_plays_on_in_the_middle_of_the_loop(visit, address, others):
    page = visit(address["file"])
    page.set_input_files("#open-instrument", others[0])
    until(page, "timbrekit.instruments.length === 2")
    page.keyboard.press("1")
    page.click("#play")
    until(page, "timbrekit.hits.length > 3")
    preset = page.evaluate("timbrekit.model.preset.title")
    for key, name, threshold in (("2", "A page", "10.0 dB"), ("1", "Kitchen snare", "16.0 dB")):
        page.keyboard.press(key)
        assert page.inner_text("h1") == page.evaluate("document.title.split(' · ')[0]") == name
        count = page.evaluate("timbrekit.hits.length")
        until(page, f"timbrekit.hits.length > {count + 3}")
        assert page.inner_text("#play") == "Stop"
        assert threshold in page.inner_text("#detector")
    assert page.evaluate("timbrekit.model.preset.title") == preset
    positions = page.evaluate("timbrekit.hits.map((hit) => hit.position)")
    assert (np.diff(positions) > 0).all()  # one detector has heard them all
    assert page.complaints == []


def test_what_a_drum_needs_is_made_on_the_page_and_handed_to_the_audio_thread_once(visit, address, tmp_path):
    """Its noise takes half a second to compute, in which the audio thread would be silent."""
    preset = preset_of(small_drum())
    drum = build_page(drum_metadata(drum_mapping(preset), preset), tmp_path / "drum.html")
    page = visit(address["file"])
    page.evaluate(
        """() => { const send = MessagePort.prototype.postMessage; globalThis.sizes = [];
          MessagePort.prototype.postMessage = function (message, ...more) {
            if (message.add) sizes.push(message.kept.map(([name, value]) => [name.slice(0, 5), value.length]));
            return send.call(this, message, ...more);
          }; }"""
    )
    page.keyboard.press("q")
    until(page, ONE_HIT)
    page.set_input_files("#open-instrument", [drum, drum])
    until(page, "timbrekit.instruments.length === 3")
    first, second = page.evaluate("sizes")
    assert ["noise", 65_536 * 20] in first and second == []
    page.evaluate(f"timbrekit.sound.listeners.onHit({LAST})")  # one of the 808 that comes late
    let_ring(page)
    page.keyboard.press("q")
    until(page, f"timbrekit.hits.length === 3 && {LAST}.physical.length === 16")
    until(page, "timbrekit.sound.output.peak > 0.01")
    assert page.complaints == []


def test_what_was_set_by_hand_stays_with_its_instrument(visit, address, others):
    page = visit(address["file"])
    page.locator("#on_threshold").focus()
    page.keyboard.press("End")
    page.set_input_files("#open-instrument", others[0])
    until(page, "timbrekit.instruments.length === 2")
    assert "10.0 dB" in page.inner_text("#detector")
    assert page.evaluate("timbrekit.sound.settings.on_threshold") == 10
    page.get_by_role("button", name="Kitchen snare").click()
    assert "32.0 dB" in page.inner_text("#detector")
    until(page, "timbrekit.sound.settings.on_threshold === 32")


def test_a_midi_program_chooses_the_instrument(midi_page, others):
    midi_page.set_input_files("#open-instrument", others[0])
    until(midi_page, "timbrekit.instruments.length === 2")
    play(midi_page, [0xC9, 0])
    assert midi_page.inner_text("h1") == "Kitchen snare"
    play(midi_page, [0xC9, 1], [0xC9, 77])
    assert midi_page.inner_text("h1") == "A page"


def test_files_that_hold_no_instrument_for_this_page_are_named(visit, address, site, tmp_path, others):
    page = visit(address["file"])
    broken = json.loads(others[1].read_text())
    broken["preset"]["values"].pop("osc1.freq")
    ears, deaf = (
        {**json.loads(others[1].read_text()), **odd} for odd in ({"listener": "ears"}, {"detector": {}})
    )
    content = {"empty.html": "<p>", "list.json": "[]", "cut.pt": "PK"}
    content |= {f"{n}.json": json.dumps(m) for n, m in (("broken", broken), ("ears", ears), ("deaf", deaf))}
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    for file in (*(tmp_path / name for name in content), site / "tone.html"):
        page.set_input_files("#open-instrument", file)
        until(page, f"document.getElementById('notices').textContent.includes('{file.name}')")
        assert "holds no instrument that this page plays. It plays drums from a page" in notices(page)
    assert page.evaluate("timbrekit.instruments.length") == 1
    page.set_input_files(
        "#open-instrument", [tmp_path / "list.json", site / "tone.html", others[0]]
    )  # the last is one
    until(page, "timbrekit.instruments.length === 2")
    assert "list.json and tone.html hold no instrument" in notices(page)
    page.keyboard.press("q")
    until(page, ONE_HIT)
    assert page.complaints == []


# ---------------------------------------------------------------- stage view and phone


@pytest.mark.parametrize("leave", ["v", "Escape", "two taps"])
def test_the_stage_view_shows_name_levels_and_hits_and_nothing_else(visit, address, leave):
    page = visit(address["file"], viewport={"width": 1280, "height": 800})
    page.click("#play")
    until(page, ONE_HIT.replace("===", ">="))
    page.keyboard.press("v")
    stage = page.locator("#stage")
    assert stage.bounding_box() == {"x": 0, "y": 0, "width": 1280, "height": 800}
    assert stage.inner_text() == "Kitchen snare"
    assert page.locator("#stage-name").evaluate("(name) => parseFloat(getComputedStyle(name).fontSize)") > 100
    covered = "document.elementFromPoint(640, 20).closest('#stage') !== null"
    assert page.evaluate(covered)
    until(page, "document.getElementById('stage-disc').getAnimations().length > 0")
    for place in ("stage-in", "stage-out"):
        until(page, f"/scaleY\\(0\\.\\d/.test(document.getElementById('{place}').style.transform)")
    count = page.evaluate("timbrekit.hits.length")
    stage.dblclick() if leave == "two taps" else page.keyboard.press(leave)
    until(page, "document.getElementById('stage').hidden")
    until(page, f"timbrekit.hits.length > {count + 1}")  # it plays on
    assert page.complaints == []


@pytest.mark.parametrize("kind", ["file", "tone"])
def test_on_a_phone_what_is_played_lies_above_the_fold(visit, address, others, kind):
    page = visit(address[kind], viewport={"width": 390, "height": 844}, has_touch=True)
    if kind == "file":
        page.set_input_files("#open-instrument", others)
        until(page, "timbrekit.instruments.length === 4")
    box = page.locator("#pads" if kind == "file" else "#keyboard").bounding_box()
    assert box["y"] + box["height"] < 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#volume").bounding_box()["y"] < 160
