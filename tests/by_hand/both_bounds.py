"""``python -m tests.by_hand.both_bounds RECORDING PRESET …``: what preset and onsets leave when both bound together.

Regressions foretell each hit's features from its onset; a direct search then looks for the parameters that play
what was foretold. Neither knows of the other, so a mapping trained for both at once can leave less.
"""

import sys
from dataclasses import replace

import numpy as np
import torch

from timbrekit.plugin.as_played import error_ratio
from timbrekit.presets import load_preset
from timbrekit.recording.prepare import prepare
from timbrekit.training.bounds import optimize_directly, predict_from_onsets
from timbrekit.training.split import split_at_random
from timbrekit.training.take import make_take

ITERATIONS = 100
SEEDS = 3  # whose held-out hits are looked at


def main(recording: str, presets: list[str]) -> None:
    take = make_take(prepare(recording).hits)
    splits = [split_at_random(take.timbre[:, 0], take.reference, seed) for seed in range(SEEDS)]
    held_out = np.unique(np.concatenate([np.r_[split.validation, split.test] for split in splits]))
    foretold = predict_from_onsets(take)
    as_foretold = replace(take, timbre=take.reference_timbre + torch.from_numpy(foretold))
    intended = take.intended.numpy()[held_out]
    tell(f"{len(held_out)} hits, onset information", error_ratio(foretold[held_out], intended))
    for name in presets:
        for what, wanted in (("direct optimisation", take), ("both", as_foretold)):
            played = optimize_directly(wanted, load_preset(name), held_out, ITERATIONS)
            tell(f"{name}, {what}", error_ratio(played, intended))


def tell(what: str, ratios: np.ndarray) -> None:
    print(f"{what}: {ratios.mean():.3f}", ratios.round(2), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
