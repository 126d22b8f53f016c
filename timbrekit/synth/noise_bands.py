"""What of a drum does not ring: noise in 20 bands of equal width in ERB, each with a curve of its level.

A curve is a level in dB at each time of ``NODES``, with straight lines between. What it gives at every 64th sample is
drawn as straight lines of amplitude. So a render is a product of small matrices, and a host has two numbers to add up
a band and sample.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.signal import stft

BANDS = 20
LOWEST, HIGHEST = (
    30.0,
    20_000.0,
)  # Hz; centres of the first and of the last band, which reaches up to all there is
PERIOD = 65_536  # samples after which the noise repeats
SHAPE_HZ = np.linspace(0, 24_000, 513)
SHAPE_WINDOW = 2048
STEP = 64  # samples between two values of a band's level
# s after the onset; what is later has the level of the last.
NODES = np.concatenate([[0.0], np.geomspace(0.012, 2.0, 16), [10.0]])
LEVEL_WINDOW = 1024  # samples of a frame in which a recorded band's level is taken
SMOOTHNESS = 0.05  # weight of a curve's bends beside one frame's error


@dataclass(frozen=True)
class NoiseBands:
    """Noise in bands, as it was found in a recording."""

    level: NDArray  # (20, nodes) dB of full scale, RMS
    shape: NDArray  # (513,) dB from 0 Hz to half of 48 kHz: how the noise is coloured within its bands


def node_shares(times: NDArray) -> NDArray:
    """``(nodes, times)`` how much the level at each node counts at a time in s; they add up to 1."""
    return np.stack([np.interp(times, NODES, row) for row in np.eye(len(NODES))])


def noise_table(rate: int, shape: NDArray) -> NDArray:
    """``(20, 65536)`` float32 noise of RMS 1 in each band, always the same."""
    frequency = np.fft.rfftfreq(PERIOD, 1 / rate)
    colour = 10 ** (np.interp(frequency, SHAPE_HZ, shape, right=-200.0) / 20)
    spectrum = np.exp(2j * np.pi * scattered(PERIOD // 2 + 1)) * colour
    table = np.fft.irfft(spectrum * _responses(frequency), PERIOD)
    return (table / (np.sqrt(np.mean(np.square(table), 1, keepdims=True)) + 1e-30)).astype(np.float32)


def scattered(count: int) -> NDArray:
    """``(count,)`` numbers in [0, 1) without order, the same in every host.

    The integer hash lowbias32 (C. Wellons, Prospecting for Hash Functions, 2018) of 1, 2, 3, ….
    """
    x = np.arange(1, count + 1, dtype=np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return (x ^ (x >> np.uint32(16))) / 2.0**32


@cache
def band_centres() -> NDArray:
    """``(20,)`` Hz."""
    return _hertz(np.linspace(erb_rate(LOWEST), erb_rate(HIGHEST), BANDS))


def fit_bands(sound: NDArray, rate: float, after: float) -> NoiseBands:
    """The curve of each band of a recorded sound.

    Mean logarithms are compared, those of the sound with those of the noise that will play it: peaks that stand out of
    a band for a moment do not raise it.

    Args:
        sound: ``(samples,)``, what the modes leave.
        rate: Hz.
        after: s at the start that are not looked at.
    """
    shape = fit_shape(sound, rate, after)
    frequency, times, heard = _log_spectra(sound[int(after * rate) :], rate)
    _, _, unit = _log_spectra(noise_table(int(rate), shape).sum(0), rate)
    weight = np.square(_responses(frequency))
    weight /= weight.sum(1, keepdims=True)
    levels = weight @ (heard - unit.mean(1, keepdims=True))  # (20, frames)
    first, last = np.searchsorted(NODES, [times[0] + after, times[-1] + after])
    first -= 1
    known = NODES[first : last + 1]  # that the recording reaches
    shares = node_shares(times + after)[first : last + 1]
    before, beyond = np.diff(known)[:-1], np.diff(known)[1:]
    bends = np.zeros((len(known) - 2, len(known)))  # changes of the steepness, each times its span
    for offset, size in enumerate((1 / before, -1 / before - 1 / beyond, 1 / beyond)):
        np.fill_diagonal(bends[:, offset:], size * np.sqrt(before * beyond))
    square = shares @ shares.T + SMOOTHNESS * bends.T @ bends + 1e-6 * np.eye(len(known))
    middle = levels.mean(1, keepdims=True)
    curve = middle + np.linalg.solve(square, shares @ (levels - middle).T).T
    fall = (curve.max(1) - curve[:, -1]) / (known[-1] - known[curve.argmax(1)]).clip(NODES[1])
    later = curve[:, -1:] - fall[:, None] * (NODES[last + 1 :] - known[-1])
    return NoiseBands(np.concatenate([curve[:, :1].repeat(first, 1), curve, later], 1), shape)


def _log_spectra(sound: NDArray, rate: float) -> tuple[NDArray, NDArray, NDArray]:
    """``(frequencies,)`` Hz, ``(frames,)`` s, and dB of each frame, ``(frequencies, frames)``."""
    window = min(LEVEL_WINDOW, len(sound))
    frequency, times, values = stft(sound, rate, nperseg=window, noverlap=window * 3 // 4, boundary=None)
    return frequency, times, 20 * np.log10(np.abs(values) + 1e-10)


def mean_levels(sound: NDArray, rate: float, start: float, end: float) -> NDArray:
    """``(20,)`` dB: the level of each band between two times in s; of its last 20 ms where the sound is shorter."""
    first = max(0, min(int(start * rate), len(sound) - int(0.02 * rate)))
    piece = sound[first : int(end * rate)]
    size = next_fast_len(2 * len(piece))
    power = np.square(np.abs(np.fft.rfft(piece, size)))
    energy = np.square(_responses(np.fft.rfftfreq(size, 1 / rate))) @ power
    return 10 * np.log10(energy / len(piece) + 1e-20)


def fit_shape(sound: NDArray, rate: float, after: float) -> NDArray:
    """``(513,)`` dB: the mean logarithmic spectrum while the sound is heard, its loudest value 0."""
    sound = sound[int(after * rate) :]
    window = min(SHAPE_WINDOW, len(sound))
    frequency, _, values = stft(sound, rate, nperseg=window, noverlap=window * 3 // 4, boundary=None)
    level = 10 * np.log10(np.square(np.abs(values)) + 1e-20)
    loud = level.mean(0)
    mean = level[:, loud > loud.max() - 50].mean(1)
    shape = np.interp(SHAPE_HZ, frequency, mean, right=-200.0)
    return shape - shape.max()


def _responses(frequency: NDArray) -> NDArray:
    """``(20, frequencies)``: neighbours cross over with a cosine, so that their powers add up to 1."""
    place = np.interp(erb_rate(frequency), erb_rate(band_centres()), np.arange(BANDS))
    return np.cos(np.pi / 2 * np.abs(place - np.arange(BANDS)[:, None]).clip(0, 1)) * (frequency > 0)


def erb_rate(hertz: NDArray | float) -> NDArray:
    """Number of ERBs below a frequency (Glasberg and Moore 1990)."""
    return 21.4 * np.log10(1 + 0.00437 * np.asarray(hertz))


def _hertz(erb_rate: NDArray) -> NDArray:
    return (10 ** (erb_rate / 21.4) - 1) / 0.00437
