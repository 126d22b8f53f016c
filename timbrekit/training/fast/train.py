"""Train mappings on one take, so that the synthesiser follows the player's changes."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from timbrekit.errors import GpuError, first_line
from timbrekit.presets import Preset
from timbrekit.training.checkpoint import goes_on, load_checkpoint, save_checkpoint
from timbrekit.training.fast.run import TrainingRun, Variant
from timbrekit.training.fast.small_network import one_thread
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take
from timbrekit.training.train import Epoch, Trained

OF_A_GPU = re.compile("cuda|cublas|cufft|nvrtc|nvidia", re.IGNORECASE)  # in torch's words where one fails


def train(
    take: Take,
    preset: Preset,
    settings: Settings | None = None,
    progress: Callable[[Epoch], None] | None = None,
    checkpoint: str | Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Trained:
    """As ``timbrekit.training.train.train``, faster, and able to go on where it was cut off.

    Args:
        checkpoint: file that the run's state is kept in after each epoch. Where it holds the state of this very run,
            training goes on from there, to the same result as if it had never stopped. It stays when training ends:
            whoever has put the result in a safe place removes it.
        say: told in a sentence where training goes on from a checkpoint.

    Raises:
        TrainingError: as there.
        GpuError: training on a GPU failed.
        OutputError: the checkpoint cannot be written.
    """
    settings = settings or Settings()
    return train_many(take, [Variant(preset, settings.seed)], settings, progress, checkpoint, say)[0]


def train_many(
    take: Take,
    variants: Sequence[Variant],
    settings: Settings | None = None,
    progress: Callable[[Epoch], None] | None = None,
    checkpoint: str | Path | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Trained]:
    """Train a model for each variant as one problem: their weights stacked, on a GPU their hits rendered together.

    Each comes out as if trained alone, up to rounding. Arguments and errors as in :func:`train`; the variants' seeds
    stand for that of the settings.
    """
    settings = settings or Settings()
    began = time.perf_counter()
    second_process = settings.device == "cpu" and torch.get_num_threads() > 1
    try:
        with one_thread(), TrainingRun(take, variants, settings, second_process) as run:
            interrupted = _go_through(run, progress, checkpoint, say)
            return run.results(time.perf_counter() - began, interrupted)
    except (RuntimeError, AssertionError) as error:
        if settings.device == "cpu" or not OF_A_GPU.search(str(error)):
            raise
        raise GpuError(
            f"Training on the GPU failed ({first_line(error)}). The CPU can do the same (--device cpu)."
        ) from error


def _go_through(
    run: TrainingRun,
    progress: Callable[[Epoch], None] | None,
    checkpoint: str | Path | None,
    say: Callable[[str], None] | None,
) -> bool:
    """Warm start and all epochs, or those that a checkpoint leaves. Whether it was ended early."""
    began = time.perf_counter()
    resumed = load_checkpoint(checkpoint, run.fingerprint)
    if resumed:
        run.load_state(resumed)
        goes_on(say, len(run.history), run.epochs)
    elif run.settings.warm_start:
        run.warm_start()
    first = len(run.history) + 1
    try:
        for number in range(first, run.epochs + 1):
            train_losses, validation_losses = run.run_epoch()
            left = (time.perf_counter() - began) / (number - first + 1) * (run.epochs - number)
            run.keep_best(train_losses, validation_losses)
            told = Epoch(
                number, run.epochs, float(train_losses.mean()), float(validation_losses.mean()), left
            )
            run.history.append((told, train_losses, validation_losses))
            if checkpoint:
                save_checkpoint(checkpoint, run.fingerprint, run.state())
            if progress:
                progress(told)
    except KeyboardInterrupt:
        if not run.history:
            raise
        return True
    return False
