"""First runs at once: does machine code that several processes compile at the same time stay sound?

Each trial empties the cache, starts four ``timbrekit onsets`` at once, then one alone that finds what they left. It
counts the runs that failed or answered otherwise than the first one. A trial takes over two minutes of one core.

    python -m tests.by_hand.first_runs [TRIALS]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

SAMPLE = Path(__file__).resolve().parents[2] / "sample_audio" / "snare_minute.flac"
AT_ONCE = 4
SECONDS = 4  # of the sample: compilation takes the time


def start(take: Path, cache: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "timbrekit.cli", "onsets", str(take), "--json"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def trial(take: Path) -> tuple[list[int], list[bytes], float]:
    """Exit statuses and answers of the first runs and of the one alone, and the seconds that the last one took."""
    with tempfile.TemporaryDirectory() as cache:
        first = [start(take, Path(cache)) for _ in range(AT_ONCE)]
        answers = [process.communicate()[0] for process in first]
        before = time.perf_counter()
        alone = start(take, Path(cache))
        answers.append(alone.communicate()[0])
        seconds = time.perf_counter() - before
    return [process.returncode for process in (*first, alone)], answers, seconds


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        take = Path(folder) / "take.wav"
        samples, rate = soundfile.read(SAMPLE, frames=SECONDS * soundfile.info(SAMPLE).samplerate)
        soundfile.write(take, samples, rate)
        for number in range(trials):
            statuses, answers, seconds = trial(take)
            wrong = sum(
                status != 0 or answer != answers[0] for status, answer in zip(statuses, answers, strict=True)
            )
            failed += wrong
            print(
                f"trial {number + 1}: exit statuses {statuses}, {wrong} wrong, alone {seconds:.1f} s",
                flush=True,
            )
    print(f"{failed} of {trials * (AT_ONCE + 1)} runs failed")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
