"""The panels' logic, with both generations of ipywidgets: no front end is needed."""

import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

ipywidgets = pytest.importorskip("ipywidgets", reason="needs the notebooks extra")

from timbrekit.errors import PresetError, RecordingError, TrainingError  # noqa: E402
from timbrekit.notebook import colab, widgets  # noqa: E402
from timbrekit.notebook.audition_panel import busiest_stretch  # noqa: E402
from timbrekit.notebook.colab import Upload  # noqa: E402
from timbrekit.notebook.hits_panel import HitsPanel, missed_onsets  # noqa: E402
from timbrekit.notebook.journey import Journey  # noqa: E402
from timbrekit.notebook.player import flac, player_html  # noqa: E402
from timbrekit.notebook.plots import smoothed_spectrum  # noqa: E402
from timbrekit.notebook.preset_panel import PresetPanel, own_presets, preset_sound, save_own  # noqa: E402
from timbrekit.notebook.recording_panel import SAMPLE, UPLOAD, RecordingPanel, keep_if_readable  # noqa: E402
from timbrekit.notebook.train_step import BOTH, CLOSER, EVERYWHERE  # noqa: E402
from timbrekit.notebook.training_panel import TrainingPanel, is_fast  # noqa: E402
from timbrekit.presets import load_preset  # noqa: E402
from timbrekit.recording import read_recording  # noqa: E402
from timbrekit.recording.onsets import DetectorSettings  # noqa: E402
from timbrekit.recording.suggest import suggest_settings  # noqa: E402
from timbrekit.session import Session  # noqa: E402
from timbrekit.training.fast.train import Epoch  # noqa: E402
from timbrekit.workflow import train_model  # noqa: E402

pytestmark = pytest.mark.usefixtures("few_imagined_hits")

RATE = 48_000


@pytest.fixture(scope="module")
def short_take(sample_recording, tmp_path_factory) -> Path:
    """Ten seconds of the sample."""
    samples, rate = soundfile.read(sample_recording, stop=10 * RATE, dtype="float32")
    path = tmp_path_factory.mktemp("take") / "ten seconds.wav"
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def session(tmp_path) -> Session:
    return Session.open(tmp_path / "my session")


def test_uploads_are_understood_in_both_generations_of_ipywidgets():
    seven = {"x.wav": {"metadata": {"name": "x.wav", "size": 2}, "content": b"ab"}}
    eight = ({"name": "x.wav", "type": "audio/wav", "size": 2, "content": memoryview(b"ab")},)
    assert widgets.uploaded_files(seven) == widgets.uploaded_files(eight) == [Upload("x.wav", b"ab")]
    assert widgets.uploaded_files({}) == widgets.uploaded_files(()) == []


def test_a_sound_is_inside_the_page_and_loses_nothing():
    samples = np.array([0, 0.5, -0.5, 2, -2], np.float32)
    decoded, rate = soundfile.read(io.BytesIO(flac(samples, RATE)))
    assert rate == RATE
    assert decoded == pytest.approx([0, 0.5, -0.5, 1, -1], abs=1 / 32767)


def test_names_from_the_user_cannot_break_the_page():
    assert player_html({"</script>": np.zeros(9)}, RATE).count(html.escape("</script>")) == 1  # its own
    assert "<b>" not in widgets.table_html([{"<b>": "<b>"}])


def test_missed_onsets_are_those_without_a_detection_nearby():
    assert list(missed_onsets([1000, 20_000, 40_000], [1100, 41_000, 90_000], RATE)) == [20_000]
    assert list(missed_onsets([5], [], RATE)) == [5]
    assert list(missed_onsets([], [5], RATE)) == []


