"""A synthetic instrument with known notes to train on, and a bass line to play it with."""

import numpy as np

from timbrekit.tone.pitch import RATE

SCALE = (57, 60, 62, 64, 67, 69, 72)  # semitones
BASS_LINE = (33, 33, 45, 40, 36, 43, 45, 33)


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


def bass_line(repeats: int = 2) -> np.ndarray:
    """Plucked notes of BASS_LINE, 0.5 s each: ``(samples,)`` float32."""
    time = np.arange(RATE // 2) / RATE
    fade = np.minimum(1, np.minimum(time / 0.005, (time[-1] - time) / 0.03))
    notes = []
    for pitch in BASS_LINE * repeats:
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        partials = (
            np.exp(-time * (1 + 0.4 * k)) * np.sin(2 * np.pi * k * hertz * time) / k for k in range(1, 16)
        )
        notes.append(0.25 * fade * sum(partials))
    return np.concatenate(notes).astype(np.float32)
