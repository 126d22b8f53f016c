"""Which hits are trained on, and which are held out."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

HELD_OUT_SHARE = 0.1  # for validation, and again for test


@dataclass(frozen=True)
class Split:
    """Indices of the hits that are trained on, that choose the epoch, and that are held out to the end."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_hits(loudness: Tensor, reference: int, seed: int = 0) -> Split:
    """Hold out hits the published way: sorted by loudness, cut into chunks, one random hit of each.

    The reference hit is never held out. With fewer than 5 hits there is no test, with fewer than 3 no validation.
    """
    generator = np.random.default_rng(seed)
    count = len(loudness)
    order = [i for i in loudness.argsort().tolist() if i != reference]
    held: dict[str, list[int]] = {"validation": [], "test": []}
    for name, least in (("validation", 3), ("test", 5)):
        if count >= least:
            chunks = np.array_split(np.array(order), max(1, round(count * HELD_OUT_SHARE)))
            held[name] = [int(generator.choice(chunk)) for chunk in chunks if len(chunk)]
            order = [i for i in order if i not in held[name]]
    train = np.array(sorted([*order, reference]))
    return Split(train, np.array(sorted(held["validation"]), int), np.array(sorted(held["test"]), int))
