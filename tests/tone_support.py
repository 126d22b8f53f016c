"""A synthetic instrument for the tests of timbrekit.tone: known notes with known spectra."""

import numpy as np
import torch

from timbrekit.tone.instrument import Instrument, Ranges
from timbrekit.tone.pitch import RATE

SCALE = (57, 60, 62, 64, 67, 69, 72)  # semitones


def reed(seconds: float, seed: int = 0) -> np.ndarray:
    """Notes of SCALE, soft and loud, hollow as a clarinet, with breath: ``(samples,)`` float32."""
    random = np.random.default_rng(seed)
    parts, total = [], 0.0
    while total < seconds:
        length = random.uniform(0.25, 0.8)
        count = int(length * RATE)
        level = 10 ** (random.uniform(-26, -8) / 20)
        parts.append(note(float(random.choice(SCALE)), count, level, random))
        parts.append(np.zeros(int(random.uniform(0.02, 0.1) * RATE)))
        total = sum(map(len, parts)) / RATE
    sound = np.concatenate(parts)[: int(seconds * RATE)]
    return (sound + random.normal(0, 1e-4, len(sound))).astype(np.float32)


def note(pitch: float, count: int, level: float, random: np.random.Generator) -> np.ndarray:
    """One note with an attack of 20 ms and a release of 40 ms; brighter where it is louder."""
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    time = np.arange(count) / RATE
    sound = np.zeros(count)
    for k in range(1, 20):
        if k * hertz < 20_000:
            strength = (1.0 if k % 2 else 0.25) / k ** (1.6 - level)
            sound += strength * np.sin(2 * np.pi * k * hertz * time)
    sound += 0.01 * random.normal(0, 1, count)
    envelope = np.minimum(1, np.minimum(time / 0.02, (time[-1] - time) / 0.04))
    return 0.4 * level * sound * envelope


def lively_instrument(ranges: Ranges) -> Instrument:
    """Untrained, but with a room and a sound that depends on pitch and loudness as much as a trained one's."""
    torch.manual_seed(3)
    made = Instrument(ranges).eval()
    with torch.no_grad():
        made.room_taps.copy_(0.02 * torch.randn(made.room_taps.shape))
        made.decoder.strengths.weight.mul_(10)
    return made
