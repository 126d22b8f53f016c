"""The plug-in's onset detector, offline: the same decisions on the same samples.

A 600 Hz high-pass, the level in dB, and the difference of a fast and a slow envelope follower of that level;
a hit is where the difference crosses a threshold. The method is FluCoMa's, the constants are TorchDrum's.
They are in *samples* at every sample rate, so the same playing is not detected alike at 44.1 and 96 kHz.

Arithmetic repeats the plug-in's types: the filter in float64, everything after it in float32.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timbrekit.compiled import compiled
from timbrekit.errors import RecordingError, TimbrekitError
from timbrekit.features import ONSET_WINDOW

TRIGGER_DELAY = ONSET_WINDOW + 1  # samples from a detection to the synth's trigger

# The knobs of the plug-in: what they are called there, and how far they turn.
ON_THRESHOLD_RANGE = (0.5, 32.0)  # dB, "Trigger Threshold"
OFF_THRESHOLD_RANGE = (0.0, 32.0)  # dB, "Retrigger Threshold"
HOLD_RANGE = (0, 5000)  # samples, "Hold Time"
KNOB_RANGES = (ON_THRESHOLD_RANGE, OFF_THRESHOLD_RANGE, HOLD_RANGE)

HIGH_PASS_HZ = 600.0
HIGH_PASS_Q = 0.707
FLOOR_DB = np.float32(-55.0)
FAST_RISE = np.float32(1.0) / np.float32(3.0)  # share of the way to the new level, per sample
FAST_FALL = np.float32(1.0) / np.float32(383.0)
SLOW = np.float32(1.0) / np.float32(2205.0)
LOWEST_SAMPLE_RATE = 8_000  # Hz; far below this the 600 Hz high-pass leaves nothing of a drum
STRETCH = 64  # samples of the onset signal that are passed over at once where nothing can happen in them


@dataclass(frozen=True)
class DetectorSettings:
    """The three onset controls of the plug-in; the defaults are the plug-in's.

    Args:
        on_threshold: dB in [0.5, 32]; a hit is detected when the onset signal crosses it upwards.
        off_threshold: dB in [0, 32]; the detector listens again once the onset signal is below it.
        hold: samples in [0, 5000] after a detection in which no other can follow.

    Raises:
        TimbrekitError: a value is outside the range of the plug-in's knob, or not a number.
    """

    on_threshold: float = 16.0
    off_threshold: float = 4.66
    hold: int = 1000

    def __post_init__(self) -> None:
        _check_knob("Trigger Threshold", self.on_threshold, ON_THRESHOLD_RANGE, "dB")
        _check_knob("Retrigger Threshold", self.off_threshold, OFF_THRESHOLD_RANGE, "dB")
        _check_knob("Hold Time", self.hold, HOLD_RANGE, "samples")
        if int(self.hold) != self.hold:
            raise TimbrekitError(f"Hold Time is {self.hold}: give a whole number of samples, such as 1000.")

    def to_json(self) -> dict[str, float]:
        """As reports, model files and ``--json`` hold them."""
        thresholds = {"on_threshold": float(self.on_threshold), "off_threshold": float(self.off_threshold)}
        return {**thresholds, "hold": int(self.hold)}

    @classmethod
    def from_json(cls, kept: Mapping[str, float]) -> "DetectorSettings":
        """Raises KeyError, TypeError, ValueError or TimbrekitError where they are none."""
        return cls(kept["on_threshold"], kept["off_threshold"], int(kept["hold"]))


@dataclass(frozen=True)
class Detections:
    """What the detector did with a recording. All positions are sample indices, ascending."""

    positions: NDArray[np.int64]  # (d,) every sample at which the detector fired
    triggers: NDArray[np.int64]  # (n,) where the synth is triggered: 257 samples after a kept detection
    dropped: NDArray[np.int64]  # (k,) detections that came while the window of the one before was filling


def onset_signal(samples: ArrayLike, sample_rate: int) -> NDArray[np.float32]:
    """The signal that the detector compares with its thresholds.

    Args:
        samples: mono audio, full scale ±1, (n,). A NaN or infinity sticks in the plug-in's filter, and it
            never detects again: from there on the onset signal fades to 0 dB (NaN) or is NaN (infinity), here
            as there. :func:`timbrekit.recording.read_recording` has removed such samples before.
        sample_rate: Hz.

    Returns:
        (n,) float32, dB by which the level exceeds its own recent average.
    """
    return _onset_signal(_mono(samples), *_high_pass(sample_rate))


def detect(samples: ArrayLike, sample_rate: int, settings: DetectorSettings | None = None) -> Detections:
    """Find the hits that the plug-in would find.

    Args:
        samples: mono audio, full scale ±1, (n,).
        sample_rate: Hz.
        settings: the plug-in's onset controls; its defaults if None.
    """
    return detect_in_signal(onset_signal(samples, sample_rate), settings)


def detect_in_signal(
    signal: NDArray[np.float32],
    settings: DetectorSettings | None = None,
    extremes: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> Detections:
    """Find hits in an :func:`onset_signal` already computed: for trying many settings on one recording.

    Args:
        extremes: of this signal, from :func:`signal_extremes`; worth keeping from one try to the next.
    """
    settings = settings or DetectorSettings()
    signal = np.ascontiguousarray(signal, np.float32)
    lowest, highest = signal_extremes(signal) if extremes is None else extremes
    positions, collecting = _fire(
        signal,
        lowest,
        highest,
        np.float32(settings.on_threshold),
        np.float32(settings.off_threshold),
        int(settings.hold),
    )
    triggers = positions[~collecting] + TRIGGER_DELAY
    return Detections(positions, triggers[triggers < len(signal)], positions[collecting])


def signal_extremes(signal: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lowest and the highest value of each 64 samples of an onset signal, (ceil(n / 64),) each; NaN is neither."""
    return _extremes(np.ascontiguousarray(signal, np.float32))


