"""The drum as an instrument: against its formula sample by sample, as a stream, and knob by knob."""

import json
import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch
from drum_support import RATE, drum_preset, small_drum, struck

from timbrekit.errors import PresetError
from timbrekit.presets import load_preset, save_preset
from timbrekit.results.likeness import mss, onset_error, two_seconds
from timbrekit.synth.drum import Drum, parse_drum
from timbrekit.synth.drum_model import DrumModel
from timbrekit.synth.noise_bands import NODES, PERIOD, noise_table

SAMPLES = 9600


def _row(preset, **moved):
    values = preset.values | moved
    return torch.tensor([[p.to_normalized(values[p.key]) for p in preset.parameters]], dtype=torch.float64)


def _rendered(parts=("modes", "noise", "onset"), start=0, samples=SAMPLES, drum=None, **moved):
    model, row = DrumModel(drum or small_drum(), parts), _row(drum_preset(), **moved)
    return model.render(RATE, samples, row, (torch.tensor([start]),))[0].numpy()


def _level(sound):
    return 10 * np.log10(np.mean(np.square(sound)))


def test_modes_are_their_formula():
    drum = small_drum()
    t = np.arange(SAMPLES) / RATE
    expected = np.zeros(SAMPLES)
    rows = drum.frequency, drum.level[0], drum.phase[0], drum.decay
    for hz, level, phase, decay in zip(*rows, strict=True):
        expected += 10 ** (level / 20) * np.cos(2 * np.pi * hz * t + phase) * np.exp(-decay * t)
    expected *= np.minimum(1, t / 0.001)
    drive = 10 ** (-36 / 20)
    np.testing.assert_allclose(_rendered(("modes",)), np.tanh(expected * drive) / drive, atol=2e-6)


def test_noise_is_its_formula_and_goes_on_where_it_is_told():
    drum, start = small_drum(), 777
    table = noise_table(RATE, drum.noise_shape)
    grid = np.arange(SAMPLES // 64 + 2) * 64
    expected = np.zeros(SAMPLES)
    for band in range(20):
        level = 10 ** (np.interp(grid / RATE, NODES, drum.noise_level[0, band]) / 20)
        at = np.interp(np.arange(SAMPLES), grid, level)
        expected += at * table[band, (start + np.arange(SAMPLES)) % PERIOD]
    np.testing.assert_allclose(_rendered(("noise",), start), expected, atol=2e-5)


def test_the_onset_part_makes_the_beginning_the_recorded_one():
    drum = small_drum()
    hit = struck(0.3, seed=1)
    assert drum.reference == 0
    np.testing.assert_allclose(_rendered()[:400], hit[:400], atol=2e-3 * np.abs(hit).max() + 1e-5)


def test_a_stream_is_the_renders_of_its_hits_each_fading_in_5_ms_when_the_next_comes():
    preset, triggers = drum_preset(), np.array([100, 5000, 30_000])
    model = DrumModel(small_drum())
    audio = model.stream(preset.physical(), triggers, 60_000, RATE, noise=np.full(60_000, -1.0))
    assert not audio[:100].any()
    np.testing.assert_allclose(audio[100:5000], _rendered(start=100)[:4900], atol=1e-6)
    np.testing.assert_allclose(audio[5240:12_000], _rendered(start=5000)[240:7000], atol=1e-6)
    overlap = _rendered(start=100)[4900:5140] * (1 - np.arange(240) / 240) + _rendered(start=5000)[:240]
    np.testing.assert_allclose(audio[5000:5240], overlap, atol=1e-6)


def test_a_stream_in_pieces_of_other_parameters_plays_each_hit_with_its_own():
    preset = drum_preset()
    softer = preset.physical().copy()
    softer[[p.key for p in preset.parameters].index("level")] = -12.0
    rows, noise = np.stack([preset.physical(), softer]), np.full(60_000, -1.0)
    audio = DrumModel(small_drum()).stream(rows, [0, 30_000], 60_000, RATE, noise=noise)
    assert _level(audio[30_000:36_000]) - _level(audio[:6000]) == pytest.approx(-12, abs=0.5)


@pytest.mark.parametrize(
    ("knob", "value", "parts", "expected"),
    [
        ("modes.level", -12.0, ("modes",), -12.0),
        ("noise.level", -12.0, ("noise",), -12.0),
        ("onset.level", -12.0, ("onset",), -12.0),
        ("level", -12.0, ("modes", "noise", "onset"), -12.0),
    ],
)
def test_a_level_knob_moves_its_part_by_so_many_decibels(knob, value, parts, expected):
    moved = _level(_rendered(parts, **{knob: value})) - _level(_rendered(parts))
    assert moved == pytest.approx(expected, abs=0.05)


def test_pitch_of_an_octave_doubles_every_frequency():
    def peak(sound):
        return np.abs(np.fft.rfft(sound, 96_000)).argmax() / 2

    low, high = (peak(_rendered(("modes",), samples=24_000, pitch=steps)) for steps in (0.0, 12.0))
    assert high == pytest.approx(2 * low, abs=2)


def test_half_the_decay_fades_twice_as_fast():
    def fall(sound):
        return _level(sound[2000:4000]) - _level(sound[12_000:14_000])

    plain, shorter = (
        fall(_rendered(("modes",), samples=14_000, **{"modes.decay": d})) for d in (100.0, 50.0)
    )
    assert shorter == pytest.approx(2 * plain, rel=0.15)


def test_half_the_noise_decay_plays_its_curves_twice_as_fast():
    def levels(decay, frame):
        sound = _rendered(("noise",), samples=14_000, **{"noise.decay": decay})
        return [_level(sound[start : start + frame]) for start in range(frame, 14_000 - frame, frame)]

    plain, faster = levels(100.0, 2000), levels(50.0, 1000)
    np.testing.assert_allclose(faster[: len(plain)], plain, atol=2.0)


def test_late_noise_lifts_what_comes_later_alone():
    plain, lifted = (_rendered(("noise",), samples=14_000, **{"noise.late": db}) for db in (0.0, 6.0))
    np.testing.assert_allclose(lifted[:500], plain[:500], atol=1e-6)
    assert _level(lifted[11_000:]) - _level(plain[11_000:]) == pytest.approx(6.0, abs=0.05)


def test_struck_as_hard_as_a_hit_was_the_drum_sounds_as_it_did():
    for strength, seed, loudness in zip((0.3, 1.0), (1, 2), small_drum().loudness, strict=True):
        rendered = [_rendered(samples=33_600, start=start, strike=float(loudness)) for start in (0, 20_000)]
        hit, played, other = map(two_seconds, (struck(strength, seed=seed), *rendered))
        assert mss(played, hit) < 1.25 * mss(played, other) and onset_error(played, hit) < 0.25


def test_harder_is_louder_and_brighter_as_this_drum_is():
    drum = small_drum()
    soft, hard = (_rendered(samples=33_600, strike=float(level)) for level in drum.loudness)
    assert _level(hard[:4800]) - _level(soft[:4800]) == pytest.approx(10.5, abs=1.0)

    def share_of_the_fourth(sound):
        spectrum = np.square(np.abs(np.fft.rfft(sound, 48_000)))
        return spectrum[590:640].sum() / spectrum[160:200].sum()

    assert share_of_the_fourth(hard) > 1.6 * share_of_the_fourth(soft)


def test_a_glide_starts_higher_and_ends_where_it_was():
    drum = small_drum()
    gliding = Drum(
        **{f.name: getattr(drum, f.name) for f in fields(drum)} | {"gliding": np.ones(len(drum.gliding))}
    )

    def pitch(sound):
        return np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 96_000)).argmax() / 2

    knobs = {"glide.amount": 12.0, "glide.time": 30.0}
    plain = _rendered(("modes",), samples=24_000)
    swept = _rendered(("modes",), samples=24_000, drum=gliding, **knobs)
    assert pitch(swept[:1500]) > 1.3 * pitch(plain[:1500])
    assert pitch(swept[12_000:]) == pytest.approx(pitch(plain[12_000:]), abs=2)


