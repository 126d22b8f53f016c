"""The synthesiser with its preset, heard the way a recording's hits are heard."""

from collections.abc import Sequence

import torch
from torch import Tensor

from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.presets import Preset
from timbrekit.synth.snare808 import Snare808, white_noise
from timbrekit.training.take import Take, gain_to_nominal

# Samples, 2^10 * 9 and 2^11 * 9: fast FFTs. The longer noise comes round once within what the features look at, which
# none of their frames of 2048 samples can tell.
NOISE_PERIODS = (9216, 18_432)
PRESET_RENDERS = 8  # noises and phases over which the unmodulated preset's features are averaged


class Voice:
    """A preset of the synthesiser, measured hit by hit against a take.

    Args:
        preset: the unmodulated sound.
        take: the recording whose hits it follows: gives the sample rate and how long each hit may ring.
        features: how both are measured.
        fresh_noise: noise and oscillator phases are drawn anew for every render, as in the plug-in; False is the
            published training code: one fixed noise, phase 0.
        seed: of the draws for the unmodulated preset.
        device: where to render.
    """

    def __init__(
        self,
        preset: Preset,
        take: Take,
        features: TimbreFeatures,
        fresh_noise: bool = True,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ):
        self.features, self.fresh_noise = features, fresh_noise
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
                noise, phases = draw_together([self], 1, TIMBRE_SAMPLES, [generator])
                sounds.append(_render([self], normalized[None, None], noise, phases, TIMBRE_SAMPLES))
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
            parameters: ``(batch, 14)`` normalised.
            indices: ``(batch,)`` hits of the take that they are played for. Hits of like length are measured fastest:
                nothing is rendered beyond the longest.
            generator: source of noise and phases, on the CPU.

        Returns:
            ``(batch, 7)``, differentiable.
        """
        draws = draw_for([self], indices[None], [generator])
        return differences_together([self], parameters[None], indices[None], *draws)[0]


def differences_together(
    voices: Sequence[Voice], parameters: Tensor, indices: Tensor, noise: Tensor, phases: Tensor, samples: int
) -> Tensor:
    """``Voice.differences`` of several presets at once, of one take, measured alike.

    Args:
        parameters: ``(voices, batch, 14)`` normalised.
        indices: ``(voices, batch)`` hits of the take.
        noise, phases, samples: from :func:`draw_for`.

    Returns:
        ``(voices, batch, 7)``, differentiable.
    """
    batch, first = parameters.shape[1], voices[0]
    gains = torch.stack([voice.gain for voice in voices])[:, None].expand(-1, batch).reshape(-1, 1)
    sounds = _render(voices, parameters, noise, phases, samples) * gains
    frames = first.features.analyze(sounds, samples)
    heard = first.features.summarize(frames, first.lengths[indices.flatten()])
    unmodulated = [voice.unmodulated[each] for voice, each in zip(voices, indices, strict=True)]
    return heard.view(len(voices), batch, -1) - torch.stack(unmodulated)


def draw_for(
    voices: Sequence[Voice], indices: Tensor, generators: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor, int]:
    """What :func:`differences_together` needs for hits ``indices`` ``(voices, batch)``, where the voices are.

    Returns:
        Noise and phases of :func:`draw_together`, and how many samples have to be rendered.
    """
    first = voices[0]
    samples = first.samples_for(indices.flatten())
    noise, phases = draw_together(voices, indices.shape[1], samples, generators)
    return noise.to(first.device), phases.to(first.device), samples


def draw_together(
    voices: Sequence[Voice], batch: int, samples: int, generators: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Noise ``(voices, period)``, one for each voice's batch, and phases ``(voices, batch, 2)``, all on the CPU.

    Args:
        samples: that will be rendered.
        generators: each voice's own, so that it hears the same in any company.
    """
    period = NOISE_PERIODS[samples > NOISE_PERIODS[0]]
    if not voices[0].fresh_noise:
        noise = white_noise((period,), 0).expand(len(voices), -1)
        return noise, torch.zeros(len(voices), batch, 2)
    drawn = [
        (torch.rand(period, generator=generator) * 2 - 1, torch.rand(batch, 2, generator=generator))
        for generator in generators
    ]
    noise, phases = zip(*drawn, strict=True)
    return torch.stack(noise), torch.stack(phases)


def _render(
    voices: Sequence[Voice], parameters: Tensor, noise: Tensor, phases: Tensor, samples: int
) -> Tensor:
    """``(voices * batch, samples)`` of parameters ``(voices, batch, 14)``."""
    batch, like = parameters.shape[1], voices[0]
    if len(voices) > 1:
        noise = noise[:, None].expand(-1, batch, -1).flatten(0, 1)
    # Any other hit of its batch may have come before a hit.
    handed_on = batch if like.fresh_noise else 0
    return Snare808(like.sample_rate, samples).render(
        parameters.flatten(0, 1), noise, phases.flatten(0, 1), filter_running=True, handed_on=handed_on
    )
