"""From a recording to a folder with everything a player needs. The command line and the notebooks call this."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from timbrekit.errors import GpuError, OutputError
from timbrekit.export.check import open_model
from timbrekit.export.looks_model import write_looks_model
from timbrekit.export.metadata import describe_training
from timbrekit.export.model_file import listener_of
from timbrekit.export.torchdrum import write_model
from timbrekit.files import staging_folder, write_json
from timbrekit.plugin.as_played import AsPlayed, rehearse_as
from timbrekit.plugin.primer import make_primer
from timbrekit.presets import Preset
from timbrekit.recording import Recording, read_recording, write_wav
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.recording.prepare import Prepared
from timbrekit.results.looks import measure_looks_held_out
from timbrekit.results.measure import detector_of
from timbrekit.results.naming import check_name, default_name
from timbrekit.results.plots import save_report_picture
from timbrekit.results.report import build_report, measure_held_out, write_card
from timbrekit.results.situations import measure_situations
from timbrekit.results.unseen import error_bars, other_take
from timbrekit.synth import find_synth
from timbrekit.training.bounds import optimize_directly, predict_from_onsets
from timbrekit.training.fast.train import train
from timbrekit.training.looks import train_looks
from timbrekit.training.names import MEL
from timbrekit.training.published import as_exported, published_preset, published_windows
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, make_take
from timbrekit.training.train import Epoch, Trained

# Training's. A model with a mel listener has no primer: it needs none.
FILES = ("report.json", "report.png", "card.txt", "primer.wav", "rehearsal.wav", "model.pt")


@dataclass(frozen=True)
class Outcome:
    """What training left behind."""

    folder: Path
    report: dict[str, Any]
    trained: Trained
    take: Take
    played: dict[str, AsPlayed]

    @property
    def model(self) -> Path:
        return self.folder / "model.pt"

    @property
    def whole(self) -> AsPlayed:
        """What its host plays: a plug-in that knows the ranges, where it has any to learn."""
        return self.played.get("after_primer", self.played["cold"])


def train_model(
    prepared: Prepared,
    preset: Preset,
    folder: str | Path,
    settings: Settings | None = None,
    progress: Callable[[Epoch], None] | None = None,
    stage: Callable[[str], None] | None = None,
    bounds: bool = False,
    checkpoint: str | Path | None = None,
    test: Recording | None = None,
    name: str | None = None,
) -> Outcome:
    """Train, rehearse, prove and write ``model.pt, report.json, report.png, rehearsal.wav, primer.wav, card.txt``.

    All files are made in a folder beside and then put in place, so that nothing half-made is left behind. Ctrl-C
    (KeyboardInterrupt) once there is a model keeps what was reached, without rehearsal, picture and verdict.

    Args:
        prepared: from :func:`prepare`.
        preset: the sound to modulate.
        folder: where the files go; files of those names are replaced.
        settings: how to train. Where a GPU fails, training starts again on the CPU, and says so.
        progress: called after each epoch.
        stage: called with a few words at each step.
        bounds: also compute how far the preset can follow at all and what the onsets can tell (a minute more).
        checkpoint: file in which work that was cut off is found again (``training.fast.train``); removed at the end.
        test: another recording of the same drum, at the same gain and sample rate, to measure the model on. Without it
            the end of the take is held out for that.
        name: of the instrument, for people; made of the recording's and the preset's if None.

    Raises:
        TrainingError: too few hits.
        RecordingError: no hit in the other recording.
        ModelFileError: the model would not work in its host.
        OutputError: the folder cannot be written.
    """
    settings = settings or Settings()
    name = check_name(name) if name else default_name(prepared.recording.name, preset, settings.listener)
    stage = stage or (lambda words: None)
    folder = Path(folder)
    _check_writable(folder)
    recording, samples, hits = prepared.recording, prepared.recording.samples, prepared.hits
    take = make_take(hits)  # every model is measured on this one
    other = None if test is None else other_take(test, take)
    if other and settings.split == "contiguous":
        settings = replace(settings, split="whole")

    stage("Training")
    trained = _train(prepared, take, preset, settings, progress, checkpoint, stage)
    stage("Measuring")
    mel = settings.listener == MEL
    held_out = (measure_looks_held_out if mel else measure_held_out)(take, trained, preset)
    primer = None if mel else make_primer(samples, recording.sample_rate, hits.settings)
    with staging_folder(folder) as staging:
        network = trained.mapping.mapping if mel else trained.mapping
        described = describe_training(
            network, preset, take, name, recording.duration_s, trained.settings, held_out.error_ratio
        )
        write = write_looks_model if mel else write_model
        model = write(trained.mapping, described, staging / "model.pt")
        found, reached = None, {}
        try:
            if not trained.interrupted:
                stage("Rehearsing")
                measured = measure_situations(
                    model.module, preset, samples, take, trained, primer, other, stage
                )
                if bounds:
                    stage("Computing the bounds")
                    reached["direct optimisation"] = optimize_directly(take, preset, np.arange(len(take)))
                    if not mel:
                        reached["onset information"] = predict_from_onsets(take)
                found = measured
        except KeyboardInterrupt:
            # Whoever has pressed Stop has the model, and is not kept waiting for its figures.
            trained = replace(trained, interrupted=True)
        findings = [asdict(finding) for finding in prepared.findings]
        played, unseen = (found.played, found.unseen) if found else ({}, None)
        report = build_report(
            name, preset, take, trained, held_out, played, primer, findings, unseen, reached
        )
        outcome = Outcome(folder, report, trained, take, played)
        if primer:
            write_wav(staging / "primer.wav", primer.samples, primer.sample_rate)
        (staging / "card.txt").write_text(write_card(report, preset), encoding="utf-8")
        if found:
            write_wav(staging / "rehearsal.wav", found.sound, recording.sample_rate)
            missed = prepared.suggestion.missed if prepared.suggestion else ()
            errors, picture = error_bars(report["unseen"]), staging / "report.png"
            save_report_picture(
                picture, samples, take, trained, errors, outcome.whole, preset.parameters, missed
            )
        write_json(staging / "report.json", report)
        for file in FILES:
            if (staging / file).exists():
                os.replace(staging / file, folder / file)
            else:
                (folder / file).unlink(missing_ok=True)  # of an earlier training
    if checkpoint and found:
        Path(checkpoint).unlink(missing_ok=True)  # not before: whatever cuts this off, training is not lost
    return outcome


def _train(
    prepared: Prepared,
    take: Take,
    preset: Preset,
    settings: Settings,
    progress: Callable[[Epoch], None] | None,
    checkpoint: str | Path | None,
    stage: Callable[[str], None],
) -> Trained:
    """For the settings' listener, by their recipe; on the CPU where a GPU fails."""
    if settings.listener == MEL:
        return train_looks(take, preset, settings, progress, checkpoint, stage)
    source, sound = take, preset
    if settings.recipe == "published":
        hits, samples = prepared.hits, prepared.recording.samples
        source, sound = published_windows(hits, samples), published_preset(preset)
    try:
        trained = train(source, sound, settings, progress, checkpoint, stage)
    except GpuError as error:
        stage(f"{error} It starts again there")
        trained = train(source, sound, replace(settings, device="cpu"), progress, checkpoint, stage)
    return as_exported(trained) if settings.recipe == "published" else trained


