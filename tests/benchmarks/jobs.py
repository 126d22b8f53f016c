"""Measurements, each in a process of its own, so that threads and memory are its own: JSON in, JSON out.

``python -m tests.benchmarks.jobs JSON``: the last line of what it prints is the result.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timbrekit.features import TimbreFeatures
from timbrekit.mapping import Mapping
from timbrekit.presets import Preset, load_preset
from timbrekit.training.fast.train import train
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.published import PUBLISHED
from timbrekit.training.settings import Settings
from timbrekit.training.split import split_at_random
from timbrekit.training.take import Take, scale_to_range
from timbrekit.training.train import Epoch

from .contenders import (
    CONTENDERS,
    PRESET,
    SEED,
    Material,
    load_material,
    make_contender,
    published_preset,
    run_steps,
    train_paper_style,
)

BATCH = 16  # hits
RENDERS = 4  # noises and phases over which the held-out error with fresh noise is averaged
MEASURES = ("published", "played")  # held-out errors, see ``HeldOutError``
EVERY = 10  # epochs of the published recipe between two looks at its held-out error


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """What ``job`` asks for, measured in this process. Its keys are those that ``__main__`` gives."""
    torch.set_num_threads(job["threads"])
    measure = {"steps": time_steps, "growth": measure_growth, "quality": time_to_quality}[job["kind"]]
    return measure(load_material(job["material"]), job)


def time_steps(material: Material, job: dict[str, Any]) -> dict[str, Any]:
    """Batches, then whole epochs, of all contenders in turn: ``{contender: {what: {wall, cpu}}}``, lists in ms."""
    trainings = {name: make_contender(name, material, job["device"], job["threads"]) for name in CONTENDERS}
    found: dict[str, Any] = {
        name: {what: {"wall": [], "cpu": []} for what in ("forward", "step", "epoch")} for name in CONTENDERS
    }
    take = material.for_training("gated")  # the published one has its own split, just as large
    hits = split_at_random(take.timbre[:, 0], take.reference, SEED).train
    generator = np.random.default_rng(SEED)
    for repetition in range(-job["warm_up"], job["repetitions"]):
        batch = generator.choice(hits, min(BATCH, len(hits)), replace=False)
        for name, training in trainings.items():
            clock = Clock(job["device"])
            with torch.no_grad():
                training.loss(batch)
            forward, clock = clock.read(), Clock(job["device"])
            training.step(batch)
            if repetition >= 0:
                _note(found[name]["forward"], forward)
                _note(found[name]["step"], clock.read())
    for _ in range(job["epochs"]):
        for name, training in trainings.items():
            shuffled = generator.permutation(hits)
            clock = Clock(job["device"])
            run_steps(training, shuffled, BATCH)
            _note(found[name]["epoch"], clock.read())
    return {"hits": len(hits), "times": found}


class Clock:
    """Wall and CPU time since it was made, in ms. On a GPU it waits for the work to end."""

    def __init__(self, device: str):
        self.cuda = device == "cuda"
        self._wait()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        self._wait()
        return 1000 * (time.perf_counter() - self.wall), 1000 * (time.process_time() - self.cpu)

    def _wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()


def _note(lists: dict[str, list[float]], measured: tuple[float, float]) -> None:
    for key, value in zip(("wall", "cpu"), measured, strict=True):
        lists[key].append(value)


def measure_growth(material: Material, job: dict[str, Any]) -> dict[str, Any]:
    """An epoch over ``hits`` hits by one contender: ms per hit, and peak memory in MiB before and with it."""
    training = make_contender(job["contender"], material, job["device"])
    hits = np.arange(job["hits"]) % len(material.practice)
    if job["device"] == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
    else:
        before = reset_peak_memory()
    run_steps(training, hits[:BATCH], BATCH)  # the first batch is slower: caches, tables, memory to ask for
    clock = Clock(job["device"])
    run_steps(training, hits, BATCH)
    wall, cpu = clock.read()
    peak = torch.cuda.max_memory_allocated() / 2**20 if job["device"] == "cuda" else peak_memory()
    return {"ms_per_hit": wall / len(hits), "cpu_ms_per_hit": cpu / len(hits), "before": before, "peak": peak}


def reset_peak_memory() -> float | None:
    """MiB in use now; from here on :func:`peak_memory` counts anew. None except on Linux."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _of_proc_status("VmRSS")


def peak_memory() -> float | None:
    """Largest resident memory of this process in MiB, since the last reset where there was one."""
    if Path("/proc/self/status").is_file():  # not getrusage: its peak starts at the parent's
        return _of_proc_status("VmHWM")
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _of_proc_status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


