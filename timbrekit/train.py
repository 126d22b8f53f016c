"""Train a mapping on one take, so that the synthesiser follows the player's changes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from timbrekit.errors import TrainingError
from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.loss import feature_difference_loss, spread_weights
from timbrekit.mapping import Mapping, ModelName, build_network
from timbrekit.presets import Preset
from timbrekit.synth import Snare808, white_noise
from timbrekit.take import Take, gain_to_nominal

HELD_OUT_SHARE = 0.1  # for validation, and again for test
NOISE_PERIOD = 36_864  # samples, 2^12 * 9: a fast FFT, a little longer than what the features look at
PRESET_RENDERS = 8  # noises and phases over which the unmodulated preset's features are averaged


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are what was found to play best (docs/training.md has the figures)."""

    model: ModelName = "mlp"
    epochs: int = 100
    batch_size: int = 16  # hits; larger batches fall out of the processor's cache and are slower per hit
    learning_rate: float = 5e-3
    patience: int = 20  # epochs without improvement after which the learning rate is halved
    seed: int = 0
    device: str = "cpu"
    balanced: bool = True  # weight each feature by 1 / its spread over the take
    growing_share: float = 0.5  # share of inputs heard with ranges that are still growing
    fresh_noise: bool = True  # new noise in every batch and a random phase at every hit, as in the plug-in
    centred: bool = False  # subtract the reference hit's inputs, as the published code does
    hop: int = 2048  # of the features while training; results are always measured at 512


@dataclass(frozen=True)
class Split:
    """Indices of the hits that are trained on, that choose the epoch, and that are held out to the end."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Epoch:
    """What the progress callback is told after each epoch."""

    number: int  # 1 …
    of: int
    train_loss: float
    validation_loss: float
    seconds_left: float


@dataclass(frozen=True)
class Trained:
    """The best mapping of a training run, and how it came about."""

    mapping: Mapping
    split: Split
    history: list[Epoch]
    seconds: float
    interrupted: bool
    settings: Settings = field(repr=False)


def split_hits(loudness: Tensor, reference: int, seed: int = 0) -> Split:
    """Hold out hits the published way: sorted by loudness, cut into chunks, one random hit of each.

    The reference hit is never held out. Below 3 hits per share nothing is held out that training needs:
    with fewer than 5 hits there is no test, with fewer than 3 no validation either.
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


