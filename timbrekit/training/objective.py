"""The synthesiser with its preset, played for the hits of a take and measured as they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.training.take import Take, gain_to_nominal

if TYPE_CHECKING:
    from timbrekit.presets import Preset

PRESET_RENDERS = 8  # noises and phases over which the unmodulated preset's features are averaged


class SynthPlayer:
    """A preset of the synthesiser, measured hit by hit against a take.

    Args:
        preset: the unmodulated sound.
        take: the recording whose hits it follows: gives the sample rate and how long each hit may ring.
        features: how both are measured.
        fresh_noise: noise and phases are drawn anew for every render, as in the plug-in; False is the published
            training code: the same ones every time (``Synth.draw`` without a generator).
        seed: of the draws for the unmodulated preset.
        device: where to render.
    """

    def __init__(
        self,
        preset: "Preset",
        take: Take,
        features: TimbreFeatures,
        fresh_noise: bool = True,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ):
        self.features, self.fresh_noise = features, fresh_noise
        self.synth = preset.instrument()
        self.device = torch.device(device)
        self.sample_rate = take.hits.sample_rate
        normalized = torch.from_numpy(preset.normalized())
        self.preset = normalized.to(self.device)
        self.damping = torch.from_numpy(preset.damping_vector()).to(self.device)
        self.lengths = take.lengths.to(self.device)
        generator = torch.Generator().manual_seed(seed)
        renders = PRESET_RENDERS if fresh_noise else 1
        # On the CPU: these are many short operations, and the same numbers wherever training is.
        with torch.no_grad():
            sounds = []
            for _ in range(renders):
                draws = draw_together([self], 1, TIMBRE_SAMPLES, [generator])
                sounds.append(_render([self], normalized[None, None], draws, TIMBRE_SAMPLES))
            sounds = torch.cat(sounds)
            gain = gain_to_nominal(float(features(sounds)[:, 0].mean()))
            frames = features.analyze(sounds * gain)
            # Where the next hit cuts a sound changes its features, so the preset has its own for every length.
            rings, which = take.lengths.clamp_max(TIMBRE_SAMPLES).unique(return_inverse=True)
            each = [features.summarize(frames, ring.expand(renders)).mean(0) for ring in rings]
            self.unmodulated = torch.stack(each)[which].to(self.device)  # (n, 7)
        self.gain = torch.tensor(gain, dtype=sounds.dtype, device=self.device)

    def samples_for(self, indices: Tensor) -> int:
        """How many samples have to be rendered for hits ``indices``: all that their features look at.

        On a GPU always the same number: to look at the hits' lengths would be to wait for all that it has to do first.
        """
        if self.device.type == "cuda":
            return TIMBRE_SAMPLES
        return self.features.samples_needed(self.lengths[indices])

    def differences(self, parameters: Tensor, indices: Tensor, generator: torch.Generator) -> Tensor:
        """How the synthesiser differs from its preset.

        Args:
            parameters: ``(batch, parameters)`` normalised.
            indices: ``(batch,)`` hits of the take that they are played for. Hits of like length are measured fastest:
                nothing is rendered beyond the longest.
            generator: source of noise and phases, on the CPU.

        Returns:
            ``(batch, 7)``, differentiable.
        """
        draws = draw_for([self], indices[None], [generator])
        return differences_together([self], parameters[None], indices[None], *draws)[0]


def differences_together(
    players: Sequence[SynthPlayer],
    parameters: Tensor,
    indices: Tensor,
    draws: tuple[Tensor, ...],
    samples: int,
) -> Tensor:
    """``SynthPlayer.differences`` of several presets of one synthesiser at once, of one take, measured alike.

    Args:
        parameters: ``(players, batch, parameters)`` normalised.
        indices: ``(players, batch)`` hits of the take.
        draws, samples: from :func:`draw_for`.

    Returns:
        ``(players, batch, 7)``, differentiable.
    """
    batch, first = parameters.shape[1], players[0]
    gains = torch.stack([player.gain for player in players])[:, None].expand(-1, batch).reshape(-1, 1)
    sounds = _render(players, parameters, draws, samples) * gains
    frames = first.features.analyze(sounds, samples)
    heard = first.features.summarize(frames, first.lengths[indices.flatten()])
    unmodulated = [player.unmodulated[each] for player, each in zip(players, indices, strict=True)]
    return heard.view(len(players), batch, -1) - torch.stack(unmodulated)


def draw_for(
    players: Sequence[SynthPlayer], indices: Tensor, generators: Sequence[torch.Generator]
) -> tuple[tuple[Tensor, ...], int]:
    """What :func:`differences_together` needs for hits ``indices`` ``(players, batch)``, where the players are.

    Returns:
        The draws of :func:`draw_together`, and how many samples have to be rendered.
    """
    first = players[0]
    samples = first.samples_for(indices.flatten())
    draws = draw_together(players, indices.shape[1], samples, generators)
    return tuple(each.to(first.device) for each in draws), samples


def draw_together(
    players: Sequence[SynthPlayer], batch: int, samples: int, generators: Sequence[torch.Generator]
) -> tuple[Tensor, ...]:
    """``Synth.draw`` for each player, stacked: ``(players, 1 or batch, …)`` each, on the CPU.

    Args:
        samples: that will be rendered.
        generators: each player's own, so that it hears the same in any company.
    """
    synth, fresh = players[0].synth, players[0].fresh_noise
    drawn = [synth.draw(batch, samples, each if fresh else None) for each in generators]
    return tuple(torch.stack(each) for each in zip(*drawn, strict=True))


def _render(
    players: Sequence[SynthPlayer], parameters: Tensor, draws: tuple[Tensor, ...], samples: int
) -> Tensor:
    """``(players * batch, samples)`` of parameters ``(players, batch, parameters)``."""
    batch, like = parameters.shape[1], players[0]
    if len(players) > 1:
        draws = tuple(each.expand(-1, batch, *each.shape[2:]).flatten(0, 1) for each in draws)
    else:
        draws = tuple(each[0] for each in draws)
    # Any other hit of its batch may have come before a hit.
    carry_state = batch if like.fresh_noise else 0
    return like.synth.render(like.sample_rate, samples, parameters.flatten(0, 1), draws, carry_state)


def draw_seed(generator: torch.Generator) -> int:
    """Of the noise and phases of a batch or a part of one, so that they are the same wherever it is rendered."""
    return int(torch.randint(2**62, (), generator=generator))
