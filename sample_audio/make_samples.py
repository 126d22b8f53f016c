"""Synthesise ``snare_minute.flac``: a composed minute, played on the modelled drum of ``snare_drum.py``.

Nothing here is a recording. A score of strokes, never quite even, drives the model; what a microphone would
have heard is written as 48 kHz mono 16-bit FLAC, and the true onset of every stroke beside it.

Run ``python sample_audio/make_samples.py`` to make the files again; it takes some seconds. The samples depend
on the seed alone: on one machine they come out bit for bit the same; on another processor some may differ by
one step of the 16 bits, where its mathematics library rounds another way.
"""

import csv
from pathlib import Path

import numpy as np
import soundfile
from snare_drum import SAMPLE_RATE, TOUCHES, Stroke, play

from timbrekit.files import atomic_path

SEED = 1808
DURATION_S = 60.0
PEAK = 0.85  # of full scale: the loudest moment of the take
NOISE_FLOOR = 2.5e-4  # of full scale, RMS: -72 dBFS, that of a quiet room and a plain interface
LOUDEST = 217.13699918962208  # of the minute as the drum's model has it; another take keeps the same gain
NAME = "snare_minute"
TITLE = "Snare minute (synthesised, not a recording)"
COMMENT = (
    "A physical model of a snare drum, played from a score by sample_audio/make_samples.py of timbrekit."
)


class Player:
    """Writes strokes down the way a hand plays them: never quite on time, never twice in the same place."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.strokes: list[Stroke] = []

    def strike(self, time_s: float, articulation: str, velocity: float, sloppiness_s: float = 0.006) -> None:
        """Add one stroke near ``time_s`` with about ``velocity``."""
        rng = self.rng
        self.strokes.append(
            Stroke(
                onset_s=time_s + float(np.clip(rng.normal(0, sloppiness_s), -0.015, 0.015)),
                articulation=articulation,
                velocity=float(np.clip(velocity * np.exp(rng.normal(0, 0.1)), 0.03, 1.0)),
                radius=float(np.clip(rng.normal(TOUCHES[articulation].radius, 0.08), 0.02, 0.9)),
                angle=float(rng.uniform(0, 2 * np.pi)),
                bounces=int(rng.integers(5, 9)) if articulation == "press" else 0,
            )
        )

    def flam(self, time_s: float, velocity: float) -> None:
        """A soft grace note some 30 ms before the stroke that it leans on."""
        self.strike(time_s - self.rng.uniform(0.026, 0.042), "grace", 0.28 * velocity, sloppiness_s=0.001)
        self.strike(time_s, "stick", velocity, sloppiness_s=0.001)


# What the free part plays: articulation, how likely, softest and loudest velocity.
FREE_PART = [
    ("stick", 0.3, 0.13, 1.0),
    ("edge", 0.2, 0.13, 1.0),
    ("ghost", 0.12, 0.12, 0.26),
    ("rimshot", 0.14, 0.3, 1.0),
    ("cross-stick", 0.14, 0.09, 0.6),
    ("press", 0.1, 0.1, 0.4),
]


def compose(rng: np.random.Generator) -> list[Stroke]:
    """Play the minute: backbeat, crescendo, cross-stick, flams and rolls, then freely. Sorted by onset."""
    player = Player(rng)
    sixteenth_s = 60 / 98 / 4

    for step in range(5 * 16):  # 1 to 13 s: backbeat on two and four, ghost notes between
        time_s = 1.0 + step * sixteenth_s
        if step % 8 == 4:
            player.strike(time_s, "rimshot" if rng.random() < 0.4 else "stick", 0.8)
        elif rng.random() < 0.5:
            player.strike(time_s, "ghost", rng.uniform(0.12, 0.26))

    time_s = 14.2
    while time_s < 20.8:  # a crescendo that pulls ahead, from soft to all there is
        progress = (time_s - 14.2) / 6.6
        player.strike(time_s, "stick", 0.1 * 10**progress)
        time_s += 0.19 - 0.07 * progress

    for step in range(24):  # 22 to 29.7 s: a cross-stick groove, now and then a rimshot
        time_s = 22.0 + step * 0.32
        player.strike(time_s, "cross-stick", rng.choice([0.08, 0.14, 0.25, 0.4, 0.6]))
        if step % 6 == 4:
            player.strike(time_s + 0.16, "rimshot", 0.75)

    for bar in range(7):  # 30.5 to 39.5 s: a flam, then four fast strokes into an accent
        time_s = 30.5 + bar * 1.3
        player.flam(time_s, rng.uniform(0.45, 0.9))
        for note in range(4):
            player.strike(time_s + 0.45 + note * 0.062, "roll", 0.12 + 0.06 * note, sloppiness_s=0.004)
        player.strike(time_s + 0.45 + 4 * 0.062, "stick", 0.8, sloppiness_s=0.004)

    for note in range(14):  # 40.3 to 43 s: a press roll that grows, each stroke buzzing into the next
        player.strike(40.3 + note * 0.2, "press", 0.1 * 1.13**note)

    time_s = 44.0
    articulations, chances, softest, loudest = zip(*FREE_PART, strict=True)
    while time_s < 58.6:  # freely, with wide dynamics
        kind = rng.choice(len(FREE_PART), p=chances)
        velocity = softest[kind] * (loudest[kind] / softest[kind]) ** rng.random()
        player.strike(time_s, articulations[kind], velocity)
        time_s += rng.choice([0.12, 0.17, 0.25, 0.35, 0.6, 0.9], p=[0.14, 0.2, 0.24, 0.2, 0.14, 0.08])
    return sorted(player.strokes, key=lambda stroke: stroke.onset_s)


def perform(score: int = SEED) -> tuple[np.ndarray, list[Stroke]]:
    """Play a minute: samples as int16 ``(DURATION_S * SAMPLE_RATE,)``, and the strokes sorted by onset.

    Args:
        score: seed of what is played. Another one is another take of the same drum in the same room, at the same gain.
    """
    chance, floor = (np.random.Generator(np.random.PCG64([score, part])) for part in (0, 4))
    strokes = compose(chance)
    heard = play(strokes, int(DURATION_S * SAMPLE_RATE), SEED)
    loudest = np.abs(heard).max() if score == SEED else LOUDEST
    take = heard * (PEAK / loudest) + NOISE_FLOOR * floor.standard_normal(len(heard))
    return np.round(take.clip(-1, 1) * 32767).astype(np.int16), strokes


def main(folder: Path = Path(__file__).parent) -> None:
    """Write the minute and the truth of its onsets into ``folder``."""
    samples, strokes = perform()
    with (
        atomic_path(folder / f"{NAME}.flac") as path,
        soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as flac,
    ):
        flac.title, flac.comment = TITLE, COMMENT
        flac.write(samples)
    with (
        atomic_path(folder / f"{NAME}.onsets.csv") as path,
        open(path, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["onset_s", "articulation", "velocity"])
        table.writerows((f"{s.onset_s:.6f}", s.articulation, f"{s.velocity:.3f}") for s in strokes)


if __name__ == "__main__":
    main()
