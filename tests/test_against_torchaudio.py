"""torchaudio's filters and loudness as an independent truth for what pyloudnorm gives us."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from timbrekit.features import k_weighting
from timbrekit.results.audition import integrated_loudness

try:
    import torchaudio.functional as reference
except Exception as error:  # beside a torch that it was not built for: ImportError, OSError or RuntimeError
    pytest.skip(
        f"torchaudio cannot be imported ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}); "
        "it has to be of the same release as torch",
        allow_module_level=True,
    )

RATES = [44_100, 48_000, 96_000]


def noise(seconds: float, rate: int, seed: int = 0) -> torch.Tensor:
    """White noise of full scale, double precision."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(round(seconds * rate), generator=generator, dtype=torch.float64) * 2 - 1


def bursts(rate: int) -> torch.Tensor:
    """Three seconds: decaying noise every half a second, the third and fourth of them 30 dB softer, then silence."""
    since = torch.arange(3 * rate) % (rate // 2) / rate  # s
    sound = 0.2 * noise(3, rate) * torch.exp(-since / 0.05)
    sound[rate : 2 * rate] *= 10 ** (-30 / 20)
    sound[round(2.6 * rate) :] = 0
    return sound


@pytest.mark.parametrize("rate", RATES)
def test_k_weighting_is_a_treble_shelf_and_a_high_pass(rate):
    sound = noise(1, rate) * 0.2  # filtered, it stays below full scale, where torchaudio's filters clip
    ours = sound.numpy()
    for b, a in k_weighting(rate):
        ours = lfilter(b, a, ours)
    shelved = reference.treble_biquad(sound, rate, 4.0, 1500.0, 1 / np.sqrt(2))
    theirs = reference.highpass_biquad(shelved, rate, 38.0, 0.5)
    assert np.abs(ours - theirs.numpy()).max() < 1e-11


@pytest.mark.parametrize("rate", RATES)
def test_integrated_loudness_with_both_gates(rate):
    sound = bursts(rate)
    theirs = reference.loudness(sound[None], rate).item()
    assert integrated_loudness(sound.numpy(), rate) == pytest.approx(theirs, abs=1e-9)
