"""The published training step (Shier et al., NIME 2024) as one would write it from the paper.

Ours is timed against it. Written for this benchmark from the paper's description, straight and batched, with nothing in
it to make it slow: envelopes as cumulative products of the decay rate, phases as cumulative sums of the pitch, filters
over time, one second of sound, 66 frames at hop 512, each with a K-weighting that starts at rest and a windowed FFT for
centroid and another for flatness, an unweighted mean absolute error, Adam. Tests hold sound, features and gradients
against timbrekit's.

The recursive filters run in ``torchaudio.functional.lfilter`` where torchaudio can be imported. Elsewhere they are
sampled in frequency and applied by FFTs, as is usual, which is exact but for what rings on beyond the FFT's end.
"""

import math
from typing import Any

import numpy as np
import torch
from scipy.signal.windows import flattop
from torch import Tensor

from timbrekit.features import k_weighting
from timbrekit.mapping import Mapping, build_network
from timbrekit.synth.parameters import DECAY_LOG, NYQUIST_MARGIN_HZ, PARAMETERS, SILENCE
from timbrekit.synth.snare808 import attack_ramp, white_noise

FRAME, HOP, FRAMES, TRANSIENT_FRAMES = 2048, 512, 66, 2
NOISE_FFT = 131_072  # samples: one second of sound, and 1.7 more for the filter to ring out


def import_torchaudio() -> Any | None:
    """torchaudio, or None where it is missing or does not fit the installed torch."""
    try:
        import torchaudio.functional
    except (ImportError, OSError, RuntimeError):  # not there; another CUDA; another torch
        return None
    return torchaudio


def filter_name() -> str:
    """What filters here, for the page."""
    torchaudio = import_torchaudio()
    if torchaudio is None:
        return "frequency-sampled filters by FFT (torchaudio cannot be imported here)"
    return f"torchaudio.functional.lfilter {torchaudio.__version__}"


