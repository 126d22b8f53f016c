"""The listener of timbrekit.tone against sounds of known pitch and level, placed notes, and another tracker."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_material import shared_folder

from timbrekit.recording import read_recording
from timbrekit.tone.pitch import (
    CENTRE,
    FLOOR,
    HOP,
    RATE,
    WINDOW,
    Heard,
    first_memory,
    follow,
    hear,
    k_weighting,
    listening_tables,
    measure,
)

EDGE_S = 0.04  # of a placed note, in which the one before still sounds


@pytest.fixture(scope="module")
def tonal_dir() -> Path:
    return shared_folder("tonal")


def tone(hertz: float, seconds: float = 0.5, partials: int = 8, level: float = 0.2) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    parts = [
        np.sin(2 * np.pi * k * hertz * time + k) / k for k in range(1, partials + 1) if k * hertz < RATE / 2
    ]
    return (level * sum(parts)).astype(np.float32)


def semitones(hertz: float) -> float:
    return 69 + 12 * np.log2(hertz / 440)


def placed_pitch(notes: Path, hops: int) -> np.ndarray:
    """The note that sounds in the middle of each hop's window, NaN within EDGE_S of a note's ends."""
    time = ((np.arange(hops) + 1) * HOP - CENTRE) / RATE
    pitch = np.full(hops, np.nan)
    with notes.open(encoding="utf-8") as file:
        for note in csv.DictReader(file):
            start, length = float(note["start_s"]), float(note["length_s"])
            inside = (time > start + EDGE_S) & (time < start + length - EDGE_S)
            pitch[inside] = float(note["midi_note"])
    return pitch


def settled(heard: Heard) -> slice:
    return slice(WINDOW // HOP, len(heard))


@pytest.mark.parametrize("hertz", [50.0, 65.4, 110.0, 233.1, 440.0, 987.8, 1900.0])
@pytest.mark.parametrize("partials", [1, 8])
def test_a_steady_tone_is_heard_within_four_cents(hertz, partials):
    heard = hear(tone(hertz, partials=partials))
    assert np.abs(heard.pitch[settled(heard)].numpy() - semitones(hertz)).max() < 0.04
    assert heard.voiced[settled(heard)].min() == 1


def test_a_missing_fundamental_is_still_heard():
    time = np.arange(RATE // 2) / RATE
    sound = sum(np.sin(2 * np.pi * k * 150 * time) for k in (2, 3, 4, 5)) * 0.1
    heard = hear(sound)
    assert np.abs(heard.pitch[settled(heard)].numpy() - semitones(150)).max() < 0.03


def test_noise_and_silence_are_not_pitched():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert hear(noise).voiced.max() < 0.2
    assert hear(np.zeros(RATE, np.float32)).voiced.max() == 0
    assert hear(tone(220, level=1e-5)).voiced.max() == 0


def test_loudness_is_that_of_bs_1770():
    """A sine of 997 Hz at full scale measures -3.01 LKFS (ITU-R BS.1770-4, annex 1)."""
    sine = np.sin(2 * np.pi * 997 * np.arange(RATE) / RATE)
    heard = hear(sine)
    assert heard.loudness[settled(heard)].numpy() == pytest.approx(-3.01, abs=0.02)
    assert hear(np.zeros(RATE)).loudness.numpy() == pytest.approx(FLOOR)


def test_loudness_agrees_with_another_filter_for_noise():
    """The weighting by spectrum against the standard's filters in the time domain."""
    from scipy.signal import lfilter

    noise = np.random.default_rng(1).normal(0, 0.1, 4 * RATE)
    filtered = noise
    for above, below in (
        ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1, -1.69065929318241, 0.73248077421585)),
        ((1, -2, 1), (1, -1.99004745483398, 0.99007225036621)),
    ):
        filtered = lfilter(above, below, filtered)
    expected = -0.691 + 10 * np.log10(np.mean(filtered**2))
    heard = hear(noise)
    mean = 10 * np.log10(np.mean(10 ** (heard.loudness[settled(heard)].numpy() / 10)))
    assert mean == pytest.approx(expected, abs=0.1)


def test_the_weighting_is_flat_at_one_kilohertz_and_falls_in_the_bass():
    gain = 10 * torch.log10(k_weighting(torch.tensor([38.0, 997.0, 10000.0], dtype=torch.float64)))
    assert gain.numpy() == pytest.approx([-6.0, 0.7, 4.0], abs=0.3)


def test_only_the_past_is_heard():
    sound = tone(300, 0.4)
    changed = sound.copy()
    changed[40 * HOP :] = tone(500, 0.4)[40 * HOP :]
    before, after = hear(sound), hear(changed)
    for name in ("pitch", "voiced", "loudness"):
        assert torch.equal(getattr(before, name)[:40], getattr(after, name)[:40])
    assert not torch.equal(before.pitch, after.pitch)


def test_one_hop_at_a_time_is_heard_as_the_whole_and_so_it_is_in_torchscript():
    sound = torch.from_numpy(np.concatenate([tone(220, 0.2), np.zeros(3000, np.float32), tone(331, 0.2)]))
    whole = hear(sound)
    windows = torch.nn.functional.pad(sound, (WINDOW - HOP, 0)).unfold(0, WINDOW, HOP)
    tables, memory = listening_tables(), first_memory()
    scripted_measure, scripted_follow = torch.jit.script(measure), torch.jit.script(follow)
    for n in range(len(whole)):
        pitch, confidence, loudness = scripted_measure(windows[n : n + 1].clone(), tables)
        held, voiced, after = follow(pitch, confidence, loudness, memory)
        again = scripted_follow(pitch, confidence, loudness, memory)
        assert again == (held, voiced, after)
        memory = after
        assert held[0] == pytest.approx(float(whole.pitch[n]), abs=1e-3)
        assert voiced[0] == pytest.approx(float(whole.voiced[n]), abs=1e-3)
        assert loudness[0] == pytest.approx(float(whole.loudness[n]), abs=1e-3)


