"""Measure one row of the table on one drum: train, play the held-out hits, compare."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timbrekit.experiment.rows import DIRECT, UNCHANGED, Row, World
from timbrekit.features import ONSET_WINDOW
from timbrekit.plugin.as_played import Followed, rank_correlations
from timbrekit.recording.hits import Hits, cut_windows
from timbrekit.results.report import measure_held_out
from timbrekit.training.bounds import optimize_directly
from timbrekit.training.fast.train import Variant, train_many
from timbrekit.training.published import SEARCH, published_preset
from timbrekit.training.recipes import make_settings
from timbrekit.training.take import Take, make_take, split_hits

LOUDNESS, BRIGHTNESS = 0, 2  # the transient's, among TIMBRE_FEATURES


@dataclass(frozen=True)
class Measured(Followed):
    """How one model, or what stands in for one, followed the hits held out for testing."""

    heard: NDArray[np.float32]  # (n,) each hit's onset loudness as the mapping gets it
    test_hits: int  # of which the n are several renders each
    epochs: int  # of training, or iterations of the search
    seconds: float  # of computing, a share of what was computed together

    @property
    def errors(self) -> NDArray[np.float32]:
        """``(n, 7)`` absolute errors, in the features' units."""
        return np.abs(self.played - self.intended)

    @property
    def follows(self) -> tuple[float, float, float]:
        """Rank correlations a player notices: of played loudness with the hit's, and with what is heard of it at its
        onset; of played with intended brightness. All of the transient."""
        loudness, brightness = rank_correlations(self.played, self.intended)[[LOUDNESS, BRIGHTNESS]]
        heard = rank_correlations(self.played[:, LOUDNESS, None], self.heard[:, None])[0]
        return float(loudness), float(heard), float(brightness)


class Source:
    """A drum's hits as one world measures them, with onset windows of either length.

    Args:
        hits: of the recording.
        samples: ``(samples,)`` the recording.
        world: that decides the features.
    """

    def __init__(self, hits: Hits, samples: NDArray[np.float32], world: World):
        self.world = world
        self._hits, self._samples = hits, samples
        self._takes: dict[int, Take] = {}

    def take(self, window: int = ONSET_WINDOW) -> Take:
        """The take with onset features of windows that begin where the plug-in's begin."""
        if window not in self._takes:
            hits, features = self._hits, self.world.features(self._hits.sample_rate)
            windows = None if window == ONSET_WINDOW else cut_windows(self._samples, hits.triggers, window)
            self._takes[window] = make_take(hits, features, windows)
        return self._takes[window]


def measure_row(
    source: Source,
    row: Row,
    variants: Sequence[Variant],
    epochs: int | None = None,
    iterations: int = SEARCH["iterations"],
    device: str = "auto",
) -> list[Measured]:
    """Train and measure a row's models of one drum, all together.

    Args:
        source: the drum.
        row: of the table.
        variants: presets and seeds; a seed decides which hits are held out, the same ones for every row.
        epochs: of training; as each recipe has it by default.
        iterations: of the direct search.
        device: see ``timbrekit.training.settings.make_settings``.

    Raises:
        KeyboardInterrupt: a training run was ended early: half-trained models are not for a table.
        TrainingError: as ``timbrekit.training.fast.train.train_many``.
    """
    if row.model is None:
        return [_without_network(source, row, variant, iterations, device) for variant in variants]
    world, take = source.world, source.take(row.window)
    features = world.features(take.hits.sample_rate)
    began = time.perf_counter()
    sounds = variants
    if row.as_published:
        sounds = [replace(variant, preset=published_preset(variant.preset)) for variant in variants]
    all_trained = train_many(take, sounds, world.settings(row, epochs, device))
    if any(trained.interrupted for trained in all_trained):
        raise KeyboardInterrupt
    seconds = (time.perf_counter() - began) / len(variants)
    measured = []
    for variant, trained in zip(variants, all_trained, strict=True):
        held_out = measure_held_out(take, trained, variant.preset, features, world.fresh_noise)
        test = trained.split.test
        heard = np.tile(take.inputs[test, 0].numpy(), len(held_out.played) // len(test))
        measured.append(
            Measured(held_out.played, held_out.intended, heard, len(test), len(trained.history), seconds)
        )
    return measured


def _without_network(source: Source, row: Row, variant: Variant, iterations: int, device: str) -> Measured:
    take, world = source.take(), source.world
    test = split_hits(take.timbre[:, 0], take.reference, variant.seed).test
    intended, heard = take.intended[test].numpy(), take.inputs[test, 0].numpy()
    began = time.perf_counter()
    if row == UNCHANGED:
        return Measured(np.zeros_like(intended), intended, heard, len(test), 0, 0.0)
    if row != DIRECT:
        raise ValueError(f"{row.key} has neither a network nor a search")
    search = {**SEARCH, "iterations": iterations}
    played = optimize_directly(
        take,
        variant.preset,
        test,
        seed=variant.seed,
        gated=world.gated,
        fresh_noise=world.fresh_noise,
        device=make_settings(device=device).device,
        **search,
    )
    return Measured(played, intended, heard, len(test), iterations, time.perf_counter() - began)
