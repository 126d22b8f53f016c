"""The synthesiser with its preset, heard the way a recording's hits are heard."""

import torch
from torch import Tensor

from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.presets import Preset
from timbrekit.synth import Snare808, white_noise
from timbrekit.take import Take, gain_to_nominal

NOISE_PERIOD = 36_864  # samples, 2^12 * 9: a fast FFT, a little longer than what the features look at
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
        self.synth = Snare808(take.hits.sample_rate, TIMBRE_SAMPLES)
        self.lengths = take.lengths.to(self.device)
        generator = torch.Generator().manual_seed(seed)
        renders = PRESET_RENDERS if fresh_noise else 1
        with torch.no_grad():
            sounds = torch.cat([self._render(self.preset[None], generator) for _ in range(renders)])
            self.gain = gain_to_nominal(float(features(sounds)[:, 0].mean()))
            # Where the next hit cuts a sound changes its features, so the preset has its own for every length.
            rings, which = self.lengths.clamp_max(TIMBRE_SAMPLES).unique(return_inverse=True)
            each = [features(sounds * self.gain, ring.expand(renders)).mean(0) for ring in rings]
            self.unmodulated = torch.stack(each)[which]  # (n, 7)

    def differences(self, parameters: Tensor, indices: Tensor, generator: torch.Generator) -> Tensor:
        """How the synthesiser differs from its preset.

        Args:
            parameters: ``(batch, 14)`` normalised.
            indices: ``(batch,)`` hits of the take that they are played for.
            generator: source of noise and phases, on the CPU.

        Returns:
            ``(batch, 7)``, differentiable.
        """
        sounds = self._render(parameters, generator) * self.gain
        return self.features(sounds, self.lengths[indices]) - self.unmodulated[indices]

    def _render(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        if self.fresh_noise:
            noise = torch.rand(NOISE_PERIOD, generator=generator) * 2 - 1
            phases = torch.rand(len(parameters), 2, generator=generator)
        else:
            noise, phases = white_noise((NOISE_PERIOD,), 0), torch.zeros(len(parameters), 2)
        noise, phases = noise.to(self.device), phases.to(self.device)
        # Any other hit of the batch may have come before.
        return self.synth.render(parameters, noise, phases, filter_running=True, handed_on=self.fresh_noise)
