"""What is timed against what, on the same hits: the paper's step, ours at the published settings, ours as it is."""

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from timbrekit.features import TimbreFeatures
from timbrekit.mapping import Mapping
from timbrekit.presets import load_preset
from timbrekit.recording import Recording
from timbrekit.recording.hits import Hits
from timbrekit.training.fast.learner import Batch
from timbrekit.training.fast.run import TrainingRun, Variant
from timbrekit.training.fast.small_network import one_thread
from timbrekit.training.published import PUBLISHED, published_preset, published_windows
from timbrekit.training.settings import Settings
from timbrekit.training.split import split_at_random
from timbrekit.training.take import Take, gain_to_nominal, make_take, measure
from timbrekit.training.train import shuffled_batches

from .paper_step import PaperTraining

PAPER, PUBLISHED_HERE, OURS = "paper-style step", "timbrekit, published settings", "timbrekit, default"
OURS_THERE = "timbrekit, led by the published features"
CONTENDERS = (PAPER, PUBLISHED_HERE, OURS)
PRESET = "snare-1"
SEED = 0


@dataclass(frozen=True)
class Material:
    """A recording's hits, measured both ways against the same reference hit, some of them held out of everything."""

    gated: Take  # all hits, as timbrekit measures them
    published: Take  # all hits, by the published features and windows
    practice: np.ndarray  # indices of the hits that training is given (it holds some of them out again)
    held_out: np.ndarray  # indices of those that nothing is trained on

    def for_training(self, which: str) -> Take:
        """The practice hits of ``gated`` or ``published``."""
        return part_of(getattr(self, which), self.practice)


def make_material(recording: str | Path | Recording) -> Material:
    """Find and measure the hits of a recording."""
    from timbrekit.recording.prepare import (
        prepare,  # brings all of the kit; the measuring processes do without
    )

    prepared = prepare(recording)
    gated = make_take(prepared.hits)
    published = _published_take(gated, prepared.recording.samples)
    held_out = split_at_random(gated.timbre[:, 0], gated.reference, SEED).test
    practice = np.setdiff1d(np.arange(len(gated)), held_out)
    return Material(without_sound(gated), without_sound(published), practice, held_out)


def _published_take(gated: Take, samples: np.ndarray) -> Take:
    """As ``published_windows``, with the reference hit that ``gated`` has: both differ from the same hit."""
    take = published_windows(gated.hits, samples)
    features = TimbreFeatures(gated.hits.sample_rate, gated=False)
    segments = torch.from_numpy(gated.hits.segments)
    reference = segments[gated.reference : gated.reference + 1]
    gain = gain_to_nominal(float(measure(features, reference)[0, 0]))
    return replace(
        take,
        timbre=measure(features, segments * gain),
        reference_timbre=measure(features, reference * gain).expand(len(take), -1).clone(),
        lengths=gated.lengths,
        reference=gated.reference,
    )


def without_sound(take: Take) -> Take:
    """Training looks at numbers only; the recording would come on top of every memory figure alike."""
    hits = take.hits
    return replace(
        take, hits=replace(hits, surroundings=hits.surroundings[:, :0], segments=hits.segments[:, :0])
    )


def part_of(take: Take, indices: np.ndarray) -> Take:
    """The take of some hits only, its reference hit among them."""
    index = torch.from_numpy(indices)
    names = ("detections", "triggers", "surroundings", "segments", "lengths")
    hits: Hits = replace(take.hits, **{name: getattr(take.hits, name)[indices] for name in names})
    return Take(
        hits=hits,
        shifted_onset=take.shifted_onset[:, index],
        timbre=take.timbre[index],
        reference_timbre=take.reference_timbre[index],
        lengths=take.lengths[index],
        reference=int(np.flatnonzero(indices == take.reference)[0]),
        gain=take.gain,
    )


def save_material(material: Material, path: Path) -> None:
    path.write_bytes(pickle.dumps(material))


def load_material(path: str | Path) -> Material:
    return pickle.loads(Path(path).read_bytes())


