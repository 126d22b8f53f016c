"""docs/benchmarks.md, whole, from what was measured."""

import os
import platform
import statistics
from datetime import date
from pathlib import Path
from typing import Any

import torch

from timbrekit.training.published import PUBLISHED

from .contenders import CONTENDERS, OURS, OURS_THERE, PAPER, PRESET, PUBLISHED_HERE
from .jobs import BATCH, EVERY, MEASURES, RENDERS
from .paper_step import filter_name

INTRODUCTION = f"""\
# How fast it trains{{where}}

Written whole by `python -m tests.benchmarks`; no figure here was typed in. To run it on your machine, see the end.

- **{PAPER}**: one training step of the published system (Shier et al., NIME 2024), written for this benchmark from
  the paper: envelopes by cumulative product, phases by cumulative sum, filters over time, one second of sound, 66
  frames, each K-weighted from rest, a windowed FFT each for centroid and flatness. It is no copy of the authors' code,
  and is not made slow: tests hold its sound, features and gradients against timbrekit's (`tests/test_benchmarks.py`).
- **{PUBLISHED_HERE}**: the same experiment (hop, features, loss, one fixed noise) in timbrekit's implementation:
  closed forms in time, filters as spectra, FFTs with a gradient of their own, and of the sound only the 0.74 s that the
  features look at.
- **{OURS}**: what `timbrekit train` does. It also hears only every fourth frame of the sustain; its features are
  gated, the noise is new in every batch and finds the filter as the hit before left it. Its network is the paper's
  large one; the other two train the small one.
"""

QUICK = (
    "**A quick run on a few seconds of the recording: it shows that all works; its figures do not count.**\n"
)

MEASURED = f"""\
The error is the mean over the seven features of (mean absolute error / that of the bare preset): 0 follows exactly, 1
not at all. Both mappings are measured by the same function, in two ways:

- *published*: features that count silence, one fixed noise, phase 0. What the published recipe trains on; ours not.
- *played*: gated features, the mean of {RENDERS} noises and phases, the noise filter as the hit before left it, as in
  the plug-in. What ours trains on, with thinner frames; the published recipe not.

All differences are from the same reference hit. Each mapping hears its own onset windows, scaled by the ranges of the
take; the published one is centred on the reference hit, as in its training (its export forgets that).

*{OURS_THERE}* is our training with nothing changed but what it follows: the published features (still every fourth
frame of the sustain), the one fixed noise, and the published windows: what our way of training does for the paper's own
error.
"""


ON_TWO_THREADS = (
    "with two threads timbrekit uses a second process (`training.fast.worker`), whose time comes on top."
)
ON_GPU = """\
all wait for the GPU to end. timbrekit's steps are captured and replayed there
(`timbrekit/training/fast/cuda_graph.py`); the paper-style step is started operation by operation."""


def build_page(results: dict[str, Any]) -> str:
    """The page.

    Args:
        results: ``about`` (recording, hits, command, quick, full, threads, device, load …), ``steps`` by number of
            threads (:func:`jobs.time_steps`), ``growth`` as ``[contender, hits, measured]``
            (:func:`jobs.measure_growth`), ``quality`` (:func:`jobs.time_to_quality`).
    """
    about = results["about"]
    introduction = INTRODUCTION.format(where=" on a GPU" if about["device"] == "cuda" else "")
    parts = [introduction, *([QUICK] if about["quick"] else []), _machine(about)]
    parts += [_steps(results["steps"], about), _growth(results["growth"], about)]
    parts += [_quality(results["quality"], results["steps"], about), _again(about)]
    return "\n".join(parts)


