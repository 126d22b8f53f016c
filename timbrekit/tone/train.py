"""Train an instrument on a recording: a loop that can be read, stopped and taken up again."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from timbrekit import __version__
from timbrekit.errors import TrainingError
from timbrekit.tone.instrument import Instrument
from timbrekit.tone.loss import SCALES, loudness_loss, spectral_loss
from timbrekit.tone.pitch import CENTRE, HOP, PITCHED, RATE, Heard, Ranges, hear, listening_tables, ranges_of
from timbrekit.tone.synth import white_noise
from timbrekit.training.checkpoint import load_checkpoint, save_checkpoint

VALIDATION = (0.25, 0.30)  # of the recording's length: decides which weights are kept
TEST = (0.65, 0.75)  # never seen in training, nor in choosing
BREATH_HOPS = RATE // HOP  # a second, within which a part's border moves to the softest moment


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of a training run."""

    steps: int = 2000
    batch: int = 4  # crops a step
    hops: int = 160  # of a crop that count, 0.85 s
    warm_up: int = 48  # hops before them, that fill the GRU's memory and the room
    learning_rate: float = 3e-3  # falls to a hundredth along half a cosine
    gradient_norm: float = 1.0  # to which gradients are clipped
    validate_every: int = 100  # steps
    loudness_weight: float = 0.1  # of the distance in dB, beside the spectral loss
    # A room fits itself to the few pitches it hears, if it may: this times its energy is added to the loss.
    room_penalty: float = 1.0
    scales_a_step: int = 3  # of the loss's six, drawn anew each step: half the work, the same loss on average
    seed: int = 0
    device: str = "cpu"  # or "cuda": what is drawn at random is drawn on the CPU all the same


@dataclass(frozen=True, eq=False)
class Dataset:
    """A recording as training sees it."""

    samples: Tensor  # (hops * 256,) what each hop's controls should sound like: the recording, 1024 later
    heard: Heard
    # "train", "validation", "test": first and last+1 hop of each stretch
    parts: dict[str, list[tuple[int, int]]]
    ranges: Ranges

    def to(self, device: str) -> "Dataset":
        return replace(self, samples=self.samples.to(device), heard=self.heard.to(device))


@dataclass(frozen=True)
class Progress:
    """Where training is."""

    number: int  # steps done
    of: int
    train_loss: float  # mean of the steps since the last one reported
    validation_loss: float
    seconds_left: float


@dataclass(frozen=True, eq=False)
class Trained:
    """An instrument with the weights that were best in validation, and how they came about."""

    instrument: Instrument
    history: list[Progress]
    interrupted: bool


def prepare(samples: np.ndarray, heard: Heard | None = None) -> Dataset:
    """Listen to a recording and divide it by time.

    Args:
        samples: ``(samples,)`` at 48 kHz.
        heard: of those samples, where it is known already.

    Raises:
        TrainingError: there is nothing pitched in it, or it is shorter than 20 s.
    """
    heard = heard or hear(samples)
    seconds = len(samples) / RATE
    if seconds < 20:
        raise TrainingError(
            f"The recording is {seconds:.1f} s long; 20 s is the least, and five minutes are good."
        )
    pitched = heard.voiced > PITCHED
    if int(pitched.sum()) < 5 * RATE // HOP:
        raise TrainingError(
            f"Only {int(pitched.sum()) * HOP / RATE:.1f} s of the recording have a pitch; 5 s is the least. Record one "
            "instrument that plays one note at a time."
        )
    late = np.concatenate([np.zeros(CENTRE, np.float32), samples[: len(heard) * HOP]])[: len(heard) * HOP]
    return Dataset(torch.from_numpy(late), heard, divide(heard), ranges_of(heard))


def divide(heard: Heard) -> dict[str, list[tuple[int, int]]]:
    """Contiguous parts for training, validation and test; their borders lie where it is softest nearby."""

    def border(share: float) -> int:
        first = max(round(share * len(heard)) - BREATH_HOPS, 0)
        return first + int(heard.loudness[first : first + 2 * BREATH_HOPS].argmin())

    a, b, c, d = (border(share) for share in (*VALIDATION, *TEST))
    return {"train": [(0, a), (b, c), (d, len(heard))], "validation": [(a, b)], "test": [(c, d)]}