class PaperSynth:
    """``(batch, 14)`` normalised parameters to ``(batch, samples)`` of sound.

    Args:
        lfilter: filter the noise by ``torchaudio.functional.lfilter``; False by FFT; None as can be.
    """

    def __init__(self, sample_rate: int, num_samples: int, lfilter: bool | None = None):
        self.sample_rate, self.num_samples = sample_rate, num_samples
        self.torchaudio = import_torchaudio() if lfilter in (None, True) else None

    def render(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """``noise``: ``(samples,)`` in [-1, 1]. The noise filter starts at rest, the oscillators at phase 0."""
        low = parameters.new_tensor([p.minimum for p in PARAMETERS])
        high = parameters.new_tensor([p.maximum for p in PARAMETERS])
        values = (low + parameters * (high - low)).unbind(-1)
        freq1, mod1, freq2, mod2, freq_decay, decay1, decay2, noise_decay, cutoff, q, *levels = values
        gain1, gain2, noise_gain, drive = ((10 ** (level / 20))[:, None] for level in levels)
        pitch = self._envelope(freq_decay)
        mix = gain1 * self._oscillator(freq1, mod1, pitch) * self._envelope(decay1)
        mix = mix + gain2 * self._oscillator(freq2, mod2, pitch) * self._envelope(decay2)
        filtered = self._high_pass(noise[: self.num_samples], cutoff, q)
        return torch.tanh(drive * (mix + noise_gain * filtered * self._envelope(noise_decay)))

    def _envelope(self, decay_ms: Tensor) -> Tensor:
        rate = 1 - DECAY_LOG / (decay_ms * (self.sample_rate / 1000))
        attack = torch.from_numpy(attack_ramp(self.sample_rate)).to(rate)
        decay = torch.cumprod(rate[:, None].expand(-1, self.num_samples - len(attack)), -1)
        return torch.cat([attack.expand(len(rate), -1), decay * (decay >= SILENCE)], -1)

    def _oscillator(self, freq_hz: Tensor, mod: Tensor, pitch: Tensor) -> Tensor:
        cycles = freq_hz[:, None] * (1 + mod[:, None] * pitch) / self.sample_rate  # per sample
        phase = torch.cumsum(cycles, -1) - cycles
        return torch.sin(2 * math.pi * phase)

    def _high_pass(self, noise: Tensor, cutoff_hz: Tensor, q: Tensor) -> Tensor:
        k = torch.tan(
            math.pi * cutoff_hz.clamp_max(self.sample_rate / 2 - NYQUIST_MARGIN_HZ) / self.sample_rate
        )
        norm = 1 / (1 + k / q + k * k)
        b = torch.stack([norm, -2 * norm, norm], -1)
        a = torch.stack([torch.ones_like(k), 2 * (k * k - 1) * norm, (1 - k / q + k * k) * norm], -1)
        if self.torchaudio:
            rows = noise.expand(len(k), -1)
            return self.torchaudio.functional.lfilter(rows, a, b, clamp=False, batching=True)
        response = torch.fft.rfft(b, NOISE_FFT) / torch.fft.rfft(a, NOISE_FFT)
        return torch.fft.irfft(torch.fft.rfft(noise, NOISE_FFT) * response, NOISE_FFT)[:, : self.num_samples]


class PaperFeatures:
    """``(batch, samples)`` of sound to the paper's seven features ``(batch, 7)``, in timbrekit's order.

    ``like``: a tensor of the dtype and on the device of the sound. ``lfilter``: as in :class:`PaperSynth`.
    """

    def __init__(self, sample_rate: int, like: Tensor, lfilter: bool | None = None):
        self.sample_rate = sample_rate
        self.torchaudio = import_torchaudio() if lfilter in (None, True) else None
        biquads = [(np.divide(b, a[0]), np.divide(a, a[0])) for b, a in k_weighting(sample_rate)]
        self.biquads = [(torch.from_numpy(b).to(like), torch.from_numpy(a).to(like)) for b, a in biquads]
        response = math.prod(np.fft.rfft(b, 2 * FRAME) / np.fft.rfft(a, 2 * FRAME) for b, a in biquads)
        self.response = torch.view_as_complex(torch.view_as_real(torch.from_numpy(response)).to(like))
        self.hann = torch.hann_window(FRAME, dtype=like.dtype, device=like.device)
        self.flat_top = torch.from_numpy(flattop(FRAME)).to(like)
        self.hz = torch.linspace(0, sample_rate / 2, FRAME // 2 + 1, dtype=like.dtype, device=like.device)

    def __call__(self, sound: Tensor) -> Tensor:
        frames = sound.unfold(-1, FRAME, HOP)[:, :FRAMES]
        of_frames = [self._loudness(frames), self._brightness(frames), self._flatness(frames)]
        means = [
            part.mean(-1) for f in of_frames for part in (f[:, :TRANSIENT_FRAMES], f[:, TRANSIENT_FRAMES:])
        ]
        return torch.stack([*means, self._temporal_centroid(sound)], -1)

    def _loudness(self, frames: Tensor) -> Tensor:
        if self.torchaudio:
            weighted = frames
            for b, a in self.biquads:
                weighted = self.torchaudio.functional.lfilter(weighted, a, b, clamp=False)
        else:
            weighted = torch.fft.irfft(torch.fft.rfft(frames, 2 * FRAME) * self.response)[..., :FRAME]
        return -0.691 + 10 * torch.log10(weighted.square().mean(-1) + 1e-8)

    def _brightness(self, frames: Tensor) -> Tensor:
        magnitude = torch.fft.rfft(frames * self.flat_top).abs().clamp_min(1e-4)
        magnitude = torch.log(1 + magnitude)
        centroid_hz = (magnitude * self.hz).sum(-1) / magnitude.sum(-1)
        return -34.61 * centroid_hz**-0.1621 + 21.2985

    def _flatness(self, frames: Tensor) -> Tensor:
        power = torch.fft.rfft(frames * self.hann).abs().square().clamp_min(1e-10)
        return 20 * torch.log10(torch.exp(power.log().mean(-1)) / power.mean(-1) + 1e-8)

    def _temporal_centroid(self, sound: Tensor) -> Tensor:
        count = self.sample_rate * 125 // 1000
        size = count + FRAME  # by FFT: a convolution this long takes several times as long directly
        energy = torch.fft.rfft(sound[:, :count].square(), size) * torch.fft.rfft(self.hann, size)
        smooth = torch.fft.irfft(energy, size)[:, FRAME // 2 + 1 : FRAME // 2 + 1 + count]
        time_ms = torch.arange(count, dtype=sound.dtype, device=sound.device) * (1000 / self.sample_rate)
        centroid_ms = (smooth * time_ms).sum(-1) / (smooth.sum(-1) + 1e-9)
        return 0.03 * centroid_ms.clamp_min(1e-3) ** 1.864


class PaperTraining:
    """The published mapping, loss and optimiser on the synthesiser and features above.

    Args:
        inputs: ``(n, 3)`` of the take, and ``centre`` ``(3,)`` of its reference hit.
        intended: ``(n, 7)`` differences from the reference hit, by the paper's features.
        preset, damping: ``(14,)``.
    """

    def __init__(
        self,
        inputs: Tensor,
        centre: Tensor,
        intended: Tensor,
        preset: Tensor,
        damping: Tensor,
        sample_rate: int,
        learning_rate: float,
        seed: int = 0,
        device: str = "cpu",
    ):
        self.inputs, self.intended = inputs.to(device), intended.to(device)
        self.mapping = Mapping(build_network("mlp", seed), preset, damping, centre).to(device)
        self.optimizer = torch.optim.Adam(self.mapping.parameters(), learning_rate)
        self.synth = PaperSynth(sample_rate, sample_rate)
        self.features = PaperFeatures(sample_rate, self.inputs)
        self.noise = white_noise((sample_rate,), 0).to(device)
        with torch.no_grad():
            self.unmodulated = self.features(self.synth.render(preset[None].to(device), self.noise))

    def loss(self, hits: np.ndarray) -> Tensor:
        """Of a batch, by the numbers of its hits."""
        index = torch.from_numpy(hits).to(self.inputs.device)
        sound = self.synth.render(self.mapping.parameters_for(self.inputs[index]), self.noise)
        played = self.features(sound) - self.unmodulated
        return (played - self.intended[index]).abs().mean()

    def step(self, hits: np.ndarray) -> None:
        """Loss, backward and one step of Adam."""
        self.optimizer.zero_grad()
        self.loss(hits).backward()
        self.optimizer.step()
