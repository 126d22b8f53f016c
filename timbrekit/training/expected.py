"""What an onset lets one expect of a hit: what training follows where hits are few, so that it does not overreach.

One hit differs from the next of the same stroke, and no onset tells how. Of few hits a network learns this chance by
heart, and it leaps where none was heard. So a regression smooths their differences first. It starts from loudness alone
(so many dB of the sound for a dB of the onset, and nothing else moves) and departs from it as far as the hits agree,
and only near them. Where none was heard, loudness alone is expected. Imagined hits all over the range, at which the
regression is followed, fill up the take. With enough hits nothing of this is done.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats.qmc import Halton

from timbrekit.features import TIMBRE_FEATURES
from timbrekit.loss import spread_weights
from timbrekit.mapping import NUM_INPUTS
from timbrekit.training.take import Take

ENOUGH = 120  # hits; a take with fewer is filled up to as many
# A wide kernel, and a strong penalty, against which every hit adds its part. Chosen by what the regression foretells of
# other playing (docs/training.md).
REGRESSION = {"gamma": 2.0, "C": 0.1, "epsilon": 0.05}
# The regression counts by how little of a Gaussian process's variance the hits leave (Rasmussen and Williams, 2006,
# eq. 2.26): nearly whole among them, not at all far from each. The length of its kernel, in [0, 1], and its noise.
REACH, NOISE = 0.22, 0.1
STEEPEST = 2.0  # dB of the sound for a dB of the onset
LOUDNESS = [name.startswith("loudness") for name in TIMBRE_FEATURES]

Expectation = Callable[[NDArray], NDArray]


def expect(take: Take, hits: NDArray) -> Expectation:
    """Learn from some hits what to expect.

    Args:
        take: the recording.
        hits: indices of those to learn from; no other is looked at.

    Returns:
        ``(n, 7)`` expected differences from the reference hit, of ``(n, 3)`` inputs in [0, 1].
    """
    from sklearn.gaussian_process import GaussianProcessRegressor  # slow to import
    from sklearn.gaussian_process.kernels import RBF
    from sklearn.svm import SVR

    heard, intended = (values[hits].double().numpy() for values in (take.inputs, take.intended))
    weights = spread_weights(take.intended[hits]).double().numpy()
    span, middle = float(take.maximum[0] - take.minimum[0]), float(take.inputs[take.reference, 0])

    def louder(inputs: NDArray) -> NDArray:
        """``(n,)`` dB above the reference hit's onset."""
        return (inputs[:, 0] - middle) * span

    steepness = [
        steepness_of(louder(heard), each) if is_loudness else 0.0
        for each, is_loudness in zip(intended.T, LOUDNESS, strict=True)
    ]
    rest = (intended - np.outer(louder(heard), steepness)) * weights
    regressions = [SVR(**REGRESSION).fit(heard, each) for each in rest.T]
    # Its variance alone is asked for, which does not depend on the values that it is fitted to.
    process = GaussianProcessRegressor(RBF(REACH), alpha=NOISE, optimizer=None).fit(heard, heard[:, 0])

    def expected(inputs: NDArray) -> NDArray:
        departures = np.stack([each.predict(inputs) for each in regressions], 1) / weights
        left = process.predict(inputs, return_std=True)[1] ** 2
        return np.outer(louder(inputs), steepness) + departures * (1 - left)[:, None]

    return expected


def steepness_of(louder: NDArray, intended: NDArray) -> float:
    """How steep the line through 0 with the least mean absolute error is, from 0 to ``STEEPEST``: a weighted median.

    Args:
        louder: ``(n,)`` dB of the onsets.
        intended: ``(n,)`` dB of the hits.
    """
    told = np.flatnonzero(louder)
    if not len(told):
        return 0.0
    steepness, shares = intended[told] / louder[told], np.abs(louder[told])
    order = steepness.argsort(kind="stable")
    middle = np.searchsorted(shares[order].cumsum(), shares.sum() / 2)
    return float(steepness[order[middle]].clip(0, STEEPEST))


def with_expected(take: Take, hits: NDArray) -> tuple[Take, NDArray]:
    """A take to train on in place of one with few hits.

    Args:
        take: the recording.
        hits: indices of those that are trained on.

    Returns:
        The take, and the indices to train on. With fewer than ``ENOUGH`` hits their differences are drawn towards those
        expected, with less than half as many all the way, and imagined hits follow the take's own; they ring as long as
        its median hit. Its ``hits`` are the recording's.
    """
    missing = ENOUGH - len(hits)
    if missing <= 0:
        return take, hits
    expected = expect(take, hits)
    cube = Halton(NUM_INPUTS, scramble=False).random(missing + 1)[1:]  # the first is 0
    onset = take.minimum + torch.from_numpy(cube).to(take.minimum) * (take.maximum - take.minimum)
    like = take.lengths.argsort(stable=True)[[len(take) // 2] * missing]
    every = torch.cat([torch.arange(len(take)), like])
    differences, imagined = take.intended[every], np.arange(len(take), len(every))
    smooth = torch.from_numpy(expected(take.inputs.double().numpy()[hits])).to(differences)
    differences[hits] = differences[hits].lerp(smooth, min(1.0, missing / len(hits)))
    differences[imagined] = torch.from_numpy(expected(cube)).to(differences)
    followed = replace(
        take,
        shifted_onset=torch.cat([take.shifted_onset, onset.expand(len(take.shifted_onset), -1, -1)], 1),
        timbre=take.reference_timbre[every] + differences,
        reference_timbre=take.reference_timbre[every],
        lengths=take.lengths[every],
    )
    return followed, np.concatenate([hits, imagined])
