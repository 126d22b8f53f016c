"""The detector against the real plug-in's, and against its rules worked out by hand."""

import numpy as np
import pytest

from timbrekit.errors import RecordingError, TimbrekitError
from timbrekit.recording.onsets import (
    TRIGGER_DELAY,
    DetectorSettings,
    detect,
    detect_in_signal,
    onset_signal,
)

RATES = (48000, 44100, 96000)


@pytest.fixture(scope="module")
def take(golden):
    return golden["input_i16"].astype(np.float32) / np.float32(32768)


@pytest.mark.parametrize("rate", RATES)
def test_detections_and_triggers_are_the_plug_ins(golden, take, rate):
    found = detect(take, rate)
    kept = np.setdiff1d(found.positions, found.dropped)
    np.testing.assert_array_equal(kept, golden[f"detect_idx_{rate}"])
    np.testing.assert_array_equal(found.triggers, golden[f"trigger_idx_{rate}"])


@pytest.mark.parametrize("rate", RATES)
def test_onset_signal_is_the_plug_ins(golden, take, rate):
    signal = onset_signal(take, rate)
    expected = golden["onset_signal_48000"] if rate == 48000 else golden[f"onset_signal_{rate}_every16"]
    np.testing.assert_allclose(signal[:: 1 if rate == 48000 else 16], expected, atol=1e-4, rtol=0)


def signal_with(steps: dict[int, float], length: int = 4000) -> np.ndarray:
    """An onset signal that holds each value from its index on."""
    signal = np.zeros(length, dtype=np.float32)
    for start, value in steps.items():
        signal[start:] = value
    return signal


def test_a_crossing_fires_once_and_triggers_257_samples_later():
    found = detect_in_signal(signal_with({100: 20.0}))
    assert found.positions.tolist() == [100]
    assert found.triggers.tolist() == [100 + 257]


def test_detections_lie_at_least_hold_plus_one_samples_apart():
    steps = {}
    for start in range(100, 3900, 2):  # up and down on every sample: a crossing wherever one is allowed
        steps[start], steps[start + 1] = 20.0, 0.0
    for hold in (0, 1, 10, 1000):
        found = detect_in_signal(signal_with(steps), DetectorSettings(hold=hold))
        spacing = np.diff(found.positions)
        assert spacing.min() >= hold + 1
        assert spacing.min() <= hold + 3


def fired_sample_by_sample(signal, settings):
    """The detector's rules, every sample looked at."""
    fired, triggered, countdown, previous = [], False, 0, 0.0
    for i, value in enumerate(signal):
        if (
            value >= settings.on_threshold
            and not triggered
            and previous < settings.on_threshold
            and not countdown
        ):
            fired.append(i)
            triggered, countdown = True, settings.hold
            continue
        countdown = max(countdown - 1, 0)
        triggered = triggered and not value < settings.off_threshold
        previous = value
    return fired


@pytest.mark.parametrize("seed", range(12))
def test_passing_over_what_is_uneventful_changes_no_detection(seed):
    """Swings of a few to hundreds of samples about thresholds from low to high, with samples that are no numbers."""
    generator = np.random.default_rng(seed)
    length = int(generator.integers(1, 5000))
    corners = generator.uniform(-5, 30, length // int(generator.integers(3, 300)) + 2)
    signal = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(corners)), corners).astype(np.float32)
    signal[generator.random(length) < 0.001] = np.nan
    fired = 0
    for on in (0.5, 4.0, 12.0, 25.0):
        for off in (0.0, 3.0, 11.0, 26.0):
            for hold in (0, 1, 63, 64, 200, 1000):
                settings = DetectorSettings(on, off, hold)
                expected = fired_sample_by_sample(signal.tolist(), settings)
                assert detect_in_signal(signal, settings).positions.tolist() == expected
                fired += len(expected)
    assert fired > 0 or length < 50


def test_without_falling_below_the_retrigger_threshold_nothing_fires_again():
    steps = {100: 20.0, 1500: 5.0, 1600: 20.0}
    assert detect_in_signal(signal_with(steps)).positions.tolist() == [100]
    assert detect_in_signal(signal_with(steps), DetectorSettings(off_threshold=6.0)).positions.tolist() == [
        100,
        1600,
    ]


def test_falling_below_the_retrigger_threshold_counts_during_hold_too():
    # Below "off" only while the hold counter runs, above it afterwards: free to fire all the same.
    steps = {100: 20.0, 300: 0.0, 500: 5.0, 2000: 20.0}
    assert detect_in_signal(signal_with(steps)).positions.tolist() == [100, 2000]


def test_detections_while_a_window_fills_are_dropped_and_listed():
    steps = {100: 20.0, 150: 0.0, 200: 20.0, 250: 0.0, 357: 20.0, 358: 0.0, 359: 20.0}
    found = detect_in_signal(signal_with(steps), DetectorSettings(hold=0))
    assert found.positions.tolist() == [100, 200, 357, 359]
    assert found.dropped.tolist() == [200, 357]  # 357 is the sample that completes the window of 100
    assert found.triggers.tolist() == [100 + TRIGGER_DELAY, 359 + TRIGGER_DELAY]


def test_a_window_that_runs_past_the_end_gives_no_trigger():
    assert detect_in_signal(signal_with({100: 20.0}, length=357)).triggers.size == 0
    assert detect_in_signal(signal_with({100: 20.0}, length=358)).triggers.tolist() == [357]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_after_a_non_finite_sample_nothing_is_detected_any_more(take, poison):
    poisoned = take.copy()
    poisoned[200_000] = poison
    clean, found = detect(take, 48000), detect(poisoned, 48000)
    assert found.positions.tolist() == [p for p in clean.positions if p < 200_000]
    assert 0 < len(found.positions) < len(clean.positions)


@pytest.mark.parametrize("length", [0, 1, 255])
def test_very_short_input_gives_no_detection(length):
    found = detect(np.zeros(length), 48000)
    assert found.positions.size == found.triggers.size == found.dropped.size == 0


def test_silence_gives_no_detection():
    assert detect(np.zeros(48000), 48000).positions.size == 0


@pytest.mark.parametrize(
    "wrong",
    [{"on_threshold": 0.4}, {"on_threshold": 33}, {"off_threshold": -1}, {"hold": -1}, {"hold": 5001}],
)
def test_settings_outside_the_plug_ins_knobs_are_refused_with_the_range(wrong):
    with pytest.raises(TimbrekitError, match="the plug-in's control goes from"):
        DetectorSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"on_threshold": float("nan")}, {"hold": 10.5}])
def test_settings_that_are_no_knob_positions_are_refused(wrong):
    with pytest.raises(TimbrekitError):
        DetectorSettings(**wrong)


def test_stereo_and_absurd_rates_are_refused():
    with pytest.raises(RecordingError, match="one channel"):
        detect(np.zeros((2, 1000)), 48000)
    with pytest.raises(RecordingError, match="sample rate"):
        detect(np.zeros(1000), 100)