def train(
    data: Dataset,
    settings: Settings | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    unfinished: Path | None = None,
) -> Trained:
    """Train an instrument. Ctrl-C ends it early and keeps what was best.

    Args:
        data: of :func:`prepare`.
        settings: hyperparameters.
        report: called after each validation.
        unfinished: file that holds the run's state after each validation; a run of the same data and settings goes
            on from it. It is removed at the end.

    Raises:
        TrainingError: the loss became infinite or not a number.
        OutputError: ``unfinished`` cannot be written.
    """
    settings = settings or Settings()
    torch.manual_seed(settings.seed)
    instrument = Instrument(data.ranges).to(settings.device)
    optimiser = torch.optim.Adam(instrument.parameters(), settings.learning_rate)
    draw = torch.Generator().manual_seed(settings.seed)
    name = fingerprint(data, settings)
    data = data.to(settings.device)
    step, best, best_loss, history = 0, instrument.state_dict(), math.inf, []
    if saved := load_checkpoint(unfinished, name):
        instrument.load_state_dict(saved["weights"])
        optimiser.load_state_dict(saved["optimiser"])
        draw.set_state(saved["draw"])
        step, best, best_loss = saved["step"], saved["best"], saved["best_loss"]
        history = [Progress(**entry) for entry in saved["history"]]
    interrupted, losses, began, first = False, [], time.perf_counter(), step
    try:
        while step < settings.steps:
            share = 0.5 + 0.5 * math.cos(math.pi * step / settings.steps)
            optimiser.param_groups[0]["lr"] = settings.learning_rate * (0.01 + 0.99 * share)
            losses.append(train_step(instrument, optimiser, data, settings, draw))
            step += 1
            if step % settings.validate_every and step < settings.steps:
                continue
            loss = part_loss(instrument, data, "validation")
            train_loss = float(sum(losses)) / len(losses)
            if not math.isfinite(loss + train_loss):
                raise TrainingError("Training ran away: its loss is not a number. Try another --seed.")
            if loss < best_loss:
                best_loss, best = loss, {key: value.clone() for key, value in instrument.state_dict().items()}
            left = (time.perf_counter() - began) / (step - first) * (settings.steps - step)
            history.append(Progress(step, settings.steps, train_loss, loss, left))
            losses = []
            if unfinished:
                state = {"weights": instrument.state_dict(), "optimiser": optimiser.state_dict()}
                state |= {"draw": draw.get_state(), "step": step, "best": best, "best_loss": best_loss}
                save_checkpoint(unfinished, name, state | {"history": [asdict(entry) for entry in history]})
            report(history[-1])
    except KeyboardInterrupt:
        interrupted = True
    instrument.load_state_dict(best)
    if unfinished and not interrupted:
        unfinished.unlink(missing_ok=True)
    return Trained(instrument.cpu().eval(), history, interrupted)


def train_step(
    instrument: Instrument,
    optimiser: torch.optim.Optimizer,
    data: Dataset,
    settings: Settings,
    draw: torch.Generator,
) -> Tensor:
    """One step of gradient descent on random crops. Returns the spectral loss, scaled to all resolutions."""
    length = settings.warm_up + settings.hops
    starts = draw_starts(data.parts["train"], length, settings.batch, draw)
    white = white_noise(settings.batch, length, draw)
    chosen = torch.randperm(len(SCALES), generator=draw)[: settings.scales_a_step].tolist()
    loss, beside = crop_losses(instrument, data, settings, starts, white, tuple(SCALES[i] for i in chosen))
    optimiser.zero_grad()
    (loss + beside).backward()
    torch.nn.utils.clip_grad_norm_(instrument.parameters(), settings.gradient_norm)
    optimiser.step()
    return loss.detach()


def crop_losses(
    instrument: Instrument,
    data: Dataset,
    settings: Settings,
    starts: Tensor,
    white: Tensor,
    scales: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """Losses over the crops that begin at hops ``starts``: the spectral one, and what is added to it."""
    device, length = data.samples.device, settings.warm_up + settings.hops
    places = (starts.unsqueeze(1) + torch.arange(length)).to(device)
    controls = (values[places] for values in (data.heard.pitch, data.heard.voiced, data.heard.loudness))
    sound = instrument(*controls, white.to(device))[:, settings.warm_up * HOP :]
    target = data.samples.unflatten(0, [-1, HOP])[places[:, settings.warm_up :]].flatten(1)
    loss = spectral_loss(sound, target, scales) * (len(SCALES) / len(scales))
    louder = loudness_loss(sound, target, listening_tables())
    return loss, settings.loudness_weight * louder + settings.room_penalty * instrument.room_energy()


def draw_starts(stretches: list[tuple[int, int]], length: int, count: int, draw: torch.Generator) -> Tensor:
    """First hops of ``count`` crops, each place in the stretches as likely as any other."""
    rooms = [max(end - start - length + 1, 0) for start, end in stretches]
    if not sum(rooms):
        raise TrainingError(
            f"The recording is too short: no stretch of {length * HOP / RATE:.1f} s is left to train on."
        )
    picked = torch.multinomial(torch.tensor(rooms, dtype=torch.float64), count, True, generator=draw)
    shares = torch.rand(count, dtype=torch.float64, generator=draw)
    return torch.tensor(
        [
            stretches[i][0] + int(share * rooms[i])
            for i, share in zip(picked.tolist(), shares.tolist(), strict=True)
        ]
    )


def part_loss(instrument: Instrument, data: Dataset, part: str) -> float:
    """Spectral loss over the stretches of a part, weighted by their length."""
    total = hops = 0.0
    for start, end in data.parts[part]:
        sound = instrument.play(data.heard.part(start, end))
        target = data.samples[start * HOP : end * HOP]
        total += (end - start) * float(spectral_loss(sound[None], target[None]))
        hops += end - start
    return total / hops


def fingerprint(data: Dataset, settings: Settings) -> str:
    """Equal for runs that give the same result: same recording, settings and versions."""
    digest = hashlib.sha256(data.samples.numpy().tobytes())
    digest.update(repr((asdict(settings), __version__, torch.__version__)).encode())
    return digest.hexdigest()
