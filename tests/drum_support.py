"""Made-up drums for tests: modes and noise that are known, as a recording and as numbers."""

from functools import cache

import numpy as np

from timbrekit.presets import Preset
from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_analysis import analyse

RATE = 48_000
FREQUENCIES, DECAYS, LEVELS = (182.0, 331.0, 447.0, 612.0), (9.0, 14.0, 18.0, 25.0), (0.4, 0.25, 0.15, 0.1)


def struck(strength=1.0, seconds=0.7, glide=0.0, noise=0.02, seed=0):
    """``(samples,)`` four modes, noise that fades, and a click. Harder strokes are brighter."""
    t = np.arange(int(seconds * RATE)) / RATE
    u = t + glide * 0.03 * (1 - np.exp(-t / 0.03))
    sound = np.zeros(len(t))
    for number, (hz, decay, level) in enumerate(zip(FREQUENCIES, DECAYS, LEVELS, strict=True)):
        sound += (
            level * strength ** (1 + 0.2 * number) * np.cos(2 * np.pi * hz * u + number) * np.exp(-decay * t)
        )
    generator = np.random.default_rng(seed)
    sound += noise * strength * generator.standard_normal(len(t)) * np.exp(-20 * t)
    sound[:48] += 0.2 * strength * generator.standard_normal(48) * np.hanning(48)
    return sound * np.minimum(1, t / 0.001)


@cache
def small_drum() -> Drum:
    """Analysed from two strokes of the same drum."""
    return analyse([struck(0.3, seed=1), struck(1.0, seed=2)])


def drum_preset() -> Preset:
    drum = small_drum()
    return Preset("my-drum", "My drum", drum.values(), synth="drum", drum=drum.to_json())
