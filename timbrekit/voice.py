"""The synthesiser with its preset, heard the way a recording's hits are heard."""

from collections.abc import Sequence

import torch
from torch import Tensor

from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.presets import Preset
from timbrekit.synth import Snare808, white_noise
from timbrekit.take import Take, gain_to_nominal

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
        self.preset = torch.from_numpy(preset.normalized()).to(self.device)
        self.damping = torch.from_numpy(preset.damping_vector()).to(self.device)
        self.sample_rate = take.hits.sample_rate
        self.lengths = take.lengths.to(self.device)
        generator = torch.Generator().manual_seed(seed)
        renders = PRESET_RENDERS if fresh_noise else 1
        with torch.no_grad():
            sounds = torch.cat(
                [
                    _render([self], self.preset[None, None], [generator], TIMBRE_SAMPLES)
                    for _ in range(renders)
                ]
            )
            self.gain = gain_to_nominal(float(features(sounds)[:, 0].mean()))
            frames = features.analyze(sounds * self.gain)
            # Where the next hit cuts a sound changes its features, so the preset has its own for every length.
            rings, which = self.lengths.clamp_max(TIMBRE_SAMPLES).unique(return_inverse=True)
            each = [features.summarize(frames, ring.expand(renders)).mean(0) for ring in rings]
            self.unmodulated = torch.stack(each)[which]  # (n, 7)

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
        return differences_together([self], parameters[None], indices[None], [generator])[0]


def differences_together(
    voices: Sequence[Voice], parameters: Tensor, indices: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    """``Voice.differences`` of several presets at once, of one take, measured alike.

    Args:
        parameters: ``(voices, batch, 14)`` normalised.
        indices: ``(voices, batch)`` hits of the take.
        generators: each voice's own source of noise and phases, so that it hears the same in any company.

    Returns:
        ``(voices, batch, 7)``, differentiable.
    """
    batch, lengths = parameters.shape[1], voices[0].lengths[indices.flatten()]
    needed = voices[0].features.samples_needed(lengths)
    gains = torch.tensor([voice.gain for voice in voices], device=parameters.device).repeat_interleave(batch)
    sounds = _render(voices, parameters, generators, needed) * gains[:, None]
    heard = voices[0].features(sounds, lengths)
    unmodulated = [voice.unmodulated[each] for voice, each in zip(voices, indices, strict=True)]
    return heard.view(len(voices), batch, -1) - torch.stack(unmodulated)


def _render(
    voices: Sequence[Voice], parameters: Tensor, generators: Sequence[torch.Generator], samples: int
) -> Tensor:
    """``(voices * batch, samples)`` of parameters ``(voices, batch, 14)``."""
    batch, like = parameters.shape[1], voices[0]
    period = NOISE_PERIODS[samples > NOISE_PERIODS[0]]
    drawn = [_draw(batch, period, like.fresh_noise, generator) for generator in generators]
    noise = torch.stack([noise for noise, _ in drawn]).to(like.device)
    phases = torch.cat([phases for _, phases in drawn]).to(like.device)
    if len(voices) > 1:
        noise = noise.repeat_interleave(batch, 0)
    # Any other hit of its batch may have come before a hit.
    handed_on = batch if like.fresh_noise else 0
    synth = Snare808(like.sample_rate, samples)
    return synth.render(parameters.flatten(0, 1), noise, phases, filter_running=True, handed_on=handed_on)


def _draw(batch: int, period: int, fresh: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One noise ``(period,)`` for a batch, and phases ``(batch, 2)``."""
    if not fresh:
        return white_noise((period,), 0), torch.zeros(batch, 2)
    noise = torch.rand(period, generator=generator) * 2 - 1
    return noise, torch.rand(batch, 2, generator=generator)
