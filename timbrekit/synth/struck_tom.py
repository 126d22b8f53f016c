"""A tom of 13 inches, struck: the sample of one-shots that comes with timbrekit, made up and not recorded.

A round head's modes (zeros of Bessel functions, Rossing, Science of Percussion Instruments, 2000), excited where the
stick falls, its pitch gliding down as the head relaxes; a shell that rings; air and the stick as noise. Levels and
decays are round numbers near those of a wooden drum.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter
from scipy.special import jn_zeros, jv

RATE = 48_000  # Hz
SECONDS = 1.2
FUNDAMENTAL = 110.0  # Hz
STRETCH = 0.75  # of the modes' spacing: the air in the drum pulls the upper ones down
ORDERS, PER_ORDER = 6, 3
STRUCK_AT = 0.35  # of the radius
SHELL = ((590.0, 30.0, 0.02), (1240.0, 45.0, 0.012), (2310.0, 60.0, 0.008))  # Hz, nepers a second, level
STRENGTHS = (0.15, 0.4, 1.0)  # of the strokes of the sample, soft to hard


def struck_tom(strength: float) -> NDArray[np.float32]:
    """``(57600,)`` at 48 kHz: one stroke.

    Args:
        strength: speed of the stick, 1 the hardest. Harder strokes are brighter, and their pitch glides farther.
    """
    noise = np.random.default_rng(0)
    time = np.arange(int(SECONDS * RATE)) / RATE
    glide = 0.05 * strength  # of the frequency
    warped = time + glide * 0.06 * -np.expm1(-time / 0.06)
    sound = np.zeros(len(time))
    first = jn_zeros(0, 1)[0]
    softness = 0.9 / (0.35 + strength)  # how fast the contact's spectrum falls
    for order in range(ORDERS):
        for zero in jn_zeros(order, PER_ORDER):
            hertz = FUNDAMENTAL * (1 + STRETCH * (zero / first - 1))
            level = abs(jv(order, zero * STRUCK_AT)) * np.exp(-softness * (hertz / FUNDAMENTAL - 1) / 2)
            decay = 4.5 + 3.5 * (hertz / FUNDAMENTAL - 1)
            phase = noise.uniform(-0.4, 0.4)
            sound += level * np.sin(2 * np.pi * hertz * warped + phase) * np.exp(-decay * time)
    for hertz, decay, level in SHELL:
        sound += level * np.sqrt(strength) * np.sin(2 * np.pi * hertz * time) * np.exp(-decay * time)
    air = lfilter(*butter(2, (150, 3500), "band", fs=RATE), noise.standard_normal(len(time)))
    sound += 0.06 * strength**0.3 * air * np.exp(-28 * time)
    stick = lfilter(*butter(2, 1800, "high", fs=RATE), noise.standard_normal(len(time)))
    sound += 0.25 * strength**0.5 * stick * np.exp(-time / 0.0015)
    room = lfilter(*butter(1, 900, "low", fs=RATE), noise.standard_normal(len(time)))
    sound += 0.004 * room * np.exp(-5 * time)
    sound *= np.minimum(1, time / 0.0008)
    return (0.36 * strength * sound).astype(np.float32)