def _check_knob(name: str, value: float, limits: tuple[float, float], unit: str) -> None:
    if not limits[0] <= value <= limits[1]:  # NaN fails too
        raise TimbrekitError(
            f"{name} is {value} {unit}, but the plug-in's control goes from {limits[0]} to {limits[1]} "
            f"{unit}. Give a value in that range."
        )


def _mono(samples: ArrayLike) -> NDArray[np.float32]:
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if samples.ndim != 1:
        raise RecordingError(
            f"Expected one channel of audio, got an array of shape {samples.shape}. "
            "Average the channels first."
        )
    return samples


def _high_pass(sample_rate: float) -> tuple[float, float, float, float]:
    """Coefficients (b0, b1, a1, a2) of the second-order high-pass; b2 equals b0. Bilinear, float64."""
    if not sample_rate >= LOWEST_SAMPLE_RATE:
        raise RecordingError(
            f"The sample rate is {sample_rate} Hz; detection needs at least {LOWEST_SAMPLE_RATE} Hz. "
            "Use the recording at its original rate."
        )
    k = math.tan(math.pi * HIGH_PASS_HZ / sample_rate)
    norm = 1.0 / (1.0 + k / HIGH_PASS_Q + k * k)
    return norm, -2.0 * norm, 2.0 * (k * k - 1.0) * norm, (1.0 - k / HIGH_PASS_Q + k * k) * norm


@compiled
def _onset_signal(samples, b0, b1, a1, a2):
    signal = np.empty(len(samples), dtype=np.float32)
    z1 = 0.0
    z2 = 0.0
    fast = FLOOR_DB
    slow = FLOOR_DB
    for i in range(len(samples)):
        x = np.float64(samples[i])
        high = x * b0 + z1  # transposed direct form II
        z1 = x * b1 + z2 - a1 * high
        z2 = x * b0 - a2 * high
        rectified = abs(np.float32(high))
        level = FLOOR_DB
        # False for NaN, which the plug-in's fmax turns into the floor as well.
        if rectified > np.float32(0.0):
            level = max(np.float32(20.0) * np.float32(math.log10(rectified)), FLOOR_DB)
        if level > fast:
            fast = fast + FAST_RISE * (level - fast)
        else:
            fast = fast + FAST_FALL * (level - fast)
        slow = slow + SLOW * (level - slow)
        signal[i] = fast - slow
    return signal


@compiled
def _extremes(signal):
    stretches = (len(signal) + STRETCH - 1) // STRETCH
    lowest = np.full(stretches, np.inf, dtype=np.float32)
    highest = np.full(stretches, -np.inf, dtype=np.float32)
    for i in range(len(signal)):
        k = i // STRETCH
        if signal[i] < lowest[k]:  # not min(): a NaN neither fires nor releases the detector
            lowest[k] = signal[i]
        if signal[i] > highest[k]:
            highest[k] = signal[i]
    return lowest, highest


@compiled
def _fire(signal, lowest, highest, on_threshold, off_threshold, hold):
    """Positions at which the detector fires, and whether each came while a window was being collected.

    A stretch of samples that can neither fire nor release the detector only lets the counter run down.
    """
    positions = []
    collecting = []
    triggered = False
    countdown = 0
    previous = np.float32(0.0)
    window_end = -1  # the sample at which the window being collected is complete
    i = -1
    while i + 1 < len(signal):
        i += 1
        if i % STRETCH == 0:
            if triggered:
                uneventful = lowest[i // STRETCH] >= off_threshold
            else:
                uneventful = countdown >= STRETCH or highest[i // STRETCH] < on_threshold
            if uneventful:
                i = min(i + STRETCH, len(signal)) - 1
                countdown = max(countdown - STRETCH, 0)
                previous = signal[i]
                continue
        value = signal[i]
        if value >= on_threshold and not triggered and previous < on_threshold and countdown == 0:
            triggered = True
            countdown = hold
            positions.append(i)
            collecting.append(i <= window_end)
            if i > window_end:
                window_end = i + TRIGGER_DELAY
            continue  # the firing sample leaves `previous` and the counter as they are
        if countdown > 0:
            countdown -= 1
        if triggered and value < off_threshold:
            triggered = False
        previous = value
    # Arrays made by hand: numba cannot give an empty list a type on the way out.
    found = np.empty(len(positions), dtype=np.int64)
    late = np.empty(len(positions), dtype=np.bool_)
    for i in range(len(positions)):
        found[i] = positions[i]
        late[i] = collecting[i]
    return found, late
