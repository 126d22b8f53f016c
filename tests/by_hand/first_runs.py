"""First runs at once: does machine code that several processes compile at the same time stay sound?

Each trial empties the cache, starts four first runs, then one alone that finds what they left. It counts the runs that
failed or answered otherwise than the first one.

    python -m tests.by_hand.first_runs [onsets|small|shared] [TRIALS]

``onsets``: the command ``timbrekit onsets``, four at once. A trial takes over two minutes of one core.
``small``: the program of tests/test_compiled.py, started four times a moment apart; half a minute.
``shared``: the same with numba's own cache, for comparison: it breaks.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile
from test_compiled import APART_SECONDS, PROGRAM

SAMPLE = Path(__file__).resolve().parents[2] / "sample_audio" / "snare_minute.flac"
FIRST_RUNS = 4
SECONDS = 4  # of the sample: compilation takes the time


def commands(kind: str, folder: Path) -> tuple[list[str], float]:
    """What is run, and the seconds between one start and the next."""
    if kind == "onsets":
        take = folder / "take.wav"
        samples, rate = soundfile.read(SAMPLE, frames=SECONDS * soundfile.info(SAMPLE).samplerate)
        soundfile.write(take, samples, rate)
        return ["-m", "timbrekit.cli", "onsets", str(take), "--json"], 0.0
    program = PROGRAM.rsplit("@compiled", 1)[0]
    if kind == "shared":
        program = program.replace("use_private_cache()\n", "")
    (folder / "program.py").write_text(program, encoding="utf-8")
    return [str(folder / "program.py")], APART_SECONDS


def trial(command: list[str], apart: float) -> tuple[list[int], list[bytes], float]:
    """Exit statuses and answers of the first runs and of the one alone, and the seconds that the last one took."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}

        def start() -> subprocess.Popen:
            return subprocess.Popen(
                [sys.executable, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )

        runs = []
        for _ in range(FIRST_RUNS):
            runs.append(start())
            time.sleep(apart)
        answers = [run.communicate()[0] for run in runs]
        before = time.perf_counter()
        runs.append(start())
        answers.append(runs[-1].communicate()[0])
        seconds = time.perf_counter() - before
    return [run.returncode for run in runs], answers, seconds


def main(kind: str = "onsets", trials: str = "20") -> None:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        command, apart = commands(kind, Path(folder))
        for number in range(int(trials)):
            statuses, answers, seconds = trial(command, apart)
            wrong = sum(
                status != 0 or answer != answers[0] for status, answer in zip(statuses, answers, strict=True)
            )
            failed += wrong
            print(
                f"trial {number + 1}: exit statuses {statuses}, {wrong} wrong, alone {seconds:.1f} s",
                flush=True,
            )
    print(f"{failed} of {int(trials) * (FIRST_RUNS + 1)} runs failed")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