def _machine(about: dict[str, Any]) -> str:
    hits = f"{about['hits']} found; {about['held_out']} kept out of all training; {about['epoch_hits']} in an epoch"
    rows = [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("GPU", torch.cuda.get_device_name() if about["device"] == "cuda" else "not used"),
        ("software", f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"),
        ("filters of the paper-style step", filter_name()),
        ("recording", about["recording"]),
        ("hits", hits),
        ("preset", f"{PRESET}, at {about['sample_rate']} Hz"),
        ("other work on the machine", f"load average {about['load']:.1f} at the start"),
        ("date", date.today().isoformat()),
    ]
    return "## Measured on\n\n" + _table(("", ""), rows)


def _steps(steps: dict[str, Any], about: dict[str, Any]) -> str:
    text = f"""\
## A batch of {BATCH} hits, and an epoch

All three in one process, in turn, batch by batch and epoch by epoch: median (smallest–largest). Batches:
{about["repetitions"]}, after {about["warm_up"]} to warm up; epochs: {about["epochs"]}, of {about["epoch_hits"]} hits.
*Forward*: network, synthesiser, features, loss. *Step*: that, the gradients and Adam. CPU time counts all threads of
the process; {ON_GPU if about["device"] == "cuda" else ON_TWO_THREADS}
*Times as fast*: the paper-style step's median epoch over this one's, wall time.
"""
    header = ("threads", "", "forward, ms", "step, ms", "epoch, s", "epoch, CPU s", "times as fast")
    rows = []
    for threads, measured in steps.items():
        times = measured["times"]
        slowest = statistics.median(times[PAPER]["epoch"]["wall"])
        for name in CONTENDERS:
            epoch = times[name]["epoch"]
            rows.append(
                (
                    threads,
                    name,
                    _spread(times[name]["forward"]["wall"]),
                    _spread(times[name]["step"]["wall"]),
                    _spread([ms / 1000 for ms in epoch["wall"]]),
                    _spread([ms / 1000 for ms in epoch["cpu"]]),
                    f"{slowest / statistics.median(epoch['wall']):.1f}",
                )
            )
    return text + "\n" + _table(header, rows)


def _growth(growth: list[list[Any]], about: dict[str, Any]) -> str:
    memory = "GPU memory allocated" if about["device"] == "cuda" else "resident memory of the process"
    threads, practice = _threads(about["growth_threads"]), about["practice"]
    text = f"""\
## More hits

One epoch over so many hits after one batch to warm up, {threads}, each in a process of its own, the two in turn.
Beyond {practice} hits the recording's are taken again. *Memory*: peak of the {memory} in MiB; *added*:
how much of that came with the training, on top of Python, torch, network and features. The recording itself (0.19 MB
per hit at 48 kHz) is left out for both.
"""
    header = (
        "hits",
        *(f"{name}: {what}" for name in (PAPER, OURS) for what in ("ms per hit", "memory", "added")),
    )
    measured = {(name, hits): values for name, hits, values in growth}
    rows = []
    for hits in sorted({hits for _, hits in measured}):
        row: list[Any] = [hits]
        for name in (PAPER, OURS):
            values = measured[name, hits]
            peak, before = values["peak"], values["before"]
            row += [
                f"{values['ms_per_hit']:.{min(_digits(values['ms_per_hit']), 2)}f}",
                "–" if peak is None else f"{peak:.0f}",
                "–" if peak is None or before is None else f"{peak - before:.0f}",
            ]
        rows.append(row)
    return text + "\n" + _table(header, rows)


def _quality(quality: dict[str, Any], steps: dict[str, Any], about: dict[str, Any]) -> str:
    threads, full, published = about["quality_threads"], about["full"], quality["published"]
    epoch_s = statistics.median(steps[str(threads)]["times"][PAPER]["epoch"]["wall"]) / 1000
    epochs, seconds, *targets = published[-1]
    whole, rate = seconds if full else epoch_s * epochs, PUBLISHED.learning_rate
    if full:
        source = f"""\
Measured directly: everything. The published recipe was trained in the paper-style step: {epochs} epochs,
{whole:.0f} s, its validation included."""
    else:
        source = f"""\
Measured directly: our training's seconds, and the errors. **Multiplied**: the paper-style step's seconds, {epoch_s:.2f}
per epoch (the table above) times epochs, its validation not counted. How many epochs it needs, and what error it ends
with, comes from running the published recipe (learning rate {rate:g}, {epochs} epochs) in timbrekit's implementation:
the same experiment. `--full` runs it in the paper-style step itself, {whole / 60:.0f} minutes here."""
    text = f"""\
## Time to the same quality

How long until the {about["held_out"]} held-out hits, on which neither trains, are followed as well as the published
recipe follows them in the end; {_threads(threads)}.

{MEASURED}
{source}
"""
    if quality["first"]:
        text += f"""
The first training of a process, which brings the GPU up, took {quality["first"]:.1f} s. Those below come after it.
"""
    rows: list[tuple[str, ...]] = []
    for column, measure in enumerate(MEASURES, start=2):
        target = targets[column - 2]
        first = next(look for look in published if look[column] <= target)
        first_s = first[1] if full else epoch_s * first[0]
        start = f"{whole:.0f} ({epochs} epochs)", f"{first_s:.0f} (epoch {first[0]})", f"{target:.3f}"
        rows.append((measure, f"published recipe, {PAPER}", *start, "", ""))
        ours = [(name, *run) for name, key in ((OURS, "ours"), (OURS_THERE, "there")) for run in quality[key]]
        for name, run, total in ours:
            reached = next((look for look in run if look[column] <= target), None)
            rows.append(
                (
                    measure,
                    name,
                    f"{total:.1f} ({len(run)} epochs)",
                    f"{reached[1]:.1f} (epoch {reached[0]})" if reached else "not reached",
                    f"{run[-1][column]:.3f}",
                    f"{whole / reached[1]:.0f}" if reached else "–",
                    f"{first_s / reached[1]:.0f}" if reached else "–",
                )
            )
    header = (
        "error",
        "training",
        "the whole of it, s",
        "first as good as the published recipe's end, s",
        "error in the end",
        "times as fast as the whole recipe",
        "times as fast as its first time there",
    )
    seeds = ", ".join(map(str, about["seeds"]))
    return f"""\
{text}
{_table(header, rows)}
The published recipe was looked at every {EVERY} epochs, ours after each, at the mapping that each would keep if it
stopped there; the looking is not counted. Our seconds include the preset's measuring, warm start and all validation.
Rows of ours: seed {seeds}. The published recipe: seed 0.
"""


def _again(about: dict[str, Any]) -> str:
    return f"""\
## Run it

In a clone, installed with the test extras:

```sh
python -m tests.benchmarks            # on the sample recording, some ten minutes
python -m tests.benchmarks --quick    # under a minute: does it run?
python -m tests.benchmarks --full     # trains the published recipe in the paper-style step, too
python -m tests.benchmarks --device cuda --recording my_snare.wav --out my_benchmarks.md
```

This page: `{about["command"]}`, {about["minutes"]:.1f} minutes.
"""


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _spread(values: list[float]) -> str:
    middle = statistics.median(values)
    digits = _digits(middle)
    return f"{middle:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _digits(value: float) -> int:
    """Behind the point, so that at least two count."""
    return 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 4


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