def test_rows_with_noises_of_their_own_sound_as_they_do_alone():
    model, row = DrumModel(small_drum()), _row(drum_preset())
    starts = torch.tensor([5, 900, 5])
    together = model.render(RATE, 3000, row.expand(3, -1), (starts,))
    for number in range(3):
        alone = model.render(RATE, 3000, row, (starts[number : number + 1],))[0]
        torch.testing.assert_close(together[number], alone)


def test_another_sample_rate_plays_the_same_drum():
    model, row = DrumModel(small_drum()), _row(drum_preset())
    there = model.render(44_100, 22_050, row, model.draw(1, 22_050))[0].numpy()
    assert _level(there) == pytest.approx(_level(_rendered(samples=24_000)), abs=0.5)


def test_a_pickled_drum_plays_the_same():
    model, row = DrumModel(small_drum()), _row(drum_preset())
    again = pickle.loads(pickle.dumps(model))
    torch.testing.assert_close(
        again.render(RATE, 2000, row, model.draw(1, 2000)), model.render(RATE, 2000, row, model.draw(1, 2000))
    )


def test_a_preset_with_its_drum_is_read_as_it_was_written(tmp_path):
    preset = drum_preset()
    path = save_preset(preset, tmp_path / "my-drum.json")
    assert load_preset(path) == preset and path.stat().st_size < 64 * 1024
    assert 14 <= len(preset.parameters) <= 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decay": "1 2"}, "'decay' has a length"),
        ({"frequency": None}, "'frequency' has to hold numbers"),
        ({"noise_level": [["nan " * 18] * 20] * 2}, "'noise_level' has to hold numbers"),
        ({"kind": "gong"}, "kind has to be one of"),
        ({"reference": 7}, "'reference'"),
        ({"extra": 1}, "has to hold exactly"),
        ({"decay_slope": "0 " * 20}, "an earlier version of timbrekit made its drum.*Analyse the hits again"),
    ],
)
def test_a_damaged_drum_is_refused_in_words(tmp_path, change, words):
    content = drum_preset().to_json()
    content["drum"] |= change
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(PresetError, match=words):
        load_preset(tmp_path / "bad.json")


def test_a_preset_without_its_drum_is_refused(tmp_path):
    content = drum_preset().to_json()
    del content["drum"]
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(PresetError, match="drum has to hold"):
        load_preset(tmp_path / "bad.json")


def test_parsing_keeps_every_number_within_its_rounding():
    drum = small_drum()
    again = parse_drum(drum.to_json(), "x")
    np.testing.assert_allclose(again.onset, drum.onset, atol=1e-6)
    np.testing.assert_allclose(again.frequency, drum.frequency, atol=1e-5)