def test_pitch_is_held_where_nothing_is_pitched():
    pitches, voiced, _ = follow([60, 72.3, 64], [1, 0.2, 1], [-20, -20, -20], first_memory())
    assert pitches == [60, 60, 64] and voiced == [1, 0, 1]


def test_a_doubtful_leap_waits_and_a_certain_one_does_not():
    doubtful, _, _ = follow([60] + [65] * 8, [1] + [0.9] * 8, [-20] * 9, first_memory())
    assert doubtful == [60] * 6 + [65] * 3
    certain, _, _ = follow([60] + [65] * 8, [1] + [0.97] * 8, [-20] * 9, first_memory())
    assert certain == [60] + [65] * 8


def test_the_undertone_between_two_notes_is_passed_over():
    """As YIN heard it between D4 and G4 of the saxophone: 43 is an undertone of both."""
    pitch = [62, 62, 43, 43, 43, 43, 67, 67, 67]
    confidence = [0.99, 0.92, 0.94, 0.91, 0.84, 0.85, 0.87, 0.94, 0.97]
    followed, _, _ = follow(pitch, confidence, [-18] * 9, first_memory())
    assert followed == [62] * 6 + [62, 67, 67]


def test_a_deep_leap_is_followed_once_it_is_beyond_doubt_or_lasts():
    certain, _, _ = follow([60, 48], [1, 0.99], [-20] * 2, first_memory())
    assert certain == [60, 48]
    lasting, _, _ = follow([60] + [48] * 12, [1] + [0.9] * 12, [-20] * 13, first_memory())
    assert lasting == [60] * 11 + [48] * 2


def test_a_doubtful_beginning_gives_way_to_what_is_surer():
    """As a note begins, a formant is heard first; and leaps here and there do not add up to one that lasts."""
    followed, _, _ = follow([76] + [58] * 4, [0.78] + [0.85] * 4, [-30] * 5, first_memory())
    assert followed == [76, 58, 58, 58, 58]
    astray, _, _ = follow([60, *[76, 66] * 4], [1] + [0.7] * 8, [-20] * 9, first_memory())
    assert astray == [60] * 9


@pytest.fixture(scope="module")
def heard_of(tonal_dir):
    """What is heard of the first minute of a recording. What comes later has no say in what is heard before."""
    return cache(lambda name: hear(read_recording(tonal_dir / f"{name}.flac").samples[: 60 * RATE]))


@pytest.mark.parametrize(("name", "most"), [("alto_sax", 0.005), ("cello_phrase", 0.005)])
def test_between_notes_no_third_one_is_heard(tonal_dir, heard_of, name, most):
    """Hops whose pitch is that of no note before, at or after it, within a semitone and a half."""
    heard = heard_of(name).part(0, 40 * RATE // HOP)
    with (tonal_dir / f"{name}.notes.csv").open(encoding="utf-8") as file:
        notes = [(float(note["start_s"]), float(note["midi_note"])) for note in csv.DictReader(file)]
    starts, pitches = np.array(notes).T
    current = np.searchsorted(starts, ((np.arange(len(heard)) + 1) * HOP - CENTRE) / RATE) - 1
    around = [pitches[np.clip(current + step, 0, len(notes) - 1)] for step in (-1, 0, 1)]
    foreign = (np.abs(heard.pitch.numpy() - around) > 1.5).all(0) & (heard.voiced.numpy() > 0)
    assert foreign.mean() < most


@pytest.mark.parametrize(
    ("name", "median_cents", "octave_share"), [("alto_sax", 1.0, 0.002), ("cello_phrase", 4.0, 0.003)]
)
def test_placed_notes_are_heard(tonal_dir, heard_of, name, median_cents, octave_share):
    heard = heard_of(name)
    placed = placed_pitch(tonal_dir / f"{name}.notes.csv", len(heard))
    inside = ~np.isnan(placed)
    assert heard.voiced.numpy()[inside].mean() > 0.99
    error = heard.pitch.numpy()[inside] - placed[inside]
    assert 100 * np.median(np.abs(error)) < median_cents
    assert np.mean(np.abs(np.abs(error) - 12) < 1) < octave_share


def test_an_independent_tracker_agrees(tonal_dir, heard_of):
    """PESTO (Riou et al. 2023), a network that ships its weights, on half a minute of saxophone.

    It answers in steps of a third of a semitone: half of one is the bound of the median.
    """
    try:
        import pesto
    except (
        ImportError,
        OSError,
        RuntimeError,
    ) as error:  # the last two: a torchaudio that does not fit torch
        pytest.skip(f"needs pesto-pitch, of the test extra, and a torchaudio that fits torch: {error}")
    samples = read_recording(tonal_dir / "alto_sax.flac").samples[: 30 * RATE]
    heard = heard_of("alto_sax").part(0, len(samples) // HOP)
    time, other, _, _ = pesto.predict(torch.from_numpy(samples), RATE, step_size=20.0, convert_to_freq=False)
    hop = ((time.numpy() / 1000 * RATE + CENTRE) / HOP - 1).round().astype(int)
    placed = placed_pitch(tonal_dir / "alto_sax.notes.csv", len(heard))
    valid = (hop >= 0) & (hop < len(heard))
    valid[valid] = ~np.isnan(placed[hop[valid]])
    difference = np.abs(heard.pitch.numpy()[hop[valid]] - other.numpy()[valid])
    assert valid.sum() > 500
    assert np.median(difference) < 0.17
    assert np.mean(difference > 0.5) < 0.005
