"""Suggested settings against true onsets that the suggestion never sees.

Its constants were chosen on the two shared recordings, each also 10 dB softer, at 44.1 kHz, with noise and
in halves; the sample recording was not among them.
"""

import csv

import numpy as np
import pytest
import soundfile

import timbrekit.recording.suggest
from timbrekit.recording import resample
from timbrekit.recording.onsets import DetectorSettings, detect
from timbrekit.recording.suggest import match_onsets, reference_onsets, suggest_settings

RATE = 48_000


def read(folder, name):
    samples, rate = soundfile.read(folder / f"{name}.flac", dtype="float32")
    with (folder / f"{name}.onsets.csv").open() as file:
        return samples, rate, np.array([float(row["onset_s"]) for row in csv.DictReader(file)])


def f_measure(samples, rate, settings, truth_seconds):
    found = detect(samples, rate, settings).triggers - 257
    matched = len(match_onsets(found, truth_seconds * rate, 0.025 * rate))
    return 2 * matched / (len(found) + len(truth_seconds))


def bursts(starts, gains, seconds):
    rng = np.random.default_rng(0)
    samples = rng.normal(size=round(seconds * RATE)).astype(np.float32) * 3e-4
    for start, gain in zip(starts, gains, strict=True):
        tail = rng.uniform(-gain, gain, 12_000) * np.exp(-np.arange(12_000) / 2_400)
        samples[start : start + 12_000] += tail[: len(samples) - start].astype(np.float32)
    return samples


def test_on_a_snare_it_finds_what_a_search_with_the_truth_at_hand_finds(shared_audio_dir):
    samples, rate, truth = read(shared_audio_dir, "snare_performance")
    suggestion = suggest_settings(samples, rate)
    assert f_measure(samples, rate, DetectorSettings(), truth) == pytest.approx(0.835, abs=0.001)
    assert f_measure(samples, rate, suggestion.settings, truth) >= 0.93
    assert suggestion.changed
    assert suggestion.caught_suggested > suggestion.caught_default + 30
    assert suggestion.extra_suggested <= 5


def test_on_easy_taps_the_defaults_stay(shared_audio_dir):
    samples, rate, truth = read(shared_audio_dir, "tap_medley")
    suggestion = suggest_settings(samples, rate)
    assert not suggestion.changed
    assert f_measure(samples, rate, suggestion.settings, truth) == 1.0


@pytest.mark.parametrize("change", ["softer", "noisier", "44100", "second half"])
def test_the_suggestion_helps_on_changed_takes_too(shared_audio_dir, change):
    samples, rate, truth = read(shared_audio_dir, "snare_performance")
    half = len(samples) // 2
    if change == "softer":
        samples = samples * np.float32(0.3)
    elif change == "noisier":
        samples = samples + np.random.default_rng(0).normal(size=len(samples)).astype(np.float32) * 1e-3
    elif change == "44100":
        samples, rate = resample(samples, rate, 44_100), 44_100
    else:
        samples, truth = samples[half:], truth[truth >= half / rate] - half / rate
    before = f_measure(samples, rate, DetectorSettings(), truth)
    after = f_measure(samples, rate, suggest_settings(samples, rate).settings, truth)
    assert after >= before + 0.06


def test_the_sample_recording_gains_although_no_constant_was_chosen_on_it(sample_recording):
    if not sample_recording.is_file():
        pytest.skip("the sample recording has not been made; run sample_audio/make_samples.py")
    samples, rate, truth = read(sample_recording.parent, sample_recording.stem)
    settings = suggest_settings(samples, rate).settings
    assert (
        f_measure(samples, rate, settings, truth)
        >= f_measure(samples, rate, DetectorSettings(), truth) + 0.03
    )


def test_the_reference_lies_within_milliseconds_of_placed_hits():
    starts = np.array([30_000, 60_000, 75_000, 110_000])
    found, weights = reference_onsets(bursts(starts, [0.5, 0.05, 0.3, 0.02], 3.0), RATE)
    np.testing.assert_allclose(found, starts, atol=0.002 * RATE)
    assert (weights > 0.5).all()


def test_a_long_recording_is_heard_in_parts_without_a_hit_lost_or_counted_twice(monkeypatch):
    """Parts of at most a second; hits all through them, and an edge right on a hit."""
    starts = np.array([20_000, 39_900, 60_000, 75_000, 79_500, 110_000, 121_000, 230_000])
    gains = [0.5, 0.3, 0.05, 0.3, 0.2, 0.1, 0.5, 0.3]
    samples = bursts(starts, gains, 5.0)
    monkeypatch.setattr(timbrekit.recording.suggest, "PART_SECONDS", 1.0)
    monkeypatch.setattr(timbrekit.recording.suggest, "PART_MARGIN_SECONDS", 0.3)
    edges = [start for (start, _), _ in timbrekit.recording.suggest._parts(len(samples), RATE)]
    assert len(edges) == 5
    for shift in (0, *(edges[2] - starts[[1, 4]])):
        found, _ = reference_onsets(np.roll(samples, shift), RATE)
        np.testing.assert_allclose(found, np.sort((starts + shift) % len(samples)), atol=0.002 * RATE)


def test_missed_hits_are_named():
    starts = np.array([30_000, 60_000, 90_000, 120_000])
    suggestion = suggest_settings(bursts(starts, [0.5, 0.5, 0.5, 0.5], 3.5), RATE)
    assert suggestion.caught_suggested == 4
    assert suggestion.missed.size == 0
    late = np.array([*starts, 120_600])  # 12.5 ms after the one before: no detector setting can catch both
    suggestion = suggest_settings(bursts(late, [0.5, 0.5, 0.5, 0.1, 0.9], 3.5), RATE)
    assert len(suggestion.reference_onsets) == suggestion.caught_suggested + len(suggestion.missed)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.zeros(RATE), np.ones(RATE) * 0.1])
def test_without_any_hit_the_defaults_are_suggested(samples):
    suggestion = suggest_settings(samples, RATE)
    assert not suggestion.changed
    assert suggestion.reference_onsets.size == suggestion.missed.size == 0


def test_each_onset_is_matched_once():
    assert match_onsets([100, 110, 300], [105, 290, 500], 20).tolist() == [0, 1]
    assert match_onsets([100, 101, 102], [105], 20).tolist() == [0]
    assert match_onsets([], [105], 20).tolist() == []
