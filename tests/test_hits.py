"""Hits cut from composed signals whose onsets are known to the sample."""

import csv

import numpy as np
import pytest
import soundfile

from timbrekit.features import MOST_SHIFT
from timbrekit.recording.hits import find_hits, onset_windows, pre_roll
from timbrekit.recording.onsets import DetectorSettings, detect
from timbrekit.recording.take_health import hit_findings

RATE = 48_000


def bursts(starts, seconds=4.0, gains=None, seed=0) -> np.ndarray:
    """Noise bursts that decay over 60 ms, in silence."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(round(seconds * RATE), dtype=np.float32)
    for start, gain in zip(starts, gains if gains is not None else np.ones(len(starts)), strict=True):
        tail = rng.uniform(-0.5, 0.5, 24_000) * np.exp(-np.arange(24_000) / 2_880) * gain
        samples[start : start + 24_000] += tail[: len(samples) - start].astype(np.float32)
    return samples


def test_each_burst_becomes_a_hit_that_starts_just_before_it():
    starts = [20_000, 80_000, 140_000]
    hits = find_hits(bursts(starts), RATE)
    assert len(hits) == 3
    assert hits.dropped == ()
    np.testing.assert_allclose(hits.detections, starts, atol=10)
    assert (hits.starts <= starts).all()
    assert hits.segments.shape == (3, RATE)
    assert hits.segments.dtype == np.float32


def test_windows_are_what_the_plug_in_takes():
    samples = bursts([20_000, 80_000])
    hits = find_hits(samples, RATE)
    for window, detection in zip(hits.windows, hits.detections, strict=True):
        np.testing.assert_array_equal(window, samples[detection + 2 : detection + 258])
    np.testing.assert_array_equal(hits.triggers, hits.detections + 257)
    np.testing.assert_array_equal(hits.windows, onset_windows(samples, hits.triggers))
    for shift in (-MOST_SHIFT, -1, 4, MOST_SHIFT):
        np.testing.assert_array_equal(hits.windows_at(shift), onset_windows(samples, hits.triggers + shift))


def test_shifted_windows_beyond_the_recording_hear_silence():
    samples = bursts([20_000])
    end = find_hits(samples, RATE).triggers[0] + 10
    hits = find_hits(samples[:end], RATE)
    (late,) = hits.windows_at(MOST_SHIFT)
    beyond = MOST_SHIFT - 9
    np.testing.assert_array_equal(late[:-beyond], samples[end - 256 + beyond : end])
    assert not late[-beyond:].any()


def test_shifted_windows_before_the_recording_hear_silence_and_no_shift_goes_farther():
    hits = find_hits(bursts([20_000]), RATE)
    before = int(hits.triggers[0]) - 255 - 10  # leaves 10 samples before the window
    hits = find_hits(bursts([20_000])[before:], RATE)
    (early,) = hits.windows_at(-MOST_SHIFT)
    assert hits.triggers[0] == 265 and not early[: MOST_SHIFT - 10].any()
    np.testing.assert_array_equal(
        early[MOST_SHIFT - 10 :], bursts([20_000])[before:][: 256 - MOST_SHIFT + 10]
    )
    with pytest.raises(ValueError, match="from -32 to 32, not 33"):
        hits.windows_at(MOST_SHIFT + 1)


def test_an_uncut_segment_is_the_recording_itself():
    samples = bursts([20_000, 120_000])
    hits = find_hits(samples, RATE)
    start = hits.detections[0] - pre_roll(RATE)
    np.testing.assert_array_equal(hits.segments[0], samples[start : start + RATE])
    assert hits.lengths[0] == RATE


def test_a_segment_ends_faded_where_the_next_hit_begins():
    samples = bursts([20_000, 43_000])
    hits = find_hits(samples, RATE)
    length = hits.detections[1] - hits.detections[0]
    assert hits.lengths[0] == length
    assert not hits.segments[0, length:].any()
    fade = 240  # 5 ms
    start = hits.starts[0]
    np.testing.assert_array_equal(hits.segments[0, : length - fade], samples[start : start + length - fade])
    assert hits.segments[0, length - 1] == 0
    ratio = np.abs(hits.segments[0, length - fade : length]) / np.maximum(
        np.abs(samples[start + length - fade : start + length]), 1e-9
    )
    assert ratio[0] == pytest.approx(1)
    assert (np.diff(ratio[samples[start + length - fade : start + length] != 0]) < 0).all()


def test_the_last_segment_is_filled_with_zeros_after_the_end():
    samples = bursts([20_000], seconds=0.5)
    hits = find_hits(samples, RATE)
    assert hits.lengths[0] == len(samples) - hits.starts[0]
    assert not hits.segments[0, hits.lengths[0] :].any()


def test_a_hit_at_the_very_start_keeps_its_place_in_the_segment():
    samples = bursts([5])
    hits = find_hits(samples, RATE)
    assert hits.starts[0] < 0
    np.testing.assert_array_equal(hits.segments[0, -hits.starts[0] :][:1000], samples[:1000])
    assert not hits.segments[0, : -hits.starts[0]].any()


def test_every_detection_is_kept_or_dropped_with_a_reason():
    rng = np.random.default_rng(3)
    starts = np.sort(rng.integers(0, 4 * RATE, 300))  # a hail of hits
    samples = bursts(starts, gains=rng.uniform(0.01, 1, 300))
    settings = DetectorSettings(on_threshold=6, off_threshold=32, hold=0)
    hits = find_hits(samples, RATE, settings)
    found = detect(samples, RATE, settings)
    accounted = sorted([*hits.detections.tolist(), *(drop.position for drop in hits.dropped)])
    assert accounted == found.positions.tolist()
    assert sum("still listening" in drop.reason for drop in hits.dropped) == len(found.dropped) > 0


def test_a_window_past_the_end_is_dropped_with_that_reason():
    samples = bursts([20_000])[:20_200]
    hits = find_hits(samples, RATE)
    assert len(hits) == 0
    assert len(hits.dropped) == 1
    assert "ends before" in hits.dropped[0].reason
    assert hits.windows.shape == (0, 256)
    assert hits.segments.shape == (0, RATE)


def test_few_and_uniform_hits_are_found_out():
    starts = [20_000, 80_000, 140_000]
    kinds = {finding.kind for finding in hit_findings(find_hits(bursts(starts), RATE))}
    assert kinds == {"few_hits", "little_dynamics", "little_timbre"}
    assert [finding.severity for finding in hit_findings(find_hits(np.zeros(RATE), RATE))] == ["error"]


def test_a_wide_dynamic_range_is_not_complained_about():
    starts = np.arange(4) * 40_000 + 10_000
    samples = bursts(starts, gains=[0.03, 0.1, 0.3, 1.0])
    kinds = {finding.kind for finding in hit_findings(find_hits(samples, RATE))}
    assert "few_hits" in kinds
    assert "little_dynamics" not in kinds


def test_a_minute_of_real_playing_has_no_complaint(shared_audio_dir):
    samples, rate = soundfile.read(shared_audio_dir / "snare_performance.flac", dtype="float32")
    hits = find_hits(samples, rate)
    assert len(hits) == 171  # as the real plug-in on this take
    assert hit_findings(hits) == ()


def test_segments_start_before_nine_true_onsets_in_ten(shared_audio_dir):
    samples, rate = soundfile.read(shared_audio_dir / "snare_performance.flac", dtype="float32")
    with (shared_audio_dir / "snare_performance.onsets.csv").open() as file:
        truth = np.array([float(row["onset_s"]) * rate for row in csv.DictReader(file)])
    hits = find_hits(samples, rate)
    onset = truth[np.abs(truth - hits.detections[:, None]).argmin(axis=1)]
    early = np.mean(hits.starts <= onset)
    assert early > 0.85
