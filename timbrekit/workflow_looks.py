"""From a recording to a folder with a model that listens on while a hit rings, for the page and nn~."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from timbrekit.export.looks_model import describe_looks, write_looks_model
from timbrekit.export.metadata import describe_training
from timbrekit.files import write_json
from timbrekit.plugin.as_played import AsPlayed, measure_looks_as_played
from timbrekit.presets import Preset
from timbrekit.recording import write_wav
from timbrekit.recording.prepare import Prepared
from timbrekit.results.looks import measure_looks_held_out, measure_looks_unseen
from timbrekit.results.plots import save_report_picture
from timbrekit.results.report import build_report, write_card
from timbrekit.results.situations import UNSEEN
from timbrekit.results.unseen import OtherTake, error_bars, velocity_model
from timbrekit.training.bounds import optimize_directly
from timbrekit.training.looks import train_looks
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take
from timbrekit.training.train import Epoch, Trained

LOOKS_FILES = ("report.json", "report.png", "card.txt", "rehearsal.wav", "model.pt")


def train_looks_into(
    staging: Path,
    prepared: Prepared,
    take: Take,
    other: OtherTake | None,
    preset: Preset,
    name: str,
    settings: Settings,
    progress: Callable[[Epoch], None] | None,
    stage: Callable[[str], None],
    bounds: bool,
) -> tuple[dict[str, Any], Trained, dict[str, AsPlayed]]:
    """Train, rehearse, prove and write ``LOOKS_FILES``. Arguments and errors as of ``timbrekit.workflow.train_model``.

    Returns:
        The report, the training, what was played.
    """
    samples, rate = prepared.recording.samples, prepared.recording.sample_rate
    synth = preset.instrument()
    stage("Training")
    trained = train_looks(take, preset, settings, progress)
    stage("Measuring")
    held_out = measure_looks_held_out(take, trained, preset)
    seconds = prepared.recording.duration_s
    described = describe_training(
        trained.mapping.mapping, preset, take, name, seconds, settings, held_out.error_ratio
    )
    model = write_looks_model(
        trained.mapping, describe_looks(described, trained.mapping), staging / "model.pt"
    )
    stage("Rehearsing")
    played = measure_looks_as_played(model.module, samples, take, synth=synth)
    stage(UNSEEN)
    velocity = velocity_model(take, preset, trained.split.train, settings.seed)
    unseen = measure_looks_unseen(model.module, velocity, take, samples, trained.split, synth, played, other)
    reached = {}
    if bounds:
        stage("Computing the bounds")
        reached["direct optimisation"] = optimize_directly(take, preset, np.arange(len(take)))
    findings = [asdict(finding) for finding in prepared.findings]
    situations = {"cold": played}
    report = build_report(name, preset, take, trained, held_out, situations, None, findings, unseen, reached)
    write_wav(staging / "rehearsal.wav", played.rehearsal.audio, rate)
    (staging / "card.txt").write_text(write_card(report, preset), encoding="utf-8")
    missed = prepared.suggestion.missed if prepared.suggestion else ()
    bars = error_bars(report["unseen"])
    save_report_picture(
        staging / "report.png", samples, take, trained, bars, played, preset.parameters, missed
    )
    write_json(staging / "report.json", report)
    return report, trained, situations
