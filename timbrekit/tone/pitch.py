"""What the instrument hears: pitch, how sure it is that there is one, and loudness, each 256 samples.

One listener for training, for playing offline and for TorchScript: the functions here run in all three. It is causal:
a hop is judged by the 2048 samples that end with it, so what it says is true of the middle of those samples, 21 ms
earlier.
"""

import math
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

RATE = 48_000  # Hz; the whole room works at it
HOP = 256  # samples from one control to the next
WINDOW = 2048  # samples a control is measured on
CENTRE = WINDOW // 2  # samples by which a control lags behind the end of its hop
COMPARED = WINDOW // 2  # samples compared with themselves one period earlier
SHORTEST, LONGEST = 24, 1000  # samples of a period: 2000 Hz, 48 Hz
LOWEST_PITCH = 69 + 12 * math.log2(RATE / LONGEST / 440)  # 31.6, a little above G1
HIGHEST_PITCH = 69 + 12 * math.log2(RATE / SHORTEST / 440)  # 95.2, a little above B6
SLACK = 0.05  # a shorter period is preferred to a longer one that is better by no more than this
UNSURE, SURE = 0.5, 0.8  # confidence at which harmonics begin, and from which on they are whole
PITCHED = 0.99  # share of voice from which a hop counts as pitched, for ranges and comparisons
SILENT = -65.0  # LKFS; below, nothing is called pitched
FLOOR = -80.0  # LKFS; the least loudness there is
STEP = 1.5  # semitones; more from one hop to the next is a leap
CERTAIN = 0.95  # confidence at which a leap is believed at once
LEAP_HOPS = 5  # hops (27 ms) that any other leap has to last
# While one note gives way to the next, YIN hears an undertone of both for as long as its window: so deep leaps wait
# longer than a window lasts, unless they are beyond doubt.
DEEP = 6.5  # semitones down
CERTAIN_DEEP = 0.98
DEEP_HOPS = 10  # 53 ms
CHUNK = 500  # windows measured at once: bounds memory


@dataclass(frozen=True)
class Heard:
    """What was heard of a sound, hop by hop."""

    pitch: Tensor  # (hops,) MIDI semitones, 69 is 440 Hz; where nothing is pitched, the last pitch that was
    voiced: Tensor  # (hops,) 0 to 1, the share of the harmonics that sounds
    loudness: Tensor  # (hops,) LKFS, FLOOR at least

    def __len__(self) -> int:
        return len(self.pitch)

    def part(self, start: int, end: int) -> "Heard":
        """Hops ``start`` to ``end``."""
        return Heard(self.pitch[start:end], self.voiced[start:end], self.loudness[start:end])

    def to(self, device: str) -> "Heard":
        return Heard(self.pitch.to(device), self.voiced.to(device), self.loudness.to(device))


@dataclass(frozen=True)
class Ranges:
    """How the instrument was played in the recording."""

    pitch: tuple[float, float]  # semitones: the 1st and 99th percentile of what is pitched
    loudness: tuple[float, float]  # LKFS: the 5th and 95th percentile of what is pitched


def ranges_of(heard: Heard) -> Ranges:
    """The ranges of what is pitched in a recording; there has to be something."""
    pitched = heard.voiced > PITCHED
    low, high = np.percentile(heard.pitch[pitched].numpy(), (1, 99))
    soft, loud = np.percentile(heard.loudness[pitched].numpy(), (5, 95))
    return Ranges((float(low), float(high)), (float(soft), float(loud)))


def hear(samples: np.ndarray | Tensor) -> Heard:
    """Listen to a whole sound.

    Args:
        samples: ``(samples,)`` at 48 kHz, full scale 1. A last part shorter than a hop is left out.

    Returns:
        One value each for every hop of 256 samples, as a stream of the same samples would give.
    """
    samples = torch.as_tensor(samples, dtype=torch.float32)
    hops = len(samples) // HOP
    if hops == 0:
        return Heard(torch.zeros(0), torch.zeros(0), torch.zeros(0))
    padded = torch.nn.functional.pad(samples[: hops * HOP], (WINDOW - HOP, 0))
    tables = listening_tables()
    parts = [measure(windows, tables) for windows in padded.unfold(0, WINDOW, HOP).split(CHUNK)]
    pitch, confidence, loudness = (list(chain(*values)) for values in zip(*parts, strict=True))
    held, voiced, _ = follow(pitch, confidence, loudness, first_memory())
    return Heard(torch.tensor(held), torch.tensor(voiced), torch.tensor(loudness))


