"""The shipped sample: reproducible, small, honest about what it is, and as varied as a recording."""

import csv
import importlib
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import butter, sosfilt

from timbrekit.features import TIMBRE_FEATURES, TimbreFeatures
from timbrekit.recording.onsets import detect

TOLERANCE_S = 0.025  # between a detection and the onset it belongs to


@dataclass(frozen=True)
class Take:
    """A recording with the truth of its onsets."""

    samples: np.ndarray  # (n,) int16
    sample_rate: int
    onsets_s: np.ndarray  # (hits,)
    rows: list[dict[str, str]]  # the truth file

    def segments(self) -> np.ndarray:
        """One second from each onset, ``(hits, sample_rate)``, silent from the next onset on."""
        starts = np.round(self.onsets_s * self.sample_rate).astype(int)
        ends = np.minimum(np.append(starts[1:], len(self.samples)), starts + self.sample_rate)
        segments = np.zeros((len(starts), self.sample_rate), np.float32)
        for segment, start, end in zip(segments, starts, ends, strict=True):
            segment[: end - start] = self.samples[start:end] / 32768
        return segments


def read_take(path):
    samples, sample_rate = soundfile.read(path, dtype="int16")
    with open(path.with_name(f"{path.stem}.onsets.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    return Take(samples, sample_rate, np.array([float(row["onset_s"]) for row in rows]), rows)


@pytest.fixture(scope="module")
def take(sample_recording):
    return read_take(sample_recording)


@pytest.fixture(scope="module")
def performance(sample_recording):
    """Samples and strokes, played anew by the script beside the recording."""
    sys.path.insert(0, str(sample_recording.parent))
    try:
        return importlib.import_module("make_samples").perform()
    finally:
        sys.path.remove(str(sample_recording.parent))


def test_the_script_plays_the_shipped_samples(take, performance):
    samples, _ = performance
    difference = np.abs(samples.astype(int) - take.samples)
    assert difference.max() <= 1, "beyond the one step that another processor's rounding may make"


def test_the_truth_file_holds_the_strokes_of_the_script(take, performance):
    _, strokes = performance
    written = [(row["onset_s"], row["articulation"], row["velocity"]) for row in take.rows]
    assert written == [(f"{s.onset_s:.6f}", s.articulation, f"{s.velocity:.3f}") for s in strokes]


def test_the_file_is_48_khz_mono_16_bit_of_about_a_minute(sample_recording):
    info = soundfile.info(sample_recording)
    assert (info.samplerate, info.channels, info.format, info.subtype) == (48_000, 1, "FLAC", "PCM_16")
    assert 55 <= info.duration <= 65


def test_the_folder_stays_below_three_megabytes(sample_recording):
    files = [path for path in sample_recording.parent.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 3_000_000


def test_the_file_says_that_it_is_synthesised(sample_recording):
    with soundfile.SoundFile(sample_recording) as flac:
        assert "synthesised" in flac.title
        assert "make_samples.py" in flac.comment


def test_the_take_is_loud_but_does_not_clip(take):
    assert 0.7 < np.abs(take.samples.astype(int)).max() / 32768 < 0.99


def test_nothing_but_the_noise_floor_sounds_before_the_first_stroke(take):
    lead_in = take.samples[: int(take.onsets_s[0] * take.sample_rate)] / 32768
    assert -75 < 20 * np.log10(lead_in.std()) < -65
    assert np.abs(lead_in).max() < 6 * lead_in.std()


def test_the_level_rises_at_the_true_onsets_and_not_before(take):
    """Two milliseconds on either side, above 600 Hz: a step where the stroke falls on a drum that is at rest."""
    treble = sosfilt(butter(2, 600, "highpass", fs=take.sample_rate, output="sos"), take.samples / 32768)
    side = int(0.002 * take.sample_rate)

    def level_db(start):
        return 20 * np.log10(treble[start : start + side].std())

    rested = np.append(True, np.diff(take.onsets_s) > 0.3)
    starts = np.round(take.onsets_s[rested] * take.sample_rate).astype(int)
    rises = np.array([level_db(start) - level_db(start - side) for start in starts])
    earlier = np.array([level_db(start - side) - level_db(start - 2 * side) for start in starts])
    assert len(starts) >= 30
    assert rises.min() > 6
    assert np.abs(earlier).max() < 6


def test_the_plug_ins_detector_hears_most_strokes_and_misses_some_soft_or_close_ones(take):
    """As in a real take: 0.72 of the strokes at the detector's defaults in the one we develop against."""
    positions = detect((take.samples / 32768).astype(np.float32), take.sample_rate).positions
    distance = np.abs(positions[:, None] / take.sample_rate - take.onsets_s).min(axis=1)
    assert (distance < TOLERANCE_S).mean() > 0.97
    assert 0.6 < len(positions) / len(take.onsets_s) < 0.9


def test_every_way_of_playing_is_there_over_a_wide_range_of_velocities(take):
    ways = {row["articulation"] for row in take.rows}
    assert ways == {"stick", "edge", "ghost", "grace", "roll", "press", "rimshot", "cross-stick"}
    velocities = np.array([float(row["velocity"]) for row in take.rows])
    assert velocities.min() < 0.1 and velocities.max() > 0.9


def test_each_timbre_feature_spreads_as_it_does_in_a_real_recording(take, shared_audio_dir):
    """10th to 90th percentile over the hits, within a factor of 1.5 of a real snare's; features as published."""
    real = read_take(shared_audio_dir / "snare_performance.flac")

    def spread(of):
        features = TimbreFeatures(of.sample_rate, gated=False)(torch.from_numpy(of.segments())).numpy()
        return np.subtract(*np.percentile(features, [90, 10], axis=0))

    ratios = dict(zip(TIMBRE_FEATURES, spread(take) / spread(real), strict=True))
    assert all(1 / 1.5 < ratio < 1.5 for ratio in ratios.values()), ratios
