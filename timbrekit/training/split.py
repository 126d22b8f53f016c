"""Which hits are trained on, which are held out to the end, and, as published, which choose the epoch."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from torch import Tensor

from timbrekit.training.settings import SplitName
from timbrekit.training.take import Take

HELD_OUT_SHARE = 0.1  # of the hits: for the test, and as many for validation where there is one
LEAST_FOR_VALIDATION, LEAST_FOR_TEST = 3, 5  # hits of a take, with fewer of which nothing is held out
OVERFULL = 1.5  # times a share; copies that would make it more stay with the hits that are trained on


@dataclass(frozen=True)
class Split:
    """Indices of the hits that are trained on, that choose the epoch (none by default), and that are held out."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_hits(take: Take, how: SplitName = "contiguous", seed: int = 0) -> Split:
    """Hold out hits. The reference hit is always trained on.

    Args:
        how: ``contiguous``: the end of the take is the test, hit by hit from the last one back, each with all its
            near-copies wherever they are, so that no hit stands on one side and its copy on the other. ``whole``: none
            are held out, for a take that another one tests. Neither has hits for validation: what is heard of them in
            training is worth more than an epoch chosen by them (docs/training.md). ``random``: as published, by
            :func:`split_at_random`.
        seed: of ``random``; the others depend on the take alone.
    """
    if how not in get_args(SplitName):
        raise ValueError(f"how must be one of {', '.join(get_args(SplitName))}, not {how!r}")
    if how == "random":
        return split_at_random(take.timbre[:, 0], take.reference, seed)
    copies = take.hits.near_copies
    kept = copies == copies[take.reference]  # never held out
    test = np.zeros(len(copies), bool)
    if how == "contiguous" and len(take) >= LEAST_FOR_TEST:
        test = _with_copies(np.arange(len(copies))[::-1], copies, kept, HELD_OUT_SHARE)
    none = np.zeros(0, int)
    return Split(np.flatnonzero(~test), none, np.flatnonzero(test))


def _with_copies(order: np.ndarray, copies: np.ndarray, kept: np.ndarray, share: float) -> np.ndarray:
    """``(n,)`` true for hits in this order, each with its copies, until they are a share of all."""
    wanted, held = max(1, round(len(copies) * share)), np.zeros(len(copies), bool)
    for hit in order:
        if held.sum() >= wanted:
            break
        group = copies == copies[hit]
        if not kept[hit] and not held[hit] and held.sum() + group.sum() <= max(1, OVERFULL * wanted):
            held |= group
    return held


def split_at_random(loudness: Tensor, reference: int, seed: int = 0) -> Split:
    """Hold out hits the published way: sorted by loudness, cut into chunks, one random hit of each.

    With fewer than 5 hits there is no test, with fewer than 3 no validation.
    """
    generator = np.random.default_rng(seed)
    count = len(loudness)
    order = [i for i in loudness.argsort().tolist() if i != reference]
    held: dict[str, list[int]] = {"validation": [], "test": []}
    for name, least in (("validation", LEAST_FOR_VALIDATION), ("test", LEAST_FOR_TEST)):
        if count >= least:
            chunks = np.array_split(np.array(order), max(1, round(count * HELD_OUT_SHARE)))
            held[name] = [int(generator.choice(chunk)) for chunk in chunks if len(chunk)]
            order = [i for i in order if i not in held[name]]
    train = np.array(sorted([*order, reference]))
    return Split(train, np.array(sorted(held["validation"]), int), np.array(sorted(held["test"]), int))
