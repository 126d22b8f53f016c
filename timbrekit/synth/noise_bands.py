"""What of a drum does not ring: noise in 20 bands of equal width in ERB, each fading at two rates.

The level of a band is ``a exp(-c t) + b exp(-d t)``, taken at every 64th sample and drawn as straight lines between.
So a render is a product of small matrices, and a host has two numbers to add up a band and sample.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.optimize import least_squares
from scipy.signal import stft
from scipy.special import digamma, expit

BANDS = 20
LOWEST, HIGHEST = (
    30.0,
    20_000.0,
)  # Hz; centres of the first and of the last band, which reaches up to all there is
PERIOD = 65_536  # samples after which the noise repeats
SHAPE_HZ = np.linspace(0, 24_000, 513)
SHAPE_WINDOW = 2048
STEP = 64  # samples between two values of a band's level
FRAME = 0.008  # s at least, over which a recorded band's level is averaged
QUIETEST = 1e-6  # of full scale, RMS of a band: below is silence
FASTEST_NOISE, SLOWEST_NOISE = 400.0, 0.0  # nepers a second


@dataclass(frozen=True)
class NoiseBands:
    """Levels (RMS at the onset, full scale 1) and decays (nepers a second) of all bands; ``late`` fades slower."""

    level: NDArray  # (…, 20)
    decay: NDArray
    late_level: NDArray
    late_decay: NDArray
    shape: NDArray  # (513,) dB from 0 Hz to half of 48 kHz: how the noise is coloured within its bands

    def at(self, times: NDArray) -> NDArray:
        """``(…, 20, times)`` level of each band; times in s."""
        fast = self.level[..., None] * np.exp(-self.decay[..., None] * times)
        return fast + self.late_level[..., None] * np.exp(-self.late_decay[..., None] * times)

    def render(self, samples: int, rate: float, start: int = 0) -> NDArray:
        """``(samples,)`` with the noise of the table read from sample ``start`` on."""
        grid = np.arange(samples // STEP + 2) * STEP
        levels = self.at(grid / rate)
        table = noise_table(int(rate), self.shape)
        index = np.arange(samples)
        whole, part = index // STEP, index % STEP / STEP
        drawn = levels[:, whole] * (1 - part) + levels[:, whole + 1] * part
        return np.einsum("bt,bt->t", drawn, table[:, (start + index) % PERIOD])


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
    """Level and decay, early and late, of each band of a recorded sound.

    Args:
        sound: ``(samples,)``, what the modes leave.
        rate: Hz.
        after: s at the start that are not looked at.
    """
    size = next_fast_len(2 * len(sound))
    frequency = np.fft.rfftfreq(size, 1 / rate)
    responses = _responses(frequency)
    spectrum = np.fft.rfft(sound, size)
    rows = []
    for response in responses:
        power = np.square(np.fft.irfft(spectrum * response, size)[: len(sound)])
        width = np.square(response).sum() * rate / size  # Hz
        frame = max(FRAME, 1.0 / width)
        count = int(frame * rate)
        count = min(count, len(sound) // 4)
        first = np.arange(int(after * rate), len(sound) - count, max(1, count // 2))
        summed = np.concatenate([[0.0], np.cumsum(power)])
        means = (summed[first + count] - summed[first]) / count
        times = (first + count / 2) / rate
        # The mean of a logarithm of so few independent values lies below the logarithm of the mean.
        freedoms = max(0.5, width * frame)
        heard = 0.5 * (np.log(means.clip(1e-30)) - digamma(freedoms) + np.log(freedoms))
        rows.append(_two_slopes(times, heard, len(sound) / rate))
    return NoiseBands(*np.array(rows).T, fit_shape(sound, rate, after))


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


def _two_slopes(times: NDArray, heard: NDArray, duration: float) -> tuple[float, float, float, float]:
    """Level, decay, late level and late decay of logarithmic levels."""
    audible = heard > np.log(QUIETEST)
    if audible.sum() < 3:
        return 0.0, 50.0, 0.0, 10.0
    times, heard = times[audible], heard[audible]
    top = float(heard[: max(1, len(heard) // 10)].max())
    slope = float(np.clip((top - heard[-1]) / max(times[-1] - times[0], 0.01), 2.0, 100.0))

    def level(values: NDArray) -> NDArray:
        a, c, b, d = values
        return np.logaddexp(a - np.exp(c) * times, b - np.exp(d) * times)

    def slopes(values: NDArray) -> NDArray:
        a, c, b, d = values
        fast = expit((a - np.exp(c) * times) - (b - np.exp(d) * times))
        late = 1 - fast
        return np.stack([fast, -np.exp(c) * times * fast, late, -np.exp(d) * times * late], 1)

    best = None
    for fast, drop in ((3.0, 1.5), (1.2, 3.0), (8.0, 1.0)):
        start = [top, np.log(fast * slope), top - drop, np.log(0.6 * slope)]
        bounds = (
            [-30.0, np.log(0.3), -30.0, np.log(0.01)],
            [top + 3, np.log(FASTEST_NOISE), top + 3, np.log(200.0)],
        )
        start = np.clip(start, np.array(bounds[0]) + 1e-3, np.array(bounds[1]) - 1e-3)
        found = least_squares(
            lambda values: level(values) - heard, start, slopes, bounds, loss="soft_l1", max_nfev=40
        )
        if best is None or found.cost < best.cost:
            best = found
    a, c, b, d = best.x
    if c < d:
        a, c, b, d = b, d, a, c
    return float(np.exp(a)), float(np.exp(c)), float(np.exp(b)), float(np.exp(d))


def _responses(frequency: NDArray) -> NDArray:
    """``(20, frequencies)``: neighbours cross over with a cosine, so that their powers add up to 1."""
    place = np.interp(erb_rate(frequency), erb_rate(band_centres()), np.arange(BANDS))
    return np.cos(np.pi / 2 * np.abs(place - np.arange(BANDS)[:, None]).clip(0, 1)) * (frequency > 0)


def erb_rate(hertz: NDArray | float) -> NDArray:
    """Number of ERBs below a frequency (Glasberg and Moore 1990)."""
    return 21.4 * np.log10(1 + 0.00437 * np.asarray(hertz))


def _hertz(erb_rate: NDArray) -> NDArray:
    return (10 ** (erb_rate / 21.4) - 1) / 0.00437