def paper_training(take: Take, device: str) -> PaperTraining:
    """The paper-style training of a published take."""
    preset = published_preset(load_preset(PRESET))
    return PaperTraining(
        inputs=take.inputs,
        centre=take.inputs[take.reference],
        intended=take.intended,
        preset=torch.from_numpy(preset.normalized()),
        damping=torch.from_numpy(preset.damping_vector()),
        sample_rate=take.hits.sample_rate,
        learning_rate=PUBLISHED.learning_rate,
        seed=SEED,
        device=device,
    )


class KitTraining:
    """The step of ``timbrekit.training.fast.train`` by a recipe.

    Left out, as in the paper-style training: the learning rate's schedule and the validation after each epoch, and of
    ours the epoch's drawing of inputs. Where a whole training is timed, all of them are in it.
    """

    def __init__(self, take: Take, published: bool, device: str, threads: int = 1):
        settings = replace(PUBLISHED if published else Settings(), device=device)
        preset = published_preset(load_preset(PRESET)) if published else load_preset(PRESET)
        self.run = TrainingRun(
            take, [Variant(preset, SEED)], settings, second_process=device == "cpu" and threads > 1
        )
        self.run.renderer.worker.wait()
        self.rates = torch.tensor([settings.learning_rate])
        self.take, self.settings = take, settings

    def in_order(self, hits: np.ndarray) -> np.ndarray:
        """Hits as an epoch takes them."""
        return torch.cat(shuffled_batches(hits, self.take, self.settings, self.run.generators[0])).numpy()

    def loss(self, hits: np.ndarray) -> Tensor:
        """Of a batch, by the numbers of its hits."""
        with one_thread():  # as the whole of a training is; a second one would wait for work all the time
            return self.run.learner.losses(self._batch(hits))[0]

    def step(self, hits: np.ndarray) -> None:
        """Loss, backward and one step of Adam."""
        with one_thread():
            self.run.learner.step(self._batch(hits), self.rates)

    def _batch(self, hits: np.ndarray) -> Batch:
        return self.run.batch([self.run.take.inputs], torch.from_numpy(hits)[None], self.run.generators)


def make_contender(
    name: str, material: Material, device: str, threads: int = 1
) -> PaperTraining | KitTraining:
    """A fresh training of one of ``CONTENDERS`` on the practice hits."""
    if name == PAPER:
        return paper_training(material.for_training("published"), device)
    if name == PUBLISHED_HERE:
        return KitTraining(material.for_training("published"), True, device, threads)
    return KitTraining(material.for_training("gated"), False, device, threads)


def run_steps(training: PaperTraining | KitTraining, hits: np.ndarray, batch_size: int) -> None:
    """One epoch: a step for every batch."""
    if isinstance(training, KitTraining):
        hits = training.in_order(hits)
    for start in range(0, len(hits), batch_size):
        training.step(hits[start : start + batch_size])


def train_paper_style(take: Take, epochs: int, device: str, progress: Callable[[int, Mapping], None]) -> None:
    """The published recipe in the paper-style step, to its end (``--full``).

    The rate is halved on a plateau of the validation loss, the best epoch by validation is kept.

    Args:
        progress: called after each epoch with its number and the best mapping so far.
    """
    training = paper_training(take, device)
    split = split_at_random(take.timbre[:, 0], take.reference, SEED)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(training.optimizer, factor=0.5, patience=20)
    generator = torch.Generator().manual_seed(SEED)
    validation = split.validation if len(split.validation) else split.train
    best, kept = math.inf, training.mapping
    for number in range(1, epochs + 1):
        shuffled = split.train[torch.randperm(len(split.train), generator=generator).numpy()]
        run_steps(training, shuffled, PUBLISHED.batch_size)
        with torch.no_grad():
            judged = float(training.loss(validation))
        schedule.step(judged)
        if judged < best:
            best = judged
            kept = copy.deepcopy(training.mapping).cpu()
        progress(number, kept)
