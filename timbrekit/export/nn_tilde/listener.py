"""How a model hears in nn~: once, as the plug-in, or in looks while a hit goes on (docs/listener.md)."""

import math
from typing import Final

import torch
from torch import Tensor, nn

from timbrekit import SAMPLE_RATE
from timbrekit.export.nn_tilde.dsp import onset_features, rate_factor, scaled
from timbrekit.features.mel_looks import FEATURES, FIRST_SAMPLE, HIGHEST_HZ, LEAST_POWER, LOOKS
from timbrekit.recording.onsets import ONSET_WINDOW, TRIGGER_DELAY


class NnListener(nn.Module):
    """What is heard of a hit and answered. All methods have to be in what TorchScript can compile.

    ``delays``: samples from a detection to each answer, the first of which is the trigger. ``lengths``: of the window
    that ends with the sample of each answer.
    """

    delays: list[int]
    lengths: list[int]

    def restart(self, rate: int) -> None:
        """Hear at ``rate`` (Hz) from here on."""
        raise NotImplementedError

    def forget(self) -> None:
        """Forget the ranges met so far, where any are kept."""
        raise NotImplementedError

    def answer(self, look: int, window: Tensor, fixed: bool) -> Tensor:
        """``(parameters,)`` modulation for the ``window`` of one answer. ``fixed``: by the ranges of training."""
        raise NotImplementedError


class OnsetListener(NnListener):
    """Three features of 256 samples.

    Args:
        network: the model file's module, ``(1, 3)`` in [0, 1] to ``(2, parameters)``.
        ranges: ``(2, 3)`` lowest and highest onset features of the training take.
    """

    def __init__(self, network: torch.jit.ScriptModule, ranges: Tensor):
        super().__init__()
        self.network = network
        # Lists and not buffers: a host that moves the module to a graphics card leaves them where they are.
        self.trained = ranges.tolist()
        self.delays = [TRIGGER_DELAY]
        self.lengths = [ONSET_WINDOW]
        self.rate = 1.0
        self.forget()

    def restart(self, rate: int) -> None:
        self.rate = float(rate)

    def forget(self) -> None:
        self.met = torch.tensor([[math.inf] * 3, [-math.inf] * 3])  # (2, 3) lowest, highest features so far

    def answer(self, look: int, window: Tensor, fixed: bool) -> Tensor:
        raw = onset_features(window, self.rate)
        self.met = torch.stack([torch.minimum(self.met[0], raw), torch.maximum(self.met[1], raw)])
        ranges = self.met
        if fixed:
            ranges = torch.tensor(self.trained)
        return self.network(scaled(raw, ranges).unsqueeze(0))[0]


class LooksListener(NnListener):
    """Log-mel bands and levels of windows that end later and later: ``timbrekit.features.mel_looks``.

    ``network``: the model file's module, ``(1, 104)`` features to ``(2, 5, parameters)``.
    """

    FIRST: Final[int] = FIRST_SAMPLE
    LEAST: Final[float] = LEAST_POWER
    TOP: Final[float] = 2595 * math.log10(1 + HIGHEST_HZ / 700)  # mel

    # Of each look the window function ``(length,)`` and the filters ``(bins, bands)``, float64. Made when the first
    # sound is, and so not in the file.
    tables: list[tuple[Tensor, Tensor]]

    def __init__(self, network: torch.jit.ScriptModule, rate: int):
        super().__init__()
        self.network = network
        self.befores = [look.before for look in LOOKS]
        self.afters = [look.after for look in LOOKS]
        self.bands = [look.bands for look in LOOKS]
        self.parts = [look.parts for look in LOOKS]
        self.ends = list(FEATURES)
        self.sizes = [look.fft_size(SAMPLE_RATE) for look in LOOKS]
        self.restart(rate)

    def restart(self, rate: int) -> None:
        self.rate = rate
        factor = rate_factor(float(rate))
        self.delays = [self.FIRST + int(after * factor) - 1 for after in self.afters]
        self.lengths = [
            int(before * factor) + int(after * factor)
            for before, after in zip(self.befores, self.afters)  # noqa: B905 TorchScript knows no strict
        ]
        none: list[tuple[Tensor, Tensor]] = []
        self.tables = none
        self.row = torch.zeros(1, self.ends[-1])  # features heard so far

    def forget(self) -> None:
        pass

    def answer(self, look: int, window: Tensor, fixed: bool) -> Tensor:
        self.prepare()
        first = self.ends[look] - self.bands[look] - self.parts[look]
        self.row = torch.cat(
            [self.row[:, :first], self.hear(look, window).unsqueeze(0), self.row[:, self.ends[look] :]], 1
        )
        return self.network(self.row)[0][look]

    def hear(self, look: int, window: Tensor) -> Tensor:
        """``(bands + parts,)`` features in dB, float32."""
        x = window.to(torch.float64)
        shape, filters = self.tables[look]
        size = (filters.shape[0] - 1) * 2
        power = torch.fft.rfft(x * shape, size).abs().square() / shape.square().sum()
        levels = x.square().view(self.parts[look], -1).mean(1)
        both = torch.cat([torch.matmul(power, filters), levels])
        return (10.0 * torch.log10(both + self.LEAST)).to(torch.float32)

    def prepare(self) -> None:
        """The tables of this sample rate."""
        if len(self.tables) > 0:
            return
        factor = rate_factor(float(self.rate))
        for look, length in enumerate(self.lengths):
            phase = (torch.arange(length).to(torch.float64) + 0.5) / length
            size = int(self.sizes[look] * factor)
            self.tables.append((torch.sin(phase * math.pi).square(), self.mel(self.bands[look], size)))

    def mel(self, bands: int, size: int) -> Tensor:
        """As ``timbrekit.features.mel_looks.mel_filters``."""
        steps = torch.arange(bands + 2).to(torch.float64) * (self.TOP / (bands + 1))
        edges = (torch.exp(steps * (math.log(10.0) / 2595.0)) - 1.0) * 700.0
        low, middle, high = edges[:bands], edges[1 : bands + 1], edges[2 : bands + 2]
        hertz = (torch.arange(size // 2 + 1).to(torch.float64) * (self.rate / size)).unsqueeze(1)
        rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
        triangles = torch.minimum(rising, falling).clamp_min(0.0)
        return triangles / triangles.sum(0).clamp_min(1e-12)
