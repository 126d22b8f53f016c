"""Where the spectrum brightens: onset strength from frame to frame, and the peaks of such a curve.

SuperFlux (Böck and Widmer 2013): the rise of each mel band in dB over its neighbourhood some frames before. The values
are those of librosa's ``onset_strength`` and ``onset_detect``, which the tests compare them with.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d
from scipy.signal.windows import hann

FRAMES_AT_ONCE = 4096  # spectra held in memory together
# Slaney's scale: linear, then logarithmic.
MEL_LINEAR_HZ, MEL_BREAK_HZ, MEL_STEP = 200 / 3, 1000.0, np.log(6.4) / 27


def onset_strength(
    samples: ArrayLike, sample_rate: int, hop: int, size: int, bands: int, lowest_hz: float, lag: int = 2
) -> NDArray[np.float32]:
    """Mean rise of the mel bands over the highest of three neighbouring bands ``lag`` frames before.

    Args:
        samples: mono audio, (n,).
        sample_rate: Hz.
        hop, size: of the frames, samples; frame k is centred on sample ``k * hop``.
        bands: number of mel bands from ``lowest_hz`` to half the sample rate.

    Returns:
        (1 + n // hop,) float32, dB, 0 or above.
    """
    mel = mel_levels(samples, sample_rate, hop, size, bands, lowest_hz)
    before = maximum_filter1d(mel, 3, axis=1)
    rise = np.maximum(mel[lag:] - before[:-lag], 0).mean(axis=1)
    strength = np.zeros(len(mel), np.float32)
    late = lag + size // (2 * hop)  # a frame hears what is half a window ahead of it
    strength[late:] = rise[: max(len(mel) - late, 0)]
    return strength


def mel_levels(
    samples: ArrayLike, sample_rate: int, hop: int, size: int, bands: int, lowest_hz: float
) -> NDArray[np.float32]:
    """(1 + n // hop, bands) float32: level of each mel band in dB, at most 80 dB below the loudest."""
    padded = np.pad(np.asarray(samples, np.float32), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    window = hann(size, sym=False).astype(np.float32)
    weights = mel_weights(sample_rate, size, bands, lowest_hz).T
    power = np.concatenate(
        [
            (np.abs(np.fft.rfft(frames[at : at + FRAMES_AT_ONCE] * window)) ** 2).astype(np.float32) @ weights
            for at in range(0, len(frames), FRAMES_AT_ONCE)
        ]
    )
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(level, level.max() - 80)


def mel_weights(sample_rate: int, size: int, bands: int, lowest_hz: float) -> NDArray[np.float32]:
    """(bands, size // 2 + 1) float32: triangles on Slaney's mel scale, each of unit area."""
    edges = _to_mel(np.array([lowest_hz, sample_rate / 2]))
    edges = _to_hz(np.linspace(*edges, bands + 2))
    hz = np.fft.rfftfreq(size, 1 / sample_rate)
    below = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    above = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    area = (edges[2:] - edges[:-2]) / 2
    return (np.maximum(np.minimum(below, above), 0) / area[:, None]).astype(np.float32)


def _to_mel(hz: NDArray) -> NDArray:
    return np.where(
        hz < MEL_BREAK_HZ, hz / MEL_LINEAR_HZ, 15 + np.log(np.maximum(hz, 1) / MEL_BREAK_HZ) / MEL_STEP
    )


def _to_hz(mel: NDArray) -> NDArray:
    return np.where(mel < 15, mel * MEL_LINEAR_HZ, MEL_BREAK_HZ * np.exp(MEL_STEP * (mel - 15)))


def pick_peaks(
    curve: NDArray, height: float, around: tuple[int, int], mean_over: tuple[int, int], wait: int
) -> NDArray[np.int64]:
    """Frames where a curve is highest around, stands above its local mean, and no peak came shortly before.

    Args:
        curve: (k,), scaled to 0..1 here.
        height: above the local mean, in [0, 1].
        around: frames before (included) and after (excluded) that a peak is highest of.
        mean_over: the same for the local mean.
        wait: frames after a peak in which there is no other.
    """
    curve = np.asarray(curve, np.float64)
    curve = curve - curve.min(initial=np.inf)
    if not len(curve) or not curve.max() > 0:
        return np.zeros(0, np.int64)
    curve = curve / curve.max()
    before, after = around
    width = before + after
    highest = maximum_filter1d(curve, width, origin=before - width // 2, mode="constant", cval=0.0)
    total = np.concatenate([[0.0], np.cumsum(curve)])
    frame = np.arange(len(curve))
    first, last = np.maximum(frame - mean_over[0], 0), np.minimum(frame + mean_over[1], len(curve))
    mean = (total[last] - total[first]) / (last - first)
    peaks, free = [], 0
    for peak in np.flatnonzero((curve == highest) & (curve >= mean + height)).tolist():
        if peak >= free:
            peaks.append(peak)
            free = peak + wait + 1
    return np.array(peaks, np.int64)


def begin_of_rise(peaks: NDArray[np.int64], curve: NDArray) -> NDArray[np.int64]:
    """The local minimum of the curve at or before each peak; frame 0 where there is none."""
    inner = np.flatnonzero((curve[1:-1] <= curve[:-2]) & (curve[1:-1] < curve[2:])) + 1
    minima = np.concatenate([[0], inner])
    return minima[np.searchsorted(minima, peaks, side="right") - 1]