def test_the_hits_panel_follows_its_sliders_and_tells(short_take):
    recording = read_recording(short_take)
    told = []
    suggestion = suggest_settings(recording.samples, RATE)
    panel = HitsPanel(recording, suggestion, None, lambda *change: told.append(change))
    assert panel.settings == suggestion.settings
    first, picture, marks = told[-1][1], panel.png, panel.marks.value
    panel._sliders["on_threshold"].value = 28.0
    assert told[-1][0].on_threshold == 28.0 and told[-1][1] < first
    assert panel.png != picture and panel.marks.value != marks
    assert f"{told[-1][1]} hits found" in panel.words.value
    assert panel.table.value.count("data-hit=") == told[-1][1]
    count = len(told)
    panel.use(DetectorSettings())
    assert panel.settings == DetectorSettings() and len(told) == count + 1  # one redraw for three sliders


def test_a_preset_is_chosen_adjusted_and_saved_as_ones_own(tmp_path):
    kept = []
    panel = PresetPanel(load_preset("snare-1"), tmp_path, kept.append)
    panel._chooser.value = "snare-2"
    assert kept[-1] == load_preset("snare-2")
    panel._sliders["noise_env.decay"].value = 400.0
    assert kept[-1].values["noise_env.decay"] == 400.0 and kept[-1].name == "snare-2-adjusted"
    panel._name.value = "My <Snare>"
    panel._save(None)
    assert "Saved as <b>My &lt;Snare&gt;</b>" in panel._reply.value
    assert kept[-1].title == "My <Snare>"
    (path,) = own_presets(tmp_path).values()
    assert load_preset(path).values == kept[-1].values
    again = PresetPanel(load_preset("snare-1"), tmp_path)
    assert ("My <Snare> (my own)", load_preset(path).name) in again._chooser.options


def test_an_adjusted_preset_can_be_had_back_also_in_the_next_notebook(tmp_path):
    panel = PresetPanel(load_preset("snare-2"), tmp_path)
    panel._sliders["osc1.freq"].value = 300.0
    assert panel.preset.name == "snare-2-adjusted" and "snare" not in panel.preset.description
    assert panel.preset.values == load_preset("snare-2").values | {
        "osc1.freq": 300.0
    }  # and nothing else moved
    again = PresetPanel(panel.preset, tmp_path)
    for adjusted in (panel, again):
        reset = adjusted.box.children[4].children[0].children[-1]
        reset.click()
        assert adjusted.preset == load_preset("snare-2") and adjusted._sliders[
            "osc1.freq"
        ].value == pytest.approx(load_preset("snare-2").values["osc1.freq"])


def test_every_step_of_a_knob_can_be_heard():
    for parameter in load_preset("snare-1").parameters:
        made = widgets.knob("", parameter, load_preset("snare-1").values[parameter.key])
        if parameter.unit in ("Hz", "ms"):
            assert isinstance(made, ipywidgets.FloatLogSlider)
            assert 10**made.step >= 2 ** (1 / 24) - 1e-9 and 10**made.max == pytest.approx(parameter.maximum)
        else:
            assert made.step >= 0.05


def test_a_preset_follows_ones_own_playing_before_any_training(session, short_take):
    """By loudness alone: it sounds at the hits, and where one plays louder, it is louder."""
    keep_if_readable(session, "take.wav", short_take.read_bytes())
    journey = Journey(session)
    for name in ("snare-1", "kick"):
        heard = journey.work.by_loudness(load_preset(name))
        samples, take = next(iter(journey.work._excerpts.values()))
        sound = heard.versions["remapped"]
        assert sound.shape == samples.shape == (8 * RATE,)
        starts = np.asarray(take.hits.triggers)
        levels = [
            np.log10(np.square(sound[at : at + 4_000]).mean() + 1e-12)
            for at in starts
            if at + 4_000 < len(sound)
        ]
        loudness = take.onset[: len(levels), 0].numpy()
        assert np.corrcoef(levels, loudness)[0, 1] > 0.8, name


def test_a_preset_is_heard_at_once_when_it_is_changed_and_not_when_it_is_shown(session, short_take):
    keep_if_readable(session, "take.wav", short_take.read_bytes())
    journey = Journey(session)
    journey.choose_preset("snare-1")
    sound = journey.preset.sound
    starts = html.escape('"autoplay": true')
    assert "by loudness alone" in sound.value and starts not in sound.value
    before = sound.value
    journey.preset._chooser.value = "snare-3"
    assert starts in sound.value and sound.value != before
    journey.preset.follow()
    assert starts not in sound.value


