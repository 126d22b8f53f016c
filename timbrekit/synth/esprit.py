"""Poles of damped oscillations by a subspace method in bands, and a greedy choice among them.

ESPRIT: Roy and Kailath, IEEE Trans. ASSP 1989, on the covariance of all signals that share the poles.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.linalg import eigh, lstsq

ORDER = 14  # poles looked for in a band
MOST_SAMPLES = 1500  # of a band that poles are looked for in
SUBSPACE = 120  # samples of a band that the covariance spans
STANDS_OUT = 8.0  # times the energy that the same mode would find in what is left of the band


def telling_poles(signals: list[NDArray], rate: float) -> list[tuple[complex, float]]:
    """Poles of a band that stand out of what all the others leave, each with the energy it explains."""
    poles = esprit(signals, ORDER)
    if not len(poles):
        return []
    chosen, _ = select(signals, poles, len(poles))
    powers = [poles[chosen][:, None] ** np.arange(len(signal)) for signal in signals]
    telling = np.zeros(len(chosen))
    expected = np.zeros(len(chosen))
    for signal, atoms in zip(signals, powers, strict=True):
        gains = lstsq(atoms.T, signal)[0]
        left = np.square(np.abs(signal - gains @ atoms))
        size = np.square(np.abs(atoms))
        telling += np.square(np.abs(gains)) * size.sum(1)
        expected += (size @ left) / size.sum(1)
    return [
        (poles[index], gain)
        for index, gain, noise in zip(chosen, telling, expected, strict=True)
        if gain > STANDS_OUT * noise
    ]


def select(signals: list[NDArray], poles: NDArray, most: int) -> tuple[list[int], float]:
    """Orthogonal matching pursuit over ``poles``: the chosen ones in order, and the share of energy that is left."""
    atoms = [poles[:, None] ** np.arange(len(signal)) for signal in signals]
    grams = [a.conj() @ a.T for a in atoms]
    products = [a.conj() @ signal for a, signal in zip(atoms, signals, strict=True)]
    total = sum(np.vdot(signal, signal).real for signal in signals) + 1e-30
    chosen: list[int] = []
    left = 1.0
    while len(chosen) < min(most, len(poles)):
        gains = np.zeros(len(poles))
        for gram, product in zip(grams, products, strict=True):
            open_product = product
            if chosen:
                weights = lstsq(gram[np.ix_(chosen, chosen)], product[chosen])[0]
                open_product = product - gram[:, chosen] @ weights
            gains += np.square(np.abs(open_product)) / (gram.diagonal().real + 1e-30)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        explained = 0.0
        for gram, product in zip(grams, products, strict=True):
            weights = lstsq(gram[np.ix_(chosen, chosen)], product[chosen])[0]
            explained += np.vdot(product[chosen], weights).real
        left = 1 - explained / total
    return chosen, left


def esprit(signals: list[NDArray], order: int) -> NDArray:
    """Poles of complex signals that share them, each times its own amplitudes."""
    span = min(SUBSPACE, min(len(signal) for signal in signals) // 2)
    order = min(order, span // 2)
    if order < 1:
        return np.zeros(0, complex)
    covariance = np.zeros((span, span), complex)
    for signal in signals:
        windows = np.lib.stride_tricks.sliding_window_view(signal[:MOST_SAMPLES], span)
        windows = np.ascontiguousarray(windows)  # or the product is not BLAS's
        covariance += windows.T @ windows.conj() / (np.vdot(signal, signal).real + 1e-30)
    vectors = eigh(covariance, subset_by_index=[span - order, span - 1])[1]
    poles = np.linalg.eigvals(lstsq(vectors[:-1], vectors[1:])[0])
    poles = poles[(np.abs(poles) > 0.3) & (np.abs(poles) < 1.05)]
    return poles / np.maximum(1.0, np.square(np.abs(poles)))  # what seems to grow fades as slowly


def one_band(sound: NDArray, rate: float, low: float, high: float) -> tuple[NDArray, float, float]:
    """A band as a complex signal at the lowest rate that holds it, that rate, and the frequency that became 0."""
    size = next_fast_len(2 * len(sound))
    margin = 0.25 * (high - low)
    first, last = (max(0, round(edge * size / rate)) for edge in (low - margin, high + margin))
    spectrum = np.fft.rfft(sound, size)[first:last]
    frequency = np.arange(first, first + len(spectrum)) * rate / size
    outside = np.maximum(low - frequency, frequency - high).clip(0) / margin
    spectrum = spectrum * np.cos(np.pi / 2 * outside.clip(0, 1)) ** 2
    middle = len(spectrum) // 2
    band = np.fft.ifft(np.roll(spectrum, -middle)) * len(spectrum) / size * 2
    band_rate = rate * len(spectrum) / size
    skipped = int(np.ceil(1.5 * band_rate / (high - low)))  # the filter's own rise
    kept = max(8, int(len(sound) / rate * band_rate))
    return band[skipped:kept], band_rate, (first + middle) * rate / size
