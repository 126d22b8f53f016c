"""Measure one row of a table on one drum: train, play, compare."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timbrekit.experiment.rows import DIRECT, INFORMATION, LOUDNESS, UNCHANGED, Row, World
from timbrekit.export.metadata import build_metadata
from timbrekit.export.torchdrum import write_model
from timbrekit.features import ONSET_WINDOW
from timbrekit.plugin.as_played import Followed, measure_as_played
from timbrekit.plugin.primer import make_primer
from timbrekit.plugin.rehearse import Network
from timbrekit.presets import Preset
from timbrekit.recording import read_recording
from timbrekit.recording.hits import Hits, cut_windows
from timbrekit.recording.prepare import Prepared
from timbrekit.results.report import measure_held_out
from timbrekit.results.situations import in_torchdrum
from timbrekit.results.unseen import OtherTake, match_played, other_take, velocity_model
from timbrekit.training.bounds import optimize_directly, predict_from_onsets
from timbrekit.training.fast.train import Variant, train_many
from timbrekit.training.published import SEARCH, as_exported, published_preset, published_windows
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings, SplitName
from timbrekit.training.split import Split, split_hits
from timbrekit.training.take import Take, make_take
from timbrekit.training.train import Trained


@dataclass(frozen=True)
class Measured(Followed):
    """How one model, or what stands in for one, followed some hits in one situation."""

    situation: str  # "held out", "second pass", "after primer", "cold", "unseen" or "bound"
    test_hits: int  # that it was measured on, of which the n may be several renders each
    epochs: int = 0  # of training, or iterations of the search
    seconds: float = 0.0  # of training, a share of what was trained together
    heard: NDArray[np.float32] | None = None  # (n,) each hit's onset loudness as the mapping gets it
    first_hits_error_ratio: float | None = None  # of whole takes
    image: float | None = None  # correlation of distances in the auditory image, of unseen playing

    @property
    def errors(self) -> NDArray[np.float32]:
        """``(n, 7)`` absolute errors, in the features' units."""
        return np.abs(self.played - self.intended)


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
            self._takes[window] = self.against(None, window)
        return self._takes[window]

    def against(self, trained_on: Take | None, window: int) -> Take:
        """The same as ``make_take(..., against=trained_on)`` has it, made anew."""
        hits, features = self._hits, self.world.features(self._hits.sample_rate)
        windows = None if window == ONSET_WINDOW else cut_windows(self._samples, hits.triggers, window)
        return make_take(hits, features, windows, trained_on)


