"""The ringing of a struck drum as damped modes, found in its recording.

A mode is ``a cos(2 pi f u + p) exp(-d t)`` with a pitch glide that all gliding modes share: ``u(t) = t + g T (1 -
exp(-t / T))``, so that the frequency at time t is ``f (1 + g exp(-t / T))``. Poles come from ESPRIT (Roy and Kailath,
IEEE Trans. ASSP 1989) in bands, on the covariance of all hits of the drum at once; a greedy selection keeps those that
stand out of what is left; Gauss-Newton steps then settle frequencies, decays and amplitudes together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from timbrekit.synth.esprit import esprit, one_band, select, telling_poles

MOST_MODES = 40
# Hz; the lower bands hold the modes one by one, the upper ones what a shell or a cymbal adds.
EDGES = (20, 120, 220, 330, 450, 600, 780, 1000, 1300, 1700, 2200, 2900, 3800, 5000, 6600, 8700, 11500, 15000)
FASTEST, SLOWEST = 120.0, 0.4  # decay in nepers a second: 58 ms and 17 s to -60 dB; what is faster is onset
GLIDING_BELOW = 1300.0  # Hz; an edge of a band. Modes below it may glide
MOST_GLIDING = 10
GLIDE_RATE = 8000.0  # Hz; for the search
GLIDE_SECONDS = 0.5
GLIDES = (0.03, 0.1, 0.3, 1.0, 3.0)  # tried: by how much of the frequency it starts higher …
GLIDE_TIMES = (0.006, 0.015, 0.04, 0.1)  # … and how fast it falls, in s
BLOCK = 256  # samples; a length of outer products
LONGEST = 0.8  # s of a hit that the last steps look at
ATTACK = 0.001  # s; linear, of every mode
STEPS = 5  # Gauss-Newton
# Smallest eigenvalue of the modes' correlations that the gains of several hits use. In combinations with less energy
# close modes cancel, in each hit in a way of its own that does not pass into the next one's.
LEAST = 0.1
EMPHASIS = 0.9  # of the first difference in which the fit is judged: high modes are weak and count too


@dataclass(frozen=True)
class Glide:
    """``frequency (1 + amount exp(-t / time))``."""

    amount: float = 0.0
    time: float = 0.03  # s

    def warp(self, times: NDArray) -> NDArray:
        """The time in which a gliding mode is steady, in s."""
        return times + self.amount * self.time * -np.expm1(-times / self.time)


@dataclass(frozen=True)
class Modes:
    """Modes that several hits share. Arrays run over modes, and over hits first where each hit has its own."""

    frequency: NDArray  # (modes,) Hz, where the glide ends
    gliding: NDArray  # (modes,) bool
    decay: NDArray  # (hits, modes) nepers a second
    gain: NDArray  # (hits, modes) complex: amplitude and phase at the onset
    glide: Glide

    def __len__(self) -> int:
        return len(self.frequency)

    def render(self, hit: int, samples: int, rate: float) -> NDArray:
        """``(samples,)`` of one hit."""
        atoms = _atoms(self.frequency, self.decay[hit], self.gliding, self.glide, samples, rate)
        return (self.gain[hit] @ atoms).real


def attack(samples: int, rate: float) -> NDArray:
    """The rise of every mode."""
    return np.minimum(1.0, np.arange(samples) / (ATTACK * rate))


def find_modes(hits: Sequence[NDArray], rate: float, with_glide: bool, onset: float) -> Modes:
    """The modes of one drum.

    Args:
        hits: each ``(samples,)`` from its onset on.
        rate: Hz.
        with_glide: look for a pitch glide too.
        onset: s at the start that something else than modes plays most of, so that it counts little.
    """
    hits = [np.asarray(hit, float) / (np.sqrt(np.mean(np.square(hit))) + 1e-12) for hit in hits]
    tried = [Glide()]
    if with_glide and (glide := _find_glide(hits[0], rate)).amount:
        tried.append(glide)
    fits = []
    for glide in tried:
        poles, gliding = _candidates(hits, rate, glide)
        frequency, decay = poles.imag / (2 * np.pi), -poles.real
        decays = np.tile(decay, (len(hits), 1))
        modes = Modes(frequency, gliding, decays, np.zeros(decays.shape, complex), glide)
        fits.append(_settle(modes, hits, rate, onset) if len(frequency) else modes)
    return min(fits, key=lambda modes: _left(modes, hits, rate, onset))


def scaled(modes: Modes, factors: NDArray) -> Modes:
    """The same with the gains of each hit times its factor ``(hits,)``."""
    return replace(modes, gain=modes.gain * factors[:, None])


def _atoms(
    frequency: NDArray, decay: NDArray, gliding: NDArray, glide: Glide, samples: int, rate: float
) -> NDArray:
    """``(modes, samples)`` complex."""
    poles = 2j * np.pi * frequency - decay
    coarse = np.exp(poles[:, None] * (np.arange(0, samples, BLOCK) / rate))
    coarse[np.abs(coarse) < 1e-9] = 0  # single precision is slow with what is nearly 0
    fine = np.exp(poles[:, None] * (np.arange(BLOCK) / rate))
    atoms = (coarse[:, :, None] * fine[:, None]).reshape(len(poles), -1)[:, :samples].astype(np.complex64)
    times = np.arange(samples) / rate
    ahead = glide.warp(times) - times
    atoms[gliding] *= np.exp(2j * np.pi * frequency[gliding, None] * ahead).astype(np.complex64)
    return atoms * attack(samples, rate).astype(np.float32)


def _find_glide(hit: NDArray, rate: float) -> Glide:
    """The glide with which few modes explain most of the low end; none where that helps little."""
    count = int(GLIDE_SECONDS * rate)
    size = min(len(hit), count)
    low = int(size * GLIDE_RATE / rate)
    hit = np.fft.irfft(np.fft.rfft(hit[:size])[: low // 2 + 1], low)

    def left_over(glide: Glide) -> float:
        return _left_by_few(_warped(hit, GLIDE_RATE, glide), GLIDE_RATE)

    none = left_over(Glide())
    tried = [Glide(amount, time) for amount in GLIDES for time in GLIDE_TIMES]
    costs = [left_over(glide) for glide in tried]
    best, least = tried[int(np.argmin(costs))], min(costs)
    for step in (1.5, 1.5, 1.2, 1.2, 1.08, 1.08):
        for amount, time in ((step, 1), (1 / step, 1), (1, step), (1, 1 / step)):
            glide = Glide(best.amount * amount, best.time * time)
            if (cost := left_over(glide)) < least:
                best, least = glide, cost
    return best if least < 0.8 * none else Glide()


def _left_by_few(sound: NDArray, rate: float) -> float:
    """Share of the energy from 20 to 700 Hz that four modes leave."""
    band = one_band(sound, rate, 20.0, 700.0)[0]
    return select([band], esprit([band], 8), 4)[1]


def _candidates(hits: list[NDArray], rate: float, glide: Glide) -> tuple[NDArray, NDArray]:
    """Complex poles ``(modes,)`` per second, and which of them glide, the most telling first."""
    warped = [_warped(hit, rate, glide) for hit in hits]
    scores, poles, gliding = [], [], []
    for low, high in pairwise(EDGES):
        if high > 0.47 * rate:
            break
        glides = high <= GLIDING_BELOW and glide.amount > 0
        pieces = [one_band(hit, rate, low, high) for hit in (warped if glides else hits)]
        band_rate, centre = pieces[0][1:]
        signals = [piece[0] for piece in pieces]
        energy = sum(np.vdot(signal, signal).real for signal in signals)
        for pole, gain in telling_poles(signals, band_rate):
            value = np.log(pole) * band_rate + 2j * np.pi * centre
            if low <= value.imag / (2 * np.pi) < high and SLOWEST <= -value.real <= FASTEST:
                scores.append(gain / (energy + 1e-30) ** 0.6)
                poles.append(value)
                gliding.append(glides)
    order = np.argsort(scores)[::-1]
    kept, glided = [], 0
    for index in order:
        if gliding[index]:
            if glided == MOST_GLIDING:
                continue
            glided += 1
        kept.append(index)
        if len(kept) == MOST_MODES:
            break
    return np.array(poles, complex)[kept], np.array(gliding, bool)[kept]


def _warped(sound: NDArray, rate: float, glide: Glide) -> NDArray:
    """The sound over the time in which gliding modes are steady, at the same rate."""
    if not glide.amount:
        return sound
    times = np.arange(len(sound)) / rate
    warped = glide.warp(times)
    grid = np.arange(int(warped[-1] * rate)) / rate
    return CubicSpline(times, sound)(np.interp(grid, warped, times))


def _left(modes: Modes, hits: list[NDArray], rate: float, onset: float) -> float:
    """Energy that the modes leave after the onset."""
    first = int(onset * rate)
    rendered = [modes.render(index, len(hit), rate) for index, hit in enumerate(hits)]
    return sum(float(np.square(hit - heard)[first:].sum()) for hit, heard in zip(hits, rendered, strict=True))


def _settle(modes: Modes, hits: list[NDArray], rate: float, onset: float) -> Modes:
    """Gauss-Newton over frequencies, decays and complex gains; several hits then share frequencies and decays."""
    frequencies, weights = [], []
    for index, hit in enumerate(hits):
        fitted, energy = _settle_hit(modes, index, hit, rate, onset, STEPS, True)
        frequencies.append(fitted.frequency)
        weights.append(energy + 1e-12)
        modes = replace(modes, decay=_with_row(modes.decay, index, fitted.decay[index]))
        modes = replace(modes, gain=_with_row(modes.gain, index, fitted.gain[index]))
        if len(hits) == 1:
            return fitted
    modes = replace(modes, frequency=np.average(frequencies, 0, weights))
    for index, hit in enumerate(hits):
        modes, _ = _settle_hit(modes, index, hit, rate, onset, 2, False)
    energy = np.square(np.abs(modes.gain)) / modes.decay
    energy /= energy.sum(1, keepdims=True)
    decay = np.exp(np.average(np.log(modes.decay), 0, energy + 1e-12))
    modes = replace(modes, decay=np.tile(decay, (len(hits), 1)))
    for index, hit in enumerate(hits):
        modes, _ = _settle_hit(modes, index, hit, rate, onset, 0, False, True)
    return modes


def _settle_hit(
    modes: Modes,
    index: int,
    hit: NDArray,
    rate: float,
    onset: float,
    steps: int,
    move: bool,
    truncated: bool = False,
) -> tuple[Modes, NDArray]:
    """One hit's fit, and each mode's energy in it."""
    hit = hit[: int(LONGEST * rate)].astype(np.float32)
    times = (np.arange(len(hit)) / rate).astype(np.float32)
    warped = np.where(modes.gliding[:, None], modes.glide.warp(times), times).astype(np.float32)
    weight = np.where(times < onset, 0.3, 1.0).astype(np.float32)[1:]

    def judged(rows: NDArray) -> NDArray:
        return (rows[..., 1:] - EMPHASIS * rows[..., :-1]) * weight

    target = judged(hit)
    frequency, decay = modes.frequency.copy(), modes.decay[index].copy()
    count, damping = len(frequency), 1e-3
    best = None
    for _ in range(steps + 1):
        atoms = _atoms(frequency, decay, modes.gliding, modes.glide, len(hit), rate)
        heard = judged(atoms)
        linear = np.concatenate([heard.real, -heard.imag])
        solve = _truncated if truncated else _ridge
        gains = solve(linear @ linear.T, linear @ target)
        gain = gains[:count] + 1j * gains[count:]
        error = target - gains @ linear
        cost = float(error @ error)
        if best is None or cost < best[0]:
            best = cost, frequency, decay, gain, np.square(np.abs(gain)) * np.square(np.abs(heard)).sum(1)
            damping /= 4
        else:  # a step too far: go back, and take a shorter one
            damping *= 30
        _, frequency, decay, gain, _ = best
        moved = (gain * decay).astype(np.complex64)[:, None] * atoms
        columns = [linear, judged(-times * moved.real)]
        if move:
            columns.append(judged(np.float32(-2 * np.pi) * warped * moved.imag))
        jacobian = np.concatenate(columns)
        square = jacobian @ jacobian.T
        step = _ridge(square, jacobian @ error, damping)[2 * count :].clip(-0.5, 0.5)
        decay = (decay * np.exp(step[:count])).clip(SLOWEST, FASTEST)
        if move:
            frequency = (frequency + step[count:] * best[2]).clip(EDGES[0], 0.48 * rate)
    _, frequency, decay, gain, energy = best
    fitted = replace(
        modes,
        frequency=frequency,
        decay=_with_row(modes.decay, index, decay),
        gain=_with_row(modes.gain, index, gain),
    )
    return fitted, energy


def _ridge(square: NDArray, product: NDArray, amount: float = 1e-6) -> NDArray:
    """Solve the normal equations with a penalty relative to each unknown's own size."""
    square = square.astype(float)
    return np.linalg.solve(square + np.diag(amount * square.diagonal() + 1e-9), product)


def _truncated(square: NDArray, product: NDArray) -> NDArray:
    """Solve the normal equations without the combinations of unknowns that explain little."""
    size = np.sqrt(square.diagonal() + 1e-9)
    values, vectors = np.linalg.eigh(square / size / size[:, None])
    kept = vectors[:, values > LEAST] / size[:, None]
    return kept @ ((kept.T @ product) / values[values > LEAST])


def _with_row(rows: NDArray, index: int, row: NDArray) -> NDArray:
    rows = rows.copy()
    rows[index] = row
    return rows