class Player:
    """The synthesiser with its preset, measured as the recording is: renders and takes feature differences."""

    def __init__(self, preset: Preset, take: Take, settings: Settings, features: TimbreFeatures):
        self.take, self.settings, self.features = take, settings, features
        self.device = torch.device(settings.device)
        self.preset = torch.from_numpy(preset.normalized()).to(self.device)
        self.synth = Snare808(take.hits.sample_rate, TIMBRE_SAMPLES)
        self.lengths = take.lengths.to(self.device)
        generator = torch.Generator().manual_seed(settings.seed)
        renders = PRESET_RENDERS if settings.fresh_noise else 1
        draws = [self.draw(1, generator) for _ in range(renders)]
        self.gain = 1.0
        with torch.no_grad():
            sounds = torch.cat(
                [self.synth.render(self.preset[None], *draw, filter_running=True) for draw in draws]
            )
            self.gain = gain_to_nominal(float(features(sounds)[:, 0].mean()))
            # Features depend on where the next hit cuts a sound, so the unmodulated preset has its own per hit.
            self.unmodulated = torch.stack(
                [
                    features((sounds * self.gain), length.expand(renders)).mean(0)
                    for length in self.lengths.clamp_max(TIMBRE_SAMPLES)
                ]
            )

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noise ``(samples,)`` and oscillator phases ``(count, 2)`` in cycles: drawn, or fixed as published."""
        if not self.settings.fresh_noise:
            return white_noise((NOISE_PERIOD,), 0).to(self.device), torch.zeros(count, 2, device=self.device)
        noise = torch.rand(NOISE_PERIOD, generator=generator) * 2 - 1
        return noise.to(self.device), torch.rand(count, 2, generator=generator).to(self.device)

    def differences(self, parameters: Tensor, indices: Tensor, generator: torch.Generator) -> Tensor:
        """``(batch, 7)``: how the synthesiser at ``parameters`` ``(batch, 14)`` differs from its preset."""
        draw = self.draw(len(parameters), generator)
        sounds = self.synth.render(parameters, *draw, filter_running=True) * self.gain
        return self.features(sounds, self.lengths[indices]) - self.unmodulated[indices]


def train(
    take: Take,
    preset: Preset,
    settings: Settings | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a mapping from what the plug-in hears of each hit to modulations of ``preset``.

    Ctrl-C (KeyboardInterrupt), or a callback that raises it, ends training early and keeps the best epoch so
    far; before the first epoch has ended it is passed on.

    Args:
        take: the recording's hits, measured.
        preset: the sound to modulate.
        settings: how.
        progress: called after each epoch.

    Raises:
        TrainingError: the loss is not finite (never seen; it would mean a broken preset or feature).
    """
    settings = settings or Settings()
    device = torch.device(settings.device)
    split = split_hits(take.timbre[:, 0], take.reference, settings.seed)
    thin = TimbreFeatures(take.hits.sample_rate, take_gated(settings), settings.hop)
    player = Player(preset, take, settings, thin)
    intended = take.intended.to(device)
    weights = spread_weights(intended) if settings.balanced else None
    mapping = Mapping(
        build_network(settings.model, settings.seed),
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
        take.inputs[take.reference] if settings.centred else None,
    ).to(device)
    optimizer = torch.optim.Adam(mapping.parameters(), settings.learning_rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=settings.patience)
    generator = torch.Generator().manual_seed(settings.seed)

    def loss_of(indices: np.ndarray, inputs: Tensor, source: torch.Generator) -> Tensor:
        index = torch.from_numpy(indices).to(device)
        played = player.differences(mapping.parameters_for(inputs.to(device)), index, source)
        return feature_difference_loss(played, intended[index], weights)

    def validation_loss() -> float:
        chosen = split.validation if len(split.validation) else split.train
        source = torch.Generator().manual_seed(settings.seed + 1)  # the same noises every time
        with torch.no_grad():
            losses = [
                loss_of(part, inputs[part], source) * len(part)
                for inputs in validation_inputs
                for part in _batches(chosen, settings.batch_size)
            ]
        return float(sum(losses) / (len(chosen) * len(validation_inputs)))

    growing = take.growing_inputs
    validation_inputs = [take.inputs]
    if settings.growing_share:
        validation_inputs.append(
            _draw_inputs(take, growing, 1.0, torch.Generator().manual_seed(settings.seed))
        )
    history: list[Epoch] = []
    best_loss, best_state, interrupted = math.inf, None, False
    began = time.perf_counter()
    try:
        for number in range(1, settings.epochs + 1):
            inputs = _draw_inputs(take, growing, settings.growing_share, generator)
            shuffled = split.train[torch.randperm(len(split.train), generator=generator).numpy()]
            total = 0.0
            for part in _batches(shuffled, settings.batch_size):
                loss = loss_of(part, inputs[part], generator)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(part)
            checked = validation_loss()
            if not math.isfinite(checked) or not math.isfinite(total):
                raise TrainingError(
                    f"Training with the preset {preset.name} gave a loss that is not a number."
                )
            scheduler.step(checked)
            if checked < best_loss:
                best_loss = checked
                best_state = {key: value.clone() for key, value in mapping.state_dict().items()}
            spent = time.perf_counter() - began
            left = spent / number * (settings.epochs - number)
            history.append(Epoch(number, settings.epochs, total / len(split.train), checked, left))
            if progress:
                progress(history[-1])
    except KeyboardInterrupt:
        if best_state is None:
            raise
        interrupted = True
    mapping.load_state_dict(best_state)
    mapping = mapping.cpu().eval().requires_grad_(False)
    return Trained(mapping, split, history, time.perf_counter() - began, interrupted, settings)


def take_gated(settings: Settings) -> bool:
    return True


def _draw_inputs(take: Take, growing: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """``(n, 3)`` inputs of one epoch: a share of them as heard by a plug-in opened some hits earlier.

    How many hits earlier is drawn log-uniformly: the ranges grow most over the first few.
    """
    count = len(take)
    earlier = torch.exp(torch.rand(count, generator=generator) * math.log(count + 1)).long() - 1
    starts = (torch.arange(count) - earlier).clamp_min(0)
    cold = torch.rand(count, generator=generator) < share
    return torch.where(cold[:, None], growing[starts, torch.arange(count)], take.inputs)


def _batches(indices: np.ndarray, size: int) -> list[np.ndarray]:
    return [indices[i : i + size] for i in range(0, len(indices), size)]