def measure_row(
    source: Source,
    row: Row,
    variants: Sequence[Variant],
    epochs: int | None = None,
    iterations: int = SEARCH["iterations"],
    device: str = "auto",
    split: SplitName = "random",
    test: Source | None = None,
) -> list[Measured]:
    """Train a row's models of the paper's table on one drum, all together, and measure them on held-out hits.

    Args:
        source: the drum.
        row: of the table.
        variants: presets and seeds; a seed decides which hits are held out, the same ones for every row.
        epochs: of training; as each recipe has it by default.
        iterations: of the direct search.
        device: see ``timbrekit.training.settings.make_settings``.
        split: how hits are held out; at random, as published.
        test: another take of the drum, all of whose hits they are measured on instead.

    Raises:
        KeyboardInterrupt: a training run was ended early: half-trained models are not for a table.
        TrainingError: as ``timbrekit.training.fast.train.train_many``.
    """
    world, take = source.world, source.take(row.window)
    tested = test.against(take, row.window) if test else take
    every, measured = np.arange(len(tested)), []
    if row.recipe is None:
        search = {**SEARCH, "iterations": iterations, "gated": world.gated, "fresh_noise": world.gated}
        for variant in variants:
            hits = every if test else split_hits(take, split, variant.seed).test
            measured.append(_without_network(tested, row, variant, hits, device, search))
        return measured
    features, sounds = world.features(take.hits.sample_rate), variants
    if row.as_published:
        sounds = [replace(variant, preset=published_preset(variant.preset)) for variant in variants]
    all_trained, seconds = _train(take, sounds, world.settings(row, epochs, device, split))
    for variant, trained in zip(variants, all_trained, strict=True):
        if test:
            trained = replace(trained, split=Split(every[:0], every[:0], every))
        followed = measure_held_out(tested, trained, variant.preset, features, world.gated)
        hits, history = trained.split.test, len(trained.history)
        heard = np.tile(tested.inputs[hits, 0].numpy(), len(followed.played) // len(hits))
        measured.append(
            Measured(followed.played, followed.intended, "held out", len(hits), history, seconds, heard)
        )
    return measured


def _train(take: Take, variants: Sequence[Variant], settings: Settings) -> tuple[list[Trained], float]:
    """The trained models, and the seconds that each took."""
    began = time.perf_counter()
    all_trained = train_many(take, variants, settings)
    if any(trained.interrupted for trained in all_trained):
        raise KeyboardInterrupt
    return all_trained, (time.perf_counter() - began) / len(variants)


def _without_network(
    take: Take, row: Row, variant: Variant, hits: NDArray, device: str, search: dict[str, Any]
) -> Measured:
    intended, heard = take.intended[hits].numpy(), take.inputs[hits, 0].numpy()
    if row == UNCHANGED:
        return Measured(np.zeros_like(intended), intended, "held out", len(hits), heard=heard)
    if row != DIRECT:
        raise ValueError(f"{row.key} has neither a network nor a search")
    device, began = make_settings(device=device).device, time.perf_counter()
    played = optimize_directly(take, variant.preset, hits, seed=variant.seed, device=device, **search)
    seconds = time.perf_counter() - began
    return Measured(played, intended, "held out", len(hits), search["iterations"], seconds, heard)


def measure_played(
    prepared: Prepared, row: Row, variant: Variant, settings: Settings | None, test: str | None = None
) -> tuple[list[Measured], bytes]:
    """Train a row's model of a whole take, and play the take with it as the plug-in does.

    Args:
        prepared: the take.
        row: a recipe, or a bound of all hits.
        variant: preset and seed.
        settings: of the recipe; None for a bound or yardstick.
        test: another recording of the drum, for "unseen"; the end of the take by default.

    Returns:
        The situations, and the model file's content: none of a bound or yardstick.

    Raises:
        KeyboardInterrupt, TrainingError: as :func:`measure_row`.
    """
    hits, samples, preset = prepared.hits, prepared.recording.samples, variant.preset
    take = make_take(hits)
    other = None if test is None else other_take(read_recording(test, hits.sample_rate), take)
    if row == LOUDNESS:
        split = split_hits(take, "contiguous" if other is None else "whole")
        module = velocity_model(take, preset, split.train, variant.seed)
        return _situations(module, preset, take, samples, split, other), b""
    if settings is None:
        informed, every = row == INFORMATION, np.arange(len(take))
        reached = predict_from_onsets(take) if informed else optimize_directly(take, preset, every)
        return [Measured(reached, take.intended.numpy(), "bound", len(take))], b""
    source, sound = take, variant
    if row.recipe == "published":
        source, sound = published_windows(hits, samples), replace(variant, preset=published_preset(preset))
    [trained], seconds = _train(source, [sound], settings)
    if row.recipe == "published":
        trained = as_exported(trained)
    metadata = build_metadata(
        trained.mapping, preset, hits.sample_rate, hits.settings, take.minimum, take.maximum
    )
    with tempfile.TemporaryDirectory() as folder:
        written = write_model(trained.mapping, metadata, Path(folder) / "model.pt")
        content = written.path.read_bytes()
    held_out = measure_held_out(take, trained, preset)
    measured = [Measured(held_out.played, held_out.intended, "held out", held_out.hits)]
    measured += _situations(written.module, preset, take, samples, trained.split, other)
    return [replace(each, epochs=len(trained.history), seconds=seconds) for each in measured], content


def _situations(
    module: Network,
    preset: Preset,
    take: Take,
    samples: NDArray[np.float32],
    split: Split,
    other: OtherTake | None,
) -> list[Measured]:
    """Play the take cold, after its primer and again, and what is unseen: another take, or the held-out end."""
    synth = preset.instrument()
    primer = make_primer(samples, take.hits.sample_rate, take.hits.settings).samples
    situations = in_torchdrum(module, samples, take, primer, synth, elsewhere=False)
    measured = []
    for name in ("second_pass", "after_primer", "cold"):
        each, words = situations[name], name.replace("_", " ")
        first = each.first_hits_error_ratio
        measured.append(
            Measured(each.played, each.intended, words, len(each.played), first_hits_error_ratio=first)
        )
    again, ranges = situations["second_pass"], situations["cold"].rehearsal.ranges
    if other is not None:
        played = measure_as_played(module, other.samples, other.take, synth=synth, initial_ranges=ranges)
        heard, rows = other.take, np.arange(len(played.played))
    else:
        played, heard, rows = again, take, again.among(split.test)
    if not len(rows):
        return measured
    match = match_played(played, heard, rows)
    unseen = Measured(played.played[rows], played.intended[rows], "unseen", len(rows))
    return [*measured, replace(unseen, image=match and match.correlation)]
