"""``python -m tests.benchmarks``: measure, and write docs/benchmarks.md."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "sample_audio" / "snare_minute.flac"
SIZES, QUICK_SIZES = (16, 32, 64, 128, 256, 512), (16,)
QUICK_SECONDS = 4  # of the recording


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    one_is_enough = options.quick or options.device == "cuda"
    options.threads = options.threads or ([1] if one_is_enough else [1, 2])
    began, load = time.perf_counter(), os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    # Imported here: a wrong option is told at once, not after torch has loaded.
    from timbrekit import SAMPLE_RATE
    from timbrekit.files import atomic_path
    from timbrekit.recording import read_recording
    from timbrekit.training.published import PUBLISHED

    from .contenders import OURS, PAPER, make_material, save_material
    from .page import build_page

    recording = read_recording(options.recording, SAMPLE_RATE)
    if options.quick:
        recording = replace(recording, samples=recording.samples[: QUICK_SECONDS * SAMPLE_RATE])
    _say("finding hits")
    material = make_material(recording)
    repetitions, epochs, warm_up = (1, 1, 0) if options.quick else (9, 3, 2)
    with tempfile.TemporaryDirectory() as folder:
        pickled = Path(folder) / "material"
        save_material(material, pickled)
        common = {"material": str(pickled), "device": options.device, "quick": options.quick}
        steps = {}
        for threads in options.threads:
            _say(f"steps and epochs, {threads} threads")
            job = {"kind": "steps", "repetitions": repetitions, "epochs": epochs, "warm_up": warm_up}
            steps[str(threads)] = _run(common | job, threads)
        growth = []
        for hits in options.sizes or (QUICK_SIZES if options.quick else SIZES):
            for name in (PAPER, OURS):
                _say(f"{hits} hits, {name}")
                job = {"kind": "growth", "contender": name, "hits": hits}
                growth.append([name, hits, _run(common | job, options.threads[0])])
        _say("time to the same quality")
        job = {"kind": "quality", "full": options.full, "seeds": options.seeds}
        job["published_epochs"] = 1 if options.quick else PUBLISHED.epochs
        quality = _run(common | job, options.threads[-1])
    about = {
        "recording": _name_of(options.recording),
        "command": _command(argv),
        "quick": options.quick,
        "full": options.full,
        "device": options.device,
        "load": load,
        "sample_rate": SAMPLE_RATE,
        "hits": len(material.gated),
        "held_out": len(material.held_out),
        "practice": len(material.practice),
        "epoch_hits": next(iter(steps.values()))["hits"],
        "repetitions": repetitions,
        "epochs": epochs,
        "warm_up": warm_up,
        "growth_threads": options.threads[0],
        "quality_threads": options.threads[-1],
        "seeds": options.seeds,
        "minutes": (time.perf_counter() - began) / 60,
    }
    results = {"about": about, "steps": steps, "growth": growth, "quality": quality}
    with atomic_path(options.out) as temporary:
        temporary.write_text(build_page(results), encoding="utf-8")
    _say(f"written: {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--recording", type=Path, default=SAMPLE, help="a minute of playing; the sample by default"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds of it, few repetitions: does it run?"
    )
    parser.add_argument(
        "--full", action="store_true", help="run the published recipe in the paper-style step too"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--threads", type=int, nargs="+", help="of torch, 1 2 (quick, GPU: 1); quality with the last"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", help=f"hits to measure growth at, {' '.join(map(str, SIZES))}"
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="of our training to the same quality"
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "benchmarks.md")
    return parser


def _run(job: dict[str, Any], threads: int) -> dict[str, Any]:
    """One job in a process of its own, whose number of threads holds from its start.

    In a quick run only ours that measures memory: starting a process takes longer than a quick job.
    """
    from .contenders import OURS

    job = job | {"threads": threads}
    if job["quick"] and (job["kind"] != "growth" or job["contender"] != OURS):
        from .jobs import run_job

        return run_job(job)
    environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    # By the name that this package was imported by: pickled material names it too.
    command = [sys.executable, "-m", f"{__package__}.jobs", json.dumps(job)]
    folder = REPOSITORY if __package__.startswith("tests.") else REPOSITORY / "tests"
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _name_of(recording: Path) -> str:
    shipped = recording.resolve().parent == SAMPLE.parent
    return recording.stem + (" (ships with the project)" if shipped else " (not shipped)")


def _command(argv: list[str] | None) -> str:
    """As it was called, with file names for paths."""
    words = []
    for word in sys.argv[1:] if argv is None else argv:
        option, equals, value = word.rpartition("=")
        words.append(option + equals + Path(value).name)
    return shlex.join(["python", "-m", "tests.benchmarks", *words])


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