class Tables(NamedTuple):
    """What listening multiplies by, float64."""

    tapers: Tensor  # (3, 2048): the whole window, its newest half, a Hann window
    weights: Tensor  # (1025, 2) from squared parts of the Hann window's spectrum to K-weighted mean square
    lags: Tensor  # (1001,): 1, 2, ... samples
    around: Tensor  # (3,) from the first lag looked at to the places of a lag and its neighbours


def listening_tables() -> Tables:
    """For :func:`measure`."""
    hann = torch.hann_window(WINDOW, dtype=torch.float64)
    newest = (torch.arange(WINDOW) >= WINDOW - COMPARED).to(torch.float64)
    both_sides = torch.full((WINDOW // 2 + 1,), 2.0, dtype=torch.float64)
    both_sides[[0, -1]] = 1.0
    hertz = torch.arange(WINDOW // 2 + 1, dtype=torch.float64) * (RATE / WINDOW)
    weights = k_weighting(hertz) * both_sides / (WINDOW * hann.square().sum())
    tapers = torch.stack([torch.ones_like(hann), newest, hann])
    lags = torch.arange(1.0, LONGEST + 2, dtype=torch.float64)
    return Tables(tapers, weights[:, None].repeat(1, 2), lags, torch.arange(SHORTEST - 2, SHORTEST + 1))


def measure(
    windows: Tensor, tables: Tables, floor: float = FLOOR
) -> tuple[list[float], list[float], list[float]]:
    """Raw pitch in semitones, confidence 0 to 1 and loudness in LKFS of windows ``(windows, 2048)``."""
    x = windows.to(torch.float64)
    x = torch.sub(x, x.sum(-1, keepdim=True), alpha=1.0 / x.shape[-1])
    whole, newest, hann = torch.fft.rfft(x.unsqueeze(-2) * tables.tapers).unbind(-2)
    correlation = torch.fft.irfft(newest * whole.conj())
    place, around = yin(x, correlation, tables)
    power = (torch.view_as_real(hann).square() * tables.weights).sum([-2, -1])
    places: list[int] = place.tolist()  # the rest is quicker without tensors
    dips: list[list[float]] = around.tolist()
    powers: list[float] = power.tolist()
    pitch: list[float] = []
    confidence: list[float] = []
    loudness: list[float] = []
    for n in range(len(places)):
        left, middle, right = dips[n]
        bend = left - 2.0 * middle + right
        offset = 0.0
        if bend > 1e-12:
            offset = min(max(0.5 * (left - right) / bend, -0.5), 0.5)
        octaves = math.log(48_000.0 / 440.0 / (float(places[n]) + offset)) / math.log(2.0)
        pitch.append(69.0 + 12.0 * octaves)
        confidence.append(min(max(1.0 - middle, 0.0), 1.0))
        loudness.append(max(10.0 * math.log10(powers[n] + 1e-12) - 0.691, floor))
    return pitch, confidence, loudness


def yin(
    x: Tensor,
    correlation: Tensor,
    tables: Tables,
    compared: int = COMPARED,
    shortest: int = SHORTEST,
    longest: int = LONGEST,
    slack: float = SLACK,
) -> tuple[Tensor, Tensor]:
    """Period of each window by YIN (de Cheveigné and Kawahara 2002), steps 1 to 4, with the correlation by FFT.

    Instead of their absolute threshold: the first dip that is at most ``slack`` above the deepest one, which keeps
    shrill sounds from being taken an octave up and pure ones from being taken octaves down.

    Args:
        x: ``(windows, 2048)`` float64, without a mean.
        correlation: ``(windows, 2048)`` of its newest half with all of it, from a lag of 0 on.
        tables: of :func:`listening_tables`.
        compared: samples that are compared with earlier ones.
        shortest, longest: periods looked for, in samples.
        slack: of the normalised difference, 0 to 1.

    Returns:
        Period ``(windows,)`` in whole samples, and the normalised difference ``(windows, 3)`` one sample before it, at
        it and after it: 0 for a sound that repeats itself exactly.
    """
    count = x.shape[-1]
    energies = x.square().cumsum(-1)
    first = count - longest - 2
    energy = energies[..., first:] - energies[..., first - compared : count - compared]
    energy = energy.flip(-1)  # of the stretches that lie 0, 1, ... samples back
    # The ground is there so that the end of a sound, which equals itself in its silence, is no perfect period.
    ground = 1e-4 * energies[..., -1:] + 1e-20
    difference = energy[..., 1:] + (energy[..., :1] + ground)
    difference = torch.sub(difference, correlation[..., 1 : longest + 2], alpha=2.0)
    normalised = difference * tables.lags / difference.cumsum(-1)
    middle = normalised[..., shortest - 1 : longest]
    before, after = normalised[..., shortest - 2 : longest - 1], normalised[..., shortest : longest + 1]
    dips = torch.where((middle <= before) & (middle < after), middle, 2.0)
    enough = dips <= dips.amin(-1, keepdim=True) + slack
    place = enough.to(torch.int8).argmax(-1, keepdim=True)  # the first one
    return place.squeeze(-1) + shortest, normalised.gather(-1, place + tables.around)


def k_weighting(hertz: Tensor) -> Tensor:
    """Power gain of the K-weighting at 48 kHz, for frequencies of any shape: ITU-R BS.1770-4, tables 1 and 2."""
    return k_gain(torch.sin(hertz * (math.pi / RATE)).square(), k_table().to(hertz.dtype))


def k_table() -> Tensor:
    """Of :func:`k_gain`: coefficients of its polynomials in rising powers, ``(3, 3)`` float64."""
    shelf = (
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1.0, -1.69065929318241, 0.73248077421585],
    )
    high_pass = [1.0, -1.99004745483398, 0.99007225036621]
    a, b, c = torch.tensor([*shelf, high_pass], dtype=torch.float64).T
    rising = [(a + b + c).square(), -4.0 * (a * b + 4.0 * a * c + b * c), 16.0 * a * c]
    return torch.stack(rising) * torch.tensor([16.0, 1.0, 1.0])


def k_gain(s: Tensor, table: Tensor) -> Tensor:
    """The K-weighting's power gain, where ``s`` is the squared sine of half the angular frequency.

    Its shelf and its high-pass are filters of the second order, whose numerators and denominators have a power that is
    a polynomial in ``s``; that of the high-pass's numerator, (1, -2, 1), is 16 s squared.
    """
    constant, once, twice = table.unbind()
    last = s.unsqueeze(-1)
    above, below, cut = torch.addcmul(constant, last, torch.addcmul(once, last, twice)).unbind(-1)
    return s.square() * above / (below * cut)


def first_memory() -> list[float]:
    """What :func:`follow` remembers: pitch, its share of voice, hops of a leap so far, where to, trust in the pitch."""
    return [60.0, 0.0, 0.0, 60.0, 0.0]


def follow(
    pitch: list[float],
    confidence: list[float],
    loudness: list[float],
    memory: list[float],
    unsure: float = UNSURE,
    sure: float = SURE,
    silent: float = SILENT,
    step: float = STEP,
    certain: float = CERTAIN,
    patience: int = LEAP_HOPS,
    deep: float = DEEP,
    certain_deep: float = CERTAIN_DEEP,
    patience_deep: int = DEEP_HOPS,
    lowest: float = LOWEST_PITCH,
    highest: float = HIGHEST_PITCH,
) -> tuple[list[float], list[float], list[float]]:
    """From raw pitch to one that can be played: held where there is none, doubtful leaps only if they last.

    A leap is doubtful only beside a pitch that was surer: as a note begins, a formant may be heard before the note is.

    Args:
        pitch, confidence, loudness: one number for each hop, of :func:`measure`.
        memory: of the hops before. It is left as it is: TorchScript may take a list that was just made for a constant.

    Returns:
        Pitch in semitones, the share of the harmonics that sounds (0 to 1), and the memory after these hops.
    """
    held, voiced_before, waited, goal, trust = memory[0], memory[1], memory[2], memory[3], memory[4]
    pitches: list[float] = []
    voiced: list[float] = []
    for n in range(len(pitch)):
        share = 0.0
        if loudness[n] > silent:
            share = min(max((confidence[n] - unsure) / (sure - unsure), 0.0), 1.0)
        needed, longest = certain, patience
        if pitch[n] < held - deep:
            needed, longest = certain_deep, patience_deep
        leaps = voiced_before == 0.0 or abs(pitch[n] - held) > step
        # to where the hop before would have leapt, too
        lasts = waited >= longest and abs(pitch[n] - goal) <= step
        goal = pitch[n]
        doubtful = voiced_before > 0.0 and leaps and confidence[n] < min(needed, trust)
        if share > 0.0 and doubtful and not lasts:
            waited += 1.0
        else:
            waited = 0.0
            if share > 0.0:
                held = min(max(pitch[n], lowest), highest)
                trust = confidence[n] if leaps else max(trust, confidence[n])
        voiced_before = share
        pitches.append(held)
        voiced.append(share)
    return pitches, voiced, [held, voiced_before, waited, goal, trust]