def _check_writable(folder: Path) -> None:
    """Before minutes are spent on what could not be kept."""
    with staging_folder(folder):
        for name in FILES:
            if (folder / name).is_dir():
                raise OutputError(
                    f"{folder / name} is a folder, where a file has to go. Choose another folder."
                )


def rehearse_file(
    model: str | Path,
    recording: str | Path,
    output: str | Path,
    trace: str | Path | None = None,
    sample_rate: int | None = None,
    primer: str | Path | None = None,
    settings: DetectorSettings | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Rehearse a recording and write the sound, and every step of it where a trace is asked for.

    Args:
        model: a model file.
        recording: played at its own sample rate, as the plug-in would see it, unless another is asked for.
        output: WAV file to write.
        trace: ``.npz`` file to write.
        sample_rate: Hz to resample to first.
        primer: recording sent through the plug-in before.
        settings: the plug-in's onset controls; None is those the model was trained with, the plug-in's defaults where
            the file does not say.
        options: sensitivity, dry_wet, seed: see ``timbrekit.plugin.rehearse.rehearse``.
    """
    read = read_recording(recording, sample_rate)
    before = None if primer is None else read_recording(primer, read.sample_rate).samples
    opened = open_model(model)
    own = None if settings else detector_of(opened.metadata)
    whose = "given" if settings else "model" if own else "default"
    settings = settings or own or DetectorSettings()
    synth = find_synth(opened.synth, opened.metadata.get("drum"))
    options |= {"primer": before, "synth": synth}
    listener = listener_of(opened.metadata)
    rehearsal = rehearse_as(listener, opened.module, read.samples, read.sample_rate, settings, **options)
    write_wav(output, rehearsal.audio, read.sample_rate)
    if trace:
        rehearsal.save_trace(trace)
    return {
        "output": str(output),
        "sample_rate": read.sample_rate,
        "seconds": read.duration_s,
        "triggers": len(rehearsal.triggers),
        "dropped": len(rehearsal.dropped),
        "detector": settings.to_json(),
        "detector_from": whose,
    }
