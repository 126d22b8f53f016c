"""``python -m tests.by_hand.fuzz_inputs``: thousands of hostile recordings, presets and model files.

Each is used as a user would use it, in a process whose time and memory are watched: it has to work, or to be answered
with one clear line, with nothing else on standard error. Prints a table; its status is 1 if anything else happened.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from timbrekit.export import guard

SECONDS = 300  # for one input, on a busy machine; ten minutes of recording take the longest, half a minute of computing
MEMORY_BYTES = 4 << 30  # beyond an idle process; ten minutes at 192 kHz need about half of it
STARTING_SECONDS = 120
KINDS = ("recordings", "presets", "models")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=300, help="of each kind (default: 300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)  # what a watched process is told
    options = parser.parse_args()
    if options.work:
        work(options.work[0], options.seed, int(options.work[1]), options.inputs)
        return 0
    faults = 0
    print(
        "| kind | inputs | used | one hit | refused | faults | time | slowest | peak memory |\n|" + "---|" * 9
    )
    for kind in options.kinds:
        run = Run(kind, options.seed, options.inputs)
        faults += run.results["fault"]
        print(run.row(), flush=True)
    return 1 if faults else 0


class Run:
    """All inputs of one kind, in as many processes as it takes."""

    def __init__(self, kind: str, seed: int, inputs: int):
        self.kind, self.inputs = kind, inputs
        self.results: Counter[str] = Counter()
        self.slowest, self.peak_bytes, self.began = 0.0, 0, time.perf_counter()
        self.timed_out = False
        first = 0
        while first < inputs:
            first = self._watch(first, seed)

    def _watch(self, first: int, seed: int) -> int:
        """Let a process work from the input ``first`` on. The number after the last one that it tried."""
        command = [sys.executable, "-m", "tests.by_hand.fuzz_inputs", "--work", self.kind, str(first)]
        command += ["--seed", str(seed), "--inputs", str(self.inputs)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.timed_out = False
        number, limit = first - 1, STARTING_SECONDS
        while True:
            timer = threading.Timer(limit, self._kill, (process,))
            timer.start()
            line = process.stdout.readline()
            timer.cancel()
            if not line:
                break
            told = json.loads(line)
            number, limit = told.pop("number"), SECONDS
            self._count(number, told)
        status = process.wait()
        if number + 1 >= self.inputs and status == 0:
            return self.inputs
        what = f"took longer than {limit} s" if self.timed_out else f"ended the process with status {status}"
        self._tell_fault({"number": number + 1, "fault": what})
        return number + 2

    def _kill(self, process: subprocess.Popen) -> None:
        self.timed_out = True
        process.kill()

    def _count(self, number: int, told: dict[str, Any]) -> None:
        self.slowest = max(self.slowest, told["seconds"])
        self.peak_bytes = max(self.peak_bytes, told["peak_bytes"])
        if told["fault"]:
            self._tell_fault({"number": number, "what": told["what"], "fault": told["fault"]})
        else:
            self.results[told["result"]] += 1
        if (number + 1) % 1000 == 0:
            print(f"  {self.row()}", file=sys.stderr, flush=True)

    def _tell_fault(self, fault: dict[str, Any]) -> None:
        self.results["fault"] += 1
        print(f"  {self.kind} {json.dumps(fault)}", file=sys.stderr, flush=True)

    def row(self) -> str:
        counts = [self.results[result] for result in ("used", "one hit", "refused", "fault")]
        minutes = (time.perf_counter() - self.began) / 60
        return (
            f"| {self.kind} | {sum(counts)} | {' | '.join(map(str, counts))} | {minutes:.1f} min | "
            f"{self.slowest:.1f} s | {self.peak_bytes / 2**30:.2f} GiB |"
        )


def work(kind: str, seed: int, first: int, inputs: int) -> None:
    """Try inputs one after the other, and tell of each in one line on standard output."""
    import resource

    answers = os.fdopen(os.dup(1), "w")
    noise = tempfile.TemporaryFile()
    os.dup2(noise.fileno(), 1)
    os.dup2(noise.fileno(), 2)

    from forked_guard import run_in_fork

    from .hostile import make_input, try_input

    for category in (UserWarning, RuntimeWarning, FutureWarning):
        warnings.simplefilter("always", category)  # not only at its first input
    guard._limit_memory(MEMORY_BYTES)
    guard._run = run_in_fork  # a new Python for each model would take days
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, inputs):
            began = time.perf_counter()
            given = make_input(kind, seed, number)
            _said(noise)  # by the encoders that made it
            outcome = try_input(kind, given, Path(folder))
            fault = outcome.fault
            if words := _said(noise):
                fault = f"{fault} on standard error: {words[:500]}"
            if left := os.listdir(folder):
                fault = f"{fault} left behind: {left}"
            told = {"number": number, "what": given.what, "result": outcome.result, "fault": fault}
            told["seconds"] = time.perf_counter() - began
            usages = [
                resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            ]
            told["peak_bytes"] = 1024 * max(usages)
            print(json.dumps(told), file=answers, flush=True)


def _said(noise: Any) -> str:
    """What was written to standard output and standard error since the last time."""
    sys.stdout.flush()
    sys.stderr.flush()
    noise.seek(0)
    words = noise.read().decode("utf-8", "replace").strip()
    noise.seek(0)
    noise.truncate()
    return words


if __name__ == "__main__":
    raise SystemExit(main())
