"""``python -m tests.by_hand.unseen_settings RESULTS.csv``: how models play what they were not trained on.

Trains on one take of a drum and has the plug-in play another, its ranges being those of the first: the pairs of the
test material, and parts of its finger taps. Each line of RESULTS.csv is one model; lines are added, none is replaced.

``--role choose`` swaps every pair (train on what is otherwise played) and takes the first and middle third of the taps
to be played. Settings are chosen by these, ``--role report`` is what is reported. Settings are changed by
``--change l2_penalty=1.0 model=mlp`` or ``--change listener=mel``.
"""

import argparse
import csv
import json
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tests.shared_material import SHARED
from timbrekit.export.torchdrum import PluginModel
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.mapping_looks import LooksModel
from timbrekit.plugin.as_played import measure_as_played
from timbrekit.presets import load_preset
from timbrekit.recording import read_recording
from timbrekit.recording.hits import find_hits
from timbrekit.recording.suggest import suggest_settings
from timbrekit.training.fast.run import Variant
from timbrekit.training.fast.train import train_many
from timbrekit.training.looks import train_looks
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, make_take

RATE = 48_000  # Hz
PAIRS = ("14p", "20_brush", "body")
# Thirds of the taps to train on, and the one to play.
TAPS = {"choose": {"taps_23_1": ((1, 2), 0), "taps_13_2": ((0, 2), 1)}, "report": {"taps_12_3": ((0, 1), 2)}}


@dataclass(frozen=True)
class Pair:
    """A take to train on and another to play, its differences taken from the first one's reference hit."""

    name: str
    trained: Take
    played: Take
    samples: np.ndarray  # (samples,) of the take that is played


def read_pairs(role: str) -> list[Pair]:
    """Those to ``choose`` by, or to ``report``."""
    pairs = []
    for name in PAIRS:
        takes = [
            read_recording(SHARED / f"pairs/{name}_{part}.flac", RATE).samples for part in ("train", "play")
        ]
        pairs.append(make_pair(name, *(takes if role == "report" else reversed(takes))))
    thirds = np.array_split(read_recording(SHARED / "audio/tap_medley.flac", RATE).samples, 3)
    for name, (trained, played) in TAPS[role].items():
        pairs.append(make_pair(name, np.concatenate([thirds[part] for part in trained]), thirds[played]))
    return pairs


def make_pair(name: str, trained_on: np.ndarray, samples: np.ndarray) -> Pair:
    settings = suggest_settings(trained_on, RATE).settings
    trained = make_take(find_hits(trained_on, RATE, settings))
    return Pair(name, trained, make_take(find_hits(samples, RATE, settings), against=trained), samples)


def measure(pair: Pair, presets: list[str], seeds: list[int], settings: Settings) -> list[dict]:
    """A row for each model: error ratios over the unseen take (ranges known; cold), of each feature, and the time."""
    if settings.listener == "mel":
        return [measure_looks(pair, preset, seed, settings) for preset in presets for seed in seeds]
    variants = [Variant(load_preset(preset), seed) for preset in presets for seed in seeds]
    trained = train_many(pair.trained, variants, settings)
    ranges, static, rows = torch.stack([pair.trained.minimum, pair.trained.maximum]).numpy(), {}, []
    for variant, each in zip(variants, trained, strict=True):
        name = variant.preset.name
        played = partial(
            measure_as_played,
            PluginModel(each.mapping).eval(),
            pair.samples,
            pair.played,
            synth=variant.preset.instrument(),
        )
        unseen = played(initial_ranges=ranges, static=static.get(name))
        static[name] = unseen.static
        rows.append(
            {
                "pair": pair.name,
                "preset": name,
                "seed": variant.seed,
                "unseen": round(unseen.error_ratio, 4),
                "unseen_cold": round(played(static=static[name]).error_ratio, 4),
                "seconds": round(each.seconds / len(variants), 1),
                **dict(zip(TIMBRE_FEATURES, unseen.ratio_per_feature.round(3).tolist(), strict=True)),
            }
        )
    return rows


def measure_looks(pair: Pair, preset: str, seed: int, settings: Settings) -> dict:
    """The same of a model with the mel listener. Its ranges are fixed, so cold is no case of its own."""
    sound = load_preset(preset)
    trained = train_looks(pair.trained, sound, replace(settings, seed=seed))
    model = LooksModel(trained.mapping).eval()
    unseen = measure_as_played(model, pair.samples, pair.played, synth=sound.instrument(), listener="mel")
    ratio = round(unseen.error_ratio, 4)
    return {
        "pair": pair.name,
        "preset": preset,
        "seed": seed,
        "unseen": ratio,
        "unseen_cold": ratio,
        "seconds": round(trained.seconds, 1),
        **dict(zip(TIMBRE_FEATURES, unseen.ratio_per_feature.round(3).tolist(), strict=True)),
    }


def append(results: Path, label: str, rows: list[dict]) -> None:
    is_new = not results.exists()
    with results.open("a", newline="") as file:
        writer = csv.DictWriter(file, ["settings", *rows[0]])
        if is_new:
            writer.writeheader()
        writer.writerows({"settings": label, **row} for row in rows)


def changed(changes: list[str]) -> Settings:
    """The default settings for a take that another tests, with ``name=value`` changes, JSON or plain words."""
    settings = Settings(split="whole")
    for name, _, value in (change.partition("=") for change in changes):
        old = getattr(settings, name)
        settings = replace(settings, **{name: value if isinstance(old, str) else json.loads(value)})
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--role", choices=("choose", "report"), default="choose")
    parser.add_argument("--change", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--presets", nargs="*", default=["snare-1", "snare-3"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[20, 21, 22])
    parser.add_argument("--pairs", nargs="*", help="some of them; all by default")
    asked = parser.parse_args()
    settings, began = changed(asked.change), time.perf_counter()
    for pair in read_pairs(asked.role):
        if asked.pairs and pair.name not in asked.pairs:
            continue
        rows = measure(pair, asked.presets, asked.seeds, settings)
        append(asked.results, " ".join(asked.change) or "default", rows)
        unseen = np.array([row["unseen"] for row in rows])
        print(
            f"{pair.name} {unseen.mean():.3f} {unseen.tolist()} {time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
