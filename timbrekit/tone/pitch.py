"""What the instrument hears: pitch, how sure it is that there is one, and loudness, each 256 samples.

One listener for training, for playing offline and for TorchScript: the functions here run in all three. It is causal:
a hop is judged by the 2048 samples that end with it, so what it says is true of the middle of those samples, 21 ms
earlier.
"""

import math
from dataclasses import dataclass

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
CHUNK = 2000  # windows measured at once: bounds memory


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
    tables = loudness_tables()
    parts = [measure(windows, tables) for windows in padded.unfold(0, WINDOW, HOP).split(CHUNK)]
    pitch, confidence, loudness = (torch.cat(values).tolist() for values in zip(*parts, strict=True))
    held, voiced, _ = follow(pitch, confidence, loudness, first_memory())
    return Heard(torch.tensor(held), torch.tensor(voiced), torch.tensor(loudness))


def measure(windows: Tensor, tables: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Raw pitch, confidence and loudness of windows.

    Args:
        windows: ``(windows, 2048)``.
        tables: of :func:`loudness_tables`.

    Returns:
        Pitch in semitones, confidence 0 to 1, loudness in LKFS: ``(windows,)`` each.
    """
    period, confidence = yin(windows)
    # Rounded once, here: the page rounds here too, and a phase adds up what rounding leaves.
    pitch = (69.0 + 12.0 * torch.log2(48_000.0 / 440.0 / period)).to(torch.float32)
    return pitch, confidence.to(torch.float32), loudness_of(windows, tables)


def yin(
    windows: Tensor,
    compared: int = COMPARED,
    shortest: int = SHORTEST,
    longest: int = LONGEST,
    slack: float = SLACK,
) -> tuple[Tensor, Tensor]:
    """Period of each window by YIN (de Cheveigné and Kawahara 2002), steps 1 to 5, with the correlation by FFT.

    Instead of their absolute threshold: the first dip that is at most ``slack`` above the deepest one, which keeps
    shrill sounds from being taken an octave up and pure ones from being taken octaves down.

    Args:
        windows: ``(windows, 2048)``.
        compared: samples that are compared with earlier ones.
        shortest, longest: periods looked for, in samples.
        slack: of the normalised difference, 0 to 1.

    Returns:
        Period in samples with parts of them, and confidence: 1 less the normalised difference at it, 1 for a sound
        that repeats itself exactly. ``(windows,)`` each, float64.
    """
    count = windows.shape[-1]
    x = windows.flip(-1).to(torch.float64)  # the newest sample first: a lag looks back
    x = x - x.mean(-1, keepdim=True)
    spectrum = torch.fft.rfft(x)
    start = torch.fft.rfft(x[..., :compared], count)
    correlation = torch.fft.irfft(spectrum * start.conj(), count)[..., : longest + 2]
    energies = torch.nn.functional.pad(x.square().cumsum(-1), (1, 0))
    energy = energies[..., compared : compared + longest + 2] - energies[..., : longest + 2]
    difference = (energy[..., :1] + energy - 2.0 * correlation)[..., 1:].clamp_min(0.0)  # of lags 1, 2, ...
    lags = torch.arange(1, longest + 2, dtype=torch.float64, device=x.device)
    # So that the end of a sound, which equals itself in its silence, does not pass for a perfect period.
    ground = 1e-4 * energies[..., -1:] + 1e-20
    normalised = (difference + ground) * lags / (difference.cumsum(-1) + ground * lags)
    middle = normalised[..., shortest - 1 : longest]
    before, after = normalised[..., shortest - 2 : longest - 1], normalised[..., shortest : longest + 1]
    dips = torch.where((middle <= before) & (middle < after), middle, torch.full_like(middle, 2.0))
    lowest = dips.amin(-1, keepdim=True)
    places = torch.arange(middle.shape[-1], device=x.device).expand_as(middle)
    last = torch.full_like(places, middle.shape[-1] - 1)
    place = torch.where(dips <= lowest + slack, places, last).amin(-1, keepdim=True)
    left, dip, right = before.gather(-1, place), middle.gather(-1, place), after.gather(-1, place)
    bend = left - 2.0 * dip + right
    offset = torch.where(bend > 1e-12, 0.5 * (left - right) / bend.clamp_min(1e-12), torch.zeros_like(bend))
    period = place + shortest + offset.clamp(-0.5, 0.5)
    return period.squeeze(-1), (1.0 - dip).squeeze(-1).clamp(0.0, 1.0)


def k_weighting(hertz: Tensor, rate: float = RATE) -> Tensor:
    """Power gain of the K-weighting at 48 kHz, for frequencies of any shape: ITU-R BS.1770-4, tables 1 and 2."""
    s = torch.sin(hertz * (math.pi / rate)).square()
    shelf = power_gain(
        s, 1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585
    )
    return shelf * power_gain(s, 1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def power_gain(s: Tensor, b0: float, b1: float, b2: float, a1: float, a2: float) -> Tensor:
    """Power gain of a second-order filter, where ``s`` is the squared sine of half the angular frequency."""
    above = (b0 + b1 + b2) ** 2 - 4 * (b0 * b1 + 4 * b0 * b2 + b1 * b2) * s + 16 * b0 * b2 * s.square()
    below = (1 + a1 + a2) ** 2 - 4 * (a1 + 4 * a2 + a1 * a2) * s + 16 * a2 * s.square()
    return (above / below).clamp_min(0.0)


def loudness_tables() -> tuple[Tensor, Tensor]:
    """A Hann window ``(2048,)``, and what turns the squared magnitudes of its spectrum into K-weighted mean square."""
    hertz = torch.arange(WINDOW // 2 + 1, dtype=torch.float64) * (RATE / WINDOW)
    both_sides = torch.full_like(hertz, 2.0)
    both_sides[[0, -1]] = 1.0
    hann = torch.hann_window(WINDOW, dtype=torch.float64)
    weights = k_weighting(hertz) * both_sides / (WINDOW * hann.square().sum())
    return hann.to(torch.float32), weights.to(torch.float32)


def loudness_of(windows: Tensor, tables: tuple[Tensor, Tensor], floor: float = FLOOR) -> Tensor:
    """Loudness of Hann-windowed stretches in LKFS, at least -80: ``(windows, 2048)`` to ``(windows,)``."""
    hann, weights = tables
    power = (torch.fft.rfft(windows * hann).abs().square() * weights).sum(-1)
    return (10.0 * torch.log10(power + 1e-12) - 0.691).clamp_min(floor)


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
        lasts = (
            waited >= longest and abs(pitch[n] - goal) <= step
        )  # to where the hop before would have leapt, too
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
