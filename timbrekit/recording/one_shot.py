"""One hit of a drum from a sound file, cut where it begins; or a sentence on why the file is not one hit."""

from pathlib import Path

import numpy as np

from timbrekit import SAMPLE_RATE
from timbrekit.errors import RecordingError
from timbrekit.recording import read_recording
from timbrekit.recording.decode import shown

LEAST_SECONDS, MOST_SECONDS = 0.03, 10.0
LEAD = 0.0005  # s kept before the hit is first heard
HEARD = 0.02  # of the peak: where a hit begins
FRAME = 0.005  # s; of the levels that are looked at
# A second stroke: within 20 ms the level rises by so much, above all of the last 125 ms by so much, to at most so far
# below the loudest, and so many seconds after the first. (A tone that beats rises too, but not above what was before.)
RISE_DB, ABOVE_DB, NEAR_DB, APART = 8.0, 3.0, 25.0, 0.09
FADED_DB = 15.0  # that a hit's last tenth lies below its loudest frame at least
CLIPPED_RUN = 6  # samples in a row, equal and at the peak
CLIPPED_RUNS = 2


def read_hit(path: str | Path) -> tuple[np.ndarray, int]:
    """A hit at 48 kHz, its level as recorded.

    Returns:
        ``(samples,)`` float32 from just before the hit is heard, and how many samples of the file come before.

    Raises:
        RecordingError: the file cannot be read, or is not one hit: too long, several strokes, no decay, clipped.
    """
    path = Path(path)
    samples = read_recording(path, SAMPLE_RATE, LEAST_SECONDS).samples
    seconds = len(samples) / SAMPLE_RATE
    if seconds > MOST_SECONDS:
        raise RecordingError(
            f"{shown(path)} is {seconds:.0f} s long, and one hit is at most {MOST_SECONDS:.0f} s. Cut out one stroke, "
            "from just before it is heard to where it has faded."
        )
    check_clipping(samples, path)
    level = np.abs(samples)
    begin = max(0, int(np.argmax(level > HEARD * level.max())) - int(LEAD * SAMPLE_RATE))
    hit = samples[begin:]
    check_one_stroke(hit, path)
    return hit, begin


def check_clipping(samples: np.ndarray, path: Path) -> None:
    """Refuse a sound whose tops are flat.

    Raises:
        RecordingError: several runs of equal samples lie at the peak.
    """
    level = np.abs(samples)
    flat = (level > 0.999 * level.max()) & (level > 0.5)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int), [0]])))
    runs = int((edges[1::2] - edges[::2] >= CLIPPED_RUN).sum())
    if runs > CLIPPED_RUNS:
        raise RecordingError(
            f"{shown(path)} is clipped: in {runs} places the wave is cut flat at its peak, and {CLIPPED_RUNS} are "
            "accepted. Record the hit with less gain."
        )


def check_one_stroke(hit: np.ndarray, path: Path) -> None:
    """Refuse what is struck more than once, or does not fade.

    Raises:
        RecordingError: there are more strokes than one, as in a loop or speech, or the sound goes on to its end.
    """
    frame = int(FRAME * SAMPLE_RATE)
    count = max(1, len(hit) // frame)
    power = np.square(hit[: count * frame].astype(float)).reshape(count, -1).mean(1)
    level = 10 * np.log10(power + 1e-12)
    loudest = level.max()
    # Rises are measured from the loudest of the three frames before, as a low drum's frames go up and down.
    before = np.stack([np.roll(level, shift) for shift in (2, 3, 4, 5, 6)]).max(0)
    before[:6] = np.inf
    lately = np.array([level[max(0, index - 25) : max(1, index - 1)].max() for index in range(count)])
    rises = (level - before > RISE_DB) & (level - lately > ABOVE_DB) & (level > loudest - NEAR_DB)
    strokes, last = 1, 0.0
    for index in np.flatnonzero(rises):
        if index * FRAME - last > APART:
            strokes, last = strokes + 1, index * FRAME
    if strokes > 1:
        raise RecordingError(
            f"{shown(path)} holds {strokes} strokes or more: a loop, speech or several hits. One file is one hit: cut "
            "them apart, and give each its own file."
        )
    if len(hit) > 0.4 * SAMPLE_RATE:
        end = level[-max(1, count // 10) :].mean()
        if loudest - end < FADED_DB:
            raise RecordingError(
                f"{shown(path)} does not fade: its end lies {loudest - end:.0f} dB below its loudest part, and a hit "
                f"falls by {FADED_DB:.0f} dB or more. Give a single stroke, recorded until it has faded."
            )