@pytest.mark.parametrize("title", ["", "   ", "x" * 61, "Snare 1", "snare-1"])
def test_a_name_that_will_not_do_is_refused_in_words(tmp_path, title):
    with pytest.raises(PresetError):
        save_own(load_preset("snare-1"), title, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_stray_file_among_ones_own_presets_is_left_alone(tmp_path):
    (tmp_path / "shopping.json").write_text(json.dumps(["milk"]))
    assert own_presets(tmp_path) == {}


def test_the_preset_is_heard_at_its_pitch():
    sound = preset_sound(load_preset("snare-1"))
    frequencies, levels = smoothed_spectrum(sound, RATE)
    assert 170 < frequencies[levels.argmax()] < 260  # its two tones, 180 and 240 Hz with their sweeps


def test_a_file_that_is_no_recording_leaves_the_session_as_it_was(session, short_take):
    keep_if_readable(session, "good.wav", short_take.read_bytes())
    before = session.state
    with pytest.raises(RecordingError):
        keep_if_readable(session, "bad.wav", b"this is no sound")
    assert session.state == before
    panel = RecordingPanel(session)
    panel.take(Upload("bad.wav", b"this is no sound"))
    assert "bad.wav" in panel.words.value and "&quot;good.wav&quot; is used" in panel.words.value


def test_two_uploads_of_one_name_are_both_kept(session, short_take):
    content = short_take.read_bytes()
    keep_if_readable(session, "take.wav", content)
    other = content[:-4] + b"\x01\x00\x01\x00"
    assert keep_if_readable(session, "take.wav", other).name == "take (2).wav"


def test_without_any_recording_the_sample_is_used(session):
    panel = RecordingPanel(session)
    panel.choose(SAMPLE)
    assert session.state.recording == "snare_minute.flac"
    assert '"snare_minute.flac": 60.0 s, mono, 48000 Hz.' in panel.text


def test_while_it_trains_the_panel_says_how_to_stop_and_draws_what_was_reached():
    panel = TrainingPanel()
    empty = panel.picture.value

    def work(progress, stage):
        stage("Training")
        assert re.search(r"Getting to know the sound, about \d+ s left", panel.words.value)
        progress(Epoch(1, 9, 1.0, 0.9, 5))
        panel._tell()
        assert re.search(
            r"Epoch 1 of 9, about \d+ s left\. Error 0\.900, best so far 0\.900", panel.words.value
        )
        assert "keep what was reached, press ■" in panel.hint.value
        progress(Epoch(2, 9, 1.0, 0.8, 5))
        raise KeyboardInterrupt  # as ■ does before the first epoch is done

    with pytest.raises(KeyboardInterrupt):
        panel.watch(work)
    assert len(panel.history) == 2 and panel.hint.value == "" and panel.picture.value != empty


@pytest.mark.parametrize("value, fast", [(None, False), ("", False), ("0", False), ("1", True)])
def test_training_is_cut_short_only_when_asked(monkeypatch, value, fast):
    monkeypatch.delenv("TIMBREKIT_FAST", raising=False)
    if value is not None:
        monkeypatch.setenv("TIMBREKIT_FAST", value)
    assert is_fast() is fast


def test_the_busiest_stretch_has_most_hits():
    triggers = np.array([10, 20, 500_000, 510_000, 520_000, 900_000])
    assert busiest_stretch(triggers, 1_000_000, RATE, 1.0) == 500_000 - 4_800
    assert busiest_stretch([], 1_000_000, RATE) == 0


def test_what_goes_wrong_in_a_step_is_a_sentence_and_no_traceback(session, short_take, capsys, monkeypatch):
    journey = Journey(session)
    keep_if_readable(session, "take.wav", short_take.read_bytes())

    def fails(*_args, **_options):
        raise TrainingError("Only 1 hit was found, and at least 2 are needed.")

    monkeypatch.setattr("timbrekit.notebook.train_step.prepare", fails)
    journey.train()
    said = journey.steps["train"].text
    assert "This step did not work. Only 1 hit was found" in said and "Traceback" not in said
    assert "Only 1 hit was found" in journey.steps["train"].box.children[0].value


def test_stop_while_it_rehearses_is_said_and_the_step_can_be_run_again(session, short_take, monkeypatch):
    journey = Journey(session)
    keep_if_readable(session, "take.wav", short_take.read_bytes())
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    monkeypatch.setattr("timbrekit.notebook.widgets.display", lambda *_args, **_options: None)

    def stop(*_args, **_options):
        raise KeyboardInterrupt  # as ■ does

    journey.train()
    with monkeypatch.context() as patched:
        patched.setattr("timbrekit.notebook.audition_panel.make_audition", stop)
        journey.listen()
        patched.setattr("timbrekit.notebook.work.measure_as_played", stop)
        journey.work.played.clear()
        journey.show_timbre_space()
    for name in ("listen", "space"):
        assert (
            journey.steps[name].panel is None and "Stopped. Run this step again." in journey.steps[name].text
        )
    assert journey.session.is_trained
    journey.listen()
    assert journey.audition is not None


def test_the_whole_journey_resumes_where_it_was(short_take, tmp_path, monkeypatch, capsys):
    """Trained once, found again by a second notebook; another preset is trained anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    monkeypatch.setattr("IPython.display.display", lambda *_args, **_options: None)
    monkeypatch.setattr("timbrekit.notebook.widgets.display", lambda *_args, **_options: None)
    first = Journey.start()
    keep_if_readable(first.session, "take.wav", short_take.read_bytes())
    first.find_hits()
    first.choose_preset("snare-3")
    first.train()
    capsys.readouterr()

    second = Journey.start()
    said = capsys.readouterr().out
    assert re.search(r"Resuming your session of \d\d:\d\d: \d+ hits, trained with snare-3", said)
    second.train()
    assert "You have trained Snare 3 on this recording before" in second.steps["train"].text
    second.listen()
    panel = second.audition
    assert len(panel.audition.rehearsal.triggers) == second.session.state.hits
    loud = panel.audition.versions["remapped"]
    panel.use(4.0)
    assert not np.array_equal(panel.audition.versions["remapped"], loud)
    second.download()
    assert (second.session.model_dir / "take as Snare 3.zip").is_file()

    second.play_live()
    second.steps["play"].panel.name.value = "My third snare"
    assert "<title>My third snare" in html.unescape(second.steps["play"].panel.frame.value)
    second.show_verdict()
    assert "My third snare" in second.steps["verdict"].text
    second.download()
    assert (second.session.model_dir / "My third snare.zip").is_file()
    shown = []
    monkeypatch.setattr("timbrekit.notebook.journey.show_html", shown.append)
    second.show_instruments()
    assert "My third snare" in shown[0] and "follows you" in shown[0]
    second.choose_preset("snare-1")
    assert not second.session.is_trained


@pytest.mark.usefixtures("forked_guard")
def test_each_kind_is_trained_once_and_a_click_changes_between_them(short_take, tmp_path, monkeypatch):
    """Everywhere, then the one with the mel listener, then back: every step is of the one that is chosen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    panels = []
    monkeypatch.setattr("timbrekit.notebook.train_step.show_panel", lambda box, *_: panels.append(box))
    journey = Journey.start()
    keep_if_readable(journey.session, "take.wav", short_take.read_bytes())
    journey.train()
    journey.play_live()
    journey.listen()
    journey.show_timbre_space()
    journey.show_verdict()
    places, steps = panels[0], journey.steps
    once = journey.session.model_dir
    assert places.label == EVERYWHERE and "primer.wav" in steps["verdict"].text
    plugin_drawn = len(steps["verdict"].panel.box.children)
    heard = journey.audition.audition.versions["remapped"]

    greyed = []
    monkeypatch.setattr(
        "timbrekit.notebook.train_step.train_model",
        lambda *told, **options: (
            greyed.append([name for name in steps if outdated(steps[name])]) or train_model(*told, **options)
        ),
    )
    places.label = CLOSER  # one click
    assert greyed == [["play", "listen", "space", "verdict"]]  # while it trains; what trains is not
    assert "Training is done: 4 epochs" in steps["train"].text
    missed = r"everywhere misses \d+% of how your hits differ, the one for page, Max and Pd \d+%"
    said = " ".join(steps["train"].text.split())
    assert re.search(missed, said) and "the one for page, Max and Pd plays from here on" in said
    assert '"listener":"mel"' in html.unescape(steps["play"].panel.frame.value)
    assert steps["play"].panel.name.value == "take as Snare 1, mel listener"
    assert "So TorchDrum cannot play it" in " ".join(steps["verdict"].text.split())
    assert len(steps["verdict"].panel.box.children) == plugin_drawn - 1
    assert not np.array_equal(journey.audition.audition.versions["remapped"], heard)
    assert len(journey.audition.audition.rehearsal.triggers) == journey.session.state.hits
    assert not any(outdated(step) for step in steps.values())

    places.label = EVERYWHERE  # back
    assert "You have trained Snare 1 on this recording before" in steps["train"].text
    np.testing.assert_array_equal(journey.audition.audition.versions["remapped"], heard)
    assert journey.session.model_dir == once
    journey.session.keep_listener("mel")  # by another notebook
    again = Journey.start()
    again.train()
    assert (
        panels[-1].label == CLOSER and "Snare 1 (mel listener) on this recording" in again.steps["train"].text
    )

    shown = []
    monkeypatch.setattr("timbrekit.notebook.journey.show_html", shown.append)
    again.show_instruments()
    assert shown[0].count("<tr>") == 3 and "<td style='text-align: left'>mel</td>" in shown[0]


def test_both_go_on_as_far_as_they_can(session, short_take, monkeypatch):
    """Stop ends the first and leaves the second; where the second cannot be trained, the first is played."""
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    monkeypatch.setattr("timbrekit.notebook.widgets.display", lambda *_args, **_options: None)
    keep_if_readable(session, "take.wav", short_take.read_bytes())
    journey = Journey(session)
    trained = []

    def stopped(prepared, preset, folder, settings, progress, stage, **options):
        trained.append(settings.listener)
        progress(Epoch(1, 9, 1.0, 0.9, 5))
        raise KeyboardInterrupt

    def refused(prepared, preset, folder, settings, *told, **options):
        trained.append(settings.listener)
        if settings.listener == "mel":
            raise TrainingError("6 hits are too few.")
        return train_model(prepared, preset, folder, settings, *told, **options)

    with monkeypatch.context() as patched:
        patched.setattr("timbrekit.notebook.train_step.train_model", stopped)
        journey.train(to_play=BOTH)
    assert trained == ["torchdrum"] and "Stopped before there was a model" in journey.steps["train"].text
    with monkeypatch.context() as patched:
        patched.setattr("timbrekit.notebook.train_step.train_model", refused)
        journey.train(to_play=BOTH)
    assert trained == ["torchdrum", "torchdrum", "mel"]
    assert "6 hits are too few" in journey.steps["train"].text
    assert session.listener == "torchdrum" and session.is_trained


def test_each_round_of_a_training_for_the_mel_listener_has_a_picture_of_its_own():
    panel = TrainingPanel(mel=True)
    for number in range(1, 9):
        panel.progress(Epoch(number, 8, *(2 * [0.2 if number < 5 else 0.6 - number / 100]), 5))
        panel._tell()
    assert [epoch.number for epoch in panel.history] == [1, 2, 3, 4]
    assert all(epoch.of == 4 and epoch.train_loss > 0.5 for epoch in panel.history)
    assert "Round 2 of 2: Epoch 4 of 4" in panel.text and "best so far" not in panel.text


def test_a_file_that_has_not_arrived_is_said_and_nothing_is_used_in_its_place(session):
    panel = RecordingPanel(session)
    panel.choose(UPLOAD)
    assert panel.waiting and session.recording_path is None
    assert "has not arrived" in panel.text and "path" in panel.text


def outdated(step) -> bool:
    """Greyed out, with a button to run from here."""
    has_button = any(
        "Run from here" in str(part.children) for part in step.box.children if hasattr(part, "children")
    )
    assert has_button == ("timbrekit-outdated" in step._inner._dom_classes)
    return has_button


def test_the_recording_before_leaves_nothing_in_the_one_after(short_take, tmp_path, monkeypatch):
    """Another file arrives: its own settings count, the panels of the one before are greyed out and write nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMBREKIT_FAST", "1")
    monkeypatch.setattr("timbrekit.notebook.widgets.display", lambda *_args, **_options: None)
    samples, rate = soundfile.read(short_take, dtype="float32")
    soundfile.write(tmp_path / "first.wav", samples, rate)
    soundfile.write(tmp_path / "second.wav", samples[3 * rate :] / 2, rate)
    journey = Journey.start()
    journey.choose_recording(UPLOAD)
    _, path = journey.recording.above.children[0].children
    path.value = str(tmp_path / "first.wav")
    journey.find_hits()
    journey.train()
    old = journey.hits
    old._sliders["on_threshold"].value = 31.0
    assert outdated(journey.steps["train"]) and not outdated(journey.steps["hits"])
    old.use(old.suggestion.settings)
    assert not outdated(journey.steps["train"])

    old._sliders["on_threshold"].value = 31.0
    path.value = str(tmp_path / "second.wav")  # step 3 is not run again
    assert outdated(journey.steps["hits"]) and outdated(journey.steps["train"])
    assert "second.wav" in journey.steps["hits"]._words.value
    old._sliders["hold"].value = 4_000
    assert journey.session.state.detector is None and journey.session.state.hits is None
    go_on = journey.recording._next.children[0]
    go_on.click()
    suggested = journey.hits.suggestion.settings
    assert journey.hits is not old and journey.work.detector() == suggested and suggested.on_threshold < 31
    assert not outdated(journey.steps["hits"]) and not outdated(journey.steps["train"])
    assert journey.session.is_trained and "epochs" in journey.steps["train"].text


def test_a_panel_notices_that_another_notebook_has_changed_the_recording(session, short_take):
    first, other = Journey(session), Session.open(session.folder)
    keep_if_readable(session, "take.wav", short_take.read_bytes())
    first.find_hits()
    other.keep_recording("other.wav", b"another sound")
    first.hits._sliders["hold"].value = 4_000
    assert outdated(first.steps["hits"]) and other.state.detector is None
    assert Session.open(session.folder).state.detector is None


def test_a_large_file_comes_in_by_its_path(session, short_take, tmp_path):
    path = tmp_path / "my take.wav"
    path.write_bytes(short_take.read_bytes())
    panel = RecordingPanel(session)
    panel.choose(UPLOAD)
    _, field = panel.above.children[0].children
    field.value = str(tmp_path / "nowhere.wav")
    assert "cannot be read" in panel.text and panel.waiting
    field.value = f'"{path}"'
    assert not panel.waiting and session.recording_path.name == "my take.wav"


def test_what_is_offered_is_all_that_can_be_read_and_no_companions(tmp_path):
    names = ["a.wav", "b.MOV", "c.amr", "d.3gp", "e.wma", "f.aifc", "g.mka", "h.au", "i.mp4"]
    for name in (*names, "._a.wav", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert {file.name for file in colab.audio_files(tmp_path)} == set(names)
    button = widgets.upload_button(print)
    assert all(ending in button.accept for ending in (".mov", ".amr", ".3gp", ".wma", ".aifc", ".mka", ".au"))