@dataclass(frozen=True)
class HeldOutError:
    """How far from the held-out hits a mapping plays: mean over the features of error / error of the bare preset.

    *published*: features that count silence, one fixed noise, phase 0: what the published recipe trains on and reports.
    *played*: gated features, fresh noise and phases, the filter as the hit before left it: what the plug-in plays.
    """

    takes: tuple[Take, Take]
    voices: tuple[SynthPlayer, SynthPlayer]
    held_out: Tensor

    @classmethod
    def of(cls, material: Material) -> "HeldOutError":
        preset, rate = load_preset(PRESET), material.gated.hits.sample_rate
        takes = material.published, material.gated
        voices = (
            SynthPlayer(preset, takes[0], TimbreFeatures(rate, gated=False), fresh_noise=False),
            SynthPlayer(preset, takes[1], TimbreFeatures(rate), fresh_noise=True),
        )
        return cls(takes, voices, torch.from_numpy(material.held_out))

    def __call__(self, mapping: Mapping, heard: Take, practised: Take) -> tuple[float, float]:
        """Of a mapping that hears the windows of ``heard``, scaled by the ranges of what it was trained on."""
        from timbrekit.plugin.as_played import (
            error_ratio,  # brings scipy.stats, which the other jobs do without
        )

        inputs = scale_to_range(heard.onset[self.held_out], practised.minimum, practised.maximum).clamp(0, 1)
        ratios = []
        for take, voice in zip(self.takes, self.voices, strict=True):
            renders = RENDERS if voice.fresh_noise else 1
            index = self.held_out.repeat(renders)
            generator = torch.Generator().manual_seed(SEED)
            with torch.no_grad():
                parameters = mapping.parameters_for(inputs).repeat(renders, 1)
                parts = zip(parameters.split(BATCH), index.split(BATCH), strict=True)
                played = torch.cat([voice.differences(*part, generator) for part in parts])
            ratios.append(float(error_ratio(played.numpy(), take.intended[index].numpy()).mean()))
        return ratios[0], ratios[1]


def time_to_quality(material: Material, job: dict[str, Any]) -> dict[str, Any]:
    """Held-out errors along the published recipe and along our default training, and at what second ours had them.

    Returns:
        ``published``: ``[epoch, seconds, error, error]`` every few epochs. The seconds are the paper-style step's with
        ``full``; else the recipe runs in our implementation, and they are None. ``ours``: for each seed the same after
        every epoch, and the seconds of the training as a whole; ``there``: likewise, with the published features, one
        noise and the published windows; ``first``: seconds of a training before all, on a GPU.
    """
    began, first = time.perf_counter(), None
    if job["device"] == "cuda":  # the first training of a process waits for the GPU to be brought up
        train(material.for_training("gated"), load_preset(PRESET), _our_settings(job))
        first = time.perf_counter() - began
    error_of = HeldOutError.of(material)
    practised = material.for_training("published")
    epochs = job["published_epochs"]
    published: list[tuple[int, float | None, float, float]] = []
    if job["full"]:
        watch = _Stopwatch()

        def look(number: int, mapping: Mapping) -> None:
            if number % EVERY == 0 or number == epochs:
                with watch:
                    published.append(
                        (number, watch.seconds, *error_of(mapping, material.published, practised))
                    )

        train_paper_style(practised, epochs, job["device"], look)
    else:
        # The mapping as trained; its export forgets the centring.
        settings = replace(PUBLISHED, epochs=epochs, device=job["device"], seed=SEED)
        for number, mapping in _mappings_along(
            practised, published_preset(load_preset(PRESET)), settings, EVERY
        ):
            published.append((number, None, *error_of(mapping, material.published, practised)))
    ours = [_our_run(material, error_of, "gated", seed, job) for seed in job["seeds"]]
    there = [_our_run(material, error_of, "published", seed, job) for seed in job["seeds"]]
    return {"published": published, "ours": ours, "there": there, "first": first}


def _our_run(
    material: Material, error_of: HeldOutError, which: str, seed: int, job: dict[str, Any]
) -> tuple[list[tuple[int, float, float, float]], float]:
    """Timed in one go; then once more, stopped after each epoch, for the mappings on the way.

    ``which``: gated or published features.
    """
    heard, practised, preset = getattr(material, which), material.for_training(which), load_preset(PRESET)
    settings = replace(_our_settings(job), seed=seed, features=which, fresh_noise=which == "gated")
    seconds: list[float] = []
    began = time.perf_counter()
    train(practised, preset, settings, lambda epoch: seconds.append(time.perf_counter() - began))
    total = time.perf_counter() - began
    run = [
        (number, seconds[number - 1], *error_of(mapping, heard, practised))
        for number, mapping in _mappings_along(practised, preset, settings, 1)
    ]
    return run, total


def _our_settings(job: dict[str, Any]) -> Settings:
    settings = replace(Settings(), device=job["device"])
    return replace(settings, epochs=2, warm_start=False) if job["quick"] else settings


def _mappings_along(
    take: Take, preset: Preset, settings: Settings, every: int
) -> Iterator[tuple[int, Mapping]]:
    """``(epoch, mapping)`` every few epochs of a training: what it would keep if it stopped there.

    It does stop there, and goes on from its checkpoint, to the same result as if it had not.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "training.checkpoint"

        def stop(epoch: Epoch) -> None:
            if epoch.number % every == 0:
                raise KeyboardInterrupt

        interrupted = True
        while interrupted:
            trained = train(take, preset, settings, stop, checkpoint)
            epoch = trained.history[-1]
            interrupted = epoch.number < epoch.of
            yield epoch.number, trained.mapping


class _Stopwatch:
    """Seconds since it was made, without those within ``with``."""

    def __init__(self):
        self.began, self.away = time.perf_counter(), 0.0
        self.left: float | None = None

    @property
    def seconds(self) -> float:
        return (time.perf_counter() if self.left is None else self.left) - self.began - self.away

    def __enter__(self) -> None:
        self.left = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.away += time.perf_counter() - self.left
        self.left = None


if __name__ == "__main__":
    print(json.dumps(run_job(json.loads(sys.argv[1]))))
