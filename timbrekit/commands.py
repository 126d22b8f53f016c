"""What each ``timbrekit …`` command does: read its arguments, call the library, print."""

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from timbrekit.cli import BAD_INPUT, INTERRUPTED, OK
from timbrekit.errors import OutputError
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth.parameters import PARAMETERS, SAMPLE_RATE

BAR_WIDTH = 24
MOST_PLACES = 8  # of unsure sounds, in the words
# Options of ``timbrekit experiment`` that only one of its tables has, or only a run of either.
PLAYED_ONLY = ("recipes", "models", "no_bounds")
PAPER_ONLY = ("rows", "features", "iterations", "shard", "batch")
RUN_ONLY = ("recordings", "presets", "seeds", "first_seed", "epochs", "out")
UNFINISHED = "unfinished.pt"  # there only after a power cut or a kill: the next run goes on from it


def train(options: argparse.Namespace) -> int:
    from timbrekit.presets import load_preset
    from timbrekit.training.settings import make_settings
    from timbrekit.workflow import FILES, prepare, removed_if_empty, train_model

    preset = load_preset(options.preset)
    for name in FILES:
        _keep(options.recording, options.out / name)
    settings = make_settings(options.recipe, options.model, options.epochs, options.seed, options.device)
    talk = _say if not options.json else lambda words: None
    began = time.perf_counter()
    talk(f"Reading {options.recording.name}")
    prepared = prepare(options.recording, options.sample_rate, _detector(options))
    for finding in prepared.findings:
        talk(f"  note: {finding.advice}")
    hits = prepared.hits
    talk(f"  {_counted(len(hits), 'hit')} found, {len(hits.dropped)} dropped")
    talk(f"  heard at {prepared.recording.sample_rate} Hz with {_knobs(hits.settings)}")
    bar = _Bar(visible=sys.stderr.isatty())
    unfinished = options.out / UNFINISHED
    with _interruptible(), removed_if_empty(options.out):
        outcome = train_model(prepared, preset, options.out, settings, bar, talk, options.bounds, unfinished)
    report = outcome.report
    talk(report["verdict"])
    talk(f"Everything is in {outcome.folder}: load model.pt in the plug-in, and read card.txt.")
    summary = {
        key: report[key] for key in ("hits_kept", "hits_dropped", "error_ratio", "error_ratio_per_feature")
    }
    summary |= {key: report[key] for key in ("as_played", "detector", "verdict")}
    _finish(options, {"model": str(outcome.model), "seconds": time.perf_counter() - began, **summary})
    return INTERRUPTED if outcome.trained.interrupted else OK


def rehearse(options: argparse.Namespace) -> int:
    from timbrekit.workflow import rehearse_file

    for output in (options.output, options.trace):
        for read in (options.model, options.recording, options.primer):
            if output and read:
                _keep(read, output)
    result = rehearse_file(
        options.model,
        options.recording,
        options.output,
        trace=options.trace,
        sample_rate=options.sample_rate,
        primer=options.primer,
        settings=_detector(options),
        sensitivity=options.sensitivity,
        dry_wet=options.dry_wet,
        seed=options.seed,
    )
    if not options.json:
        whose = {"given": "as given", "model": "the model's own", "default": "the plug-in's defaults"}
        _say(
            f"{_counted(result['triggers'], 'hit')} played, {result['seconds']:.1f} s of sound in {options.output}"
            f" (at {result['sample_rate']} Hz, with {_knobs(DetectorSettings(**result['detector']))},"
            f" {whose[result['detector_from']]})"
        )
    _finish(options, result)
    return OK


def onsets(options: argparse.Namespace) -> int:
    from timbrekit.recording import read_recording
    from timbrekit.recording.onsets import detect
    from timbrekit.recording.suggest import suggest_settings
    from timbrekit.results.report import detector_json

    recording = read_recording(options.recording, options.sample_rate)
    rate = recording.sample_rate
    settings = _detector(options) or DetectorSettings()
    found = detect(recording.samples, recording.sample_rate, settings)
    suggestion = suggest_settings(recording.samples, recording.sample_rate)
    suggested = detect(recording.samples, recording.sample_rate, suggestion.settings)
    if not options.json:
        whose = "these settings" if _detector(options) else "its defaults"
        _say(
            f"At {rate} Hz, with {whose} ({_knobs(settings)}), the plug-in triggers "
            f"{_counted(len(found.triggers), 'time')} on {recording.name}."
        )
        heard = f"Of {_counted(len(suggestion.reference_onsets), 'hit')} heard, its defaults catch "
        heard += f"{suggestion.caught_default}"
        if suggestion.changed:
            heard += (
                f"; {suggestion.caught_suggested} with {_knobs(suggestion.settings)}, which is suggested and what "
                "train uses unless told otherwise"
            )
        _say(heard + ("." if suggestion.changed else "; no other settings are clearly better."))
        if len(suggestion.unsure):
            places = ", ".join(f"{at / rate:.2f}" for at in suggestion.unsure[:MOST_PLACES])
            more = " …" if len(suggestion.unsure) > MOST_PLACES else ""
            _say(
                f"Not sure of {_counted(len(suggestion.unsure), 'more sound')}, faint or covered by what rings: at "
                f"{places}{more} s. If they are hits, play them harder, or turn down the Trigger Threshold."
            )
        if rate != SAMPLE_RATE and options.sample_rate is None:
            _say(
                f"This is the recording's own rate. train and inspect work at {SAMPLE_RATE} Hz, where counts can "
                f"differ a little: --sample-rate {SAMPLE_RATE} shows theirs."
            )
    _finish(
        options,
        {
            "sample_rate": recording.sample_rate,
            "detections": found.positions.tolist(),
            "suggested": detector_json(suggestion.settings),
            "suggested_detections": suggested.positions.tolist(),
            "reference_onsets": suggestion.reference_onsets.tolist(),
            "missed": suggestion.missed.tolist(),
            "unsure": suggestion.unsure.tolist(),
            "detector": detector_json(settings),
        },
    )
    return OK


def presets(options: argparse.Namespace) -> int:
    from timbrekit.presets import load_preset, preset_names

    presets = [load_preset(name) for name in preset_names()]
    if not options.json:
        for preset in presets:
            _say(f"{preset.name:14} {preset.description}")
    _finish(options, {"presets": [preset.to_json() for preset in presets], "parameters": _parameter_table()})
    return OK


def check(options: argparse.Namespace) -> int:
    from timbrekit.export.check import check_model

    result = check_model(options.model)
    if not result.ready:
        first, *further = result.problems
        print(f"timbrekit: {options.model.name} is not ready for the plug-in: {first}", file=sys.stderr)
    if not options.json:
        if result.ready:
            _say(f"{options.model.name} is ready for the plug-in.")
        for line in (*(() if result.ready else further), *result.notes):
            _say(f"  {line}")
        if result.metadata:
            _say(f"  Written by timbrekit: {result.metadata.get('name')}, {result.metadata.get('date')}")
    _finish(options, _finite(asdict(result)))
    return OK if result.ready else BAD_INPUT


def inspect(options: argparse.Namespace) -> int:
    from timbrekit.results.report import detector_json
    from timbrekit.workflow import prepare

    prepared = prepare(options.recording, options.sample_rate, _detector(options))
    recording, hits = prepared.recording, prepared.hits
    if not options.json:
        _say(
            f"{recording.name}: {recording.duration_s:.1f} s, {recording.channels} channel(s) at "
            f"{recording.source_rate} Hz, {_counted(len(hits), 'hit')}"
        )
        whose = "as given" if prepared.suggestion is None else "as train uses them for this recording"
        _say(f"  heard at {recording.sample_rate} Hz with {_knobs(hits.settings)}, {whose}")
        for finding in prepared.findings:
            _say(f"  {finding.severity}: {finding.advice}")
        if not prepared.findings:
            _say("  nothing to complain about")
    _finish(
        options,
        {
            "findings": [asdict(finding) for finding in prepared.findings],
            "seconds": recording.duration_s,
            "source_rate": recording.source_rate,
            "channels": recording.channels,
            "hits": len(hits),
            "sample_rate": recording.sample_rate,
            "detector": detector_json(hits.settings),
        },
    )
    return OK


def page(options: argparse.Namespace) -> int:
    from timbrekit.export.check import read_metadata
    from timbrekit.export.live_page import build_page

    _keep(options.model, options.out)
    build_page(read_metadata(options.model), options.out)
    if not options.json:
        _say(f"Open {options.out} in a browser and play.")
    _finish(options, {"page": str(options.out)})
    return OK


def export(options: argparse.Namespace) -> int:
    if options.to == "nn-tilde":
        from timbrekit.export.nn_tilde.write import write_nn_tilde as write
    else:
        from timbrekit.export.flucoma import write_flucoma as write
    _keep(options.model, options.out)
    write(options.model, options.out)
    if not options.json:
        _say(f"Wrote {options.out}")
    _finish(options, {"output": str(options.out)})
    return OK


def experiment(options: argparse.Namespace) -> int:
    talk = _say if not options.json else lambda words: None
    _check_experiment(options)
    if options.merge:
        from timbrekit.experiment import write_tables

        table = write_tables(options.merge)
        talk(f"The tables are {table} and, beside it, results.csv and results.tex.")
        _finish(options, {"table": str(table), "results": str(table.with_suffix(".csv"))})
    elif options.table == "played":
        _run_played(options, talk)
    else:
        _run_paper(options, talk)
    return OK


def _check_experiment(options: argparse.Namespace) -> None:
    """Refuse options that would be passed over.

    Raises:
        OutputError: an option of the other table, or none where one is needed.
    """
    if options.merge:
        other, why = (
            (*RUN_ONLY, *PAPER_ONLY, *PLAYED_ONLY),
            "has no meaning with --merge, which only makes tables",
        )
    elif options.table == "played":
        other, why = PAPER_ONLY, "belongs to --table paper"
    else:
        other, why = PLAYED_ONLY, "belongs to --table played"
    for name in other:
        value = getattr(options, name)
        if value is not None and value is not False and value != []:
            given = "A recording" if name == "recordings" else "--" + name.replace("_", "-")
            raise OutputError(f"{given} {why}. Leave it out.")
    if not options.merge and not (options.recordings and options.out):
        raise OutputError("Name the recordings or folders of hits, and a folder for the results with --out.")


def _run_paper(options: argparse.Namespace, talk: Callable[[str], None]) -> None:
    from timbrekit.experiment import Plan, run_shard
    from timbrekit.experiment.plan import parse_shard
    from timbrekit.experiment.results import shard_path
    from timbrekit.experiment.shard import BATCH

    asked = {
        "presets": options.presets and tuple(options.presets.split(",")),
        "rows": options.rows and tuple(options.rows.split(",")),
        "seeds": options.seeds,
        "first_seed": options.first_seed,
        "features": options.features,
        "epochs": options.epochs,
        "iterations": options.iterations,
    }
    plan = Plan(
        tuple(map(str, options.recordings)),
        **{name: value for name, value in asked.items() if value is not None},
    )
    shard = parse_shard(options.shard or "1/1")
    table = run_shard(plan, options.out, shard, options.batch or BATCH, options.device, talk)
    results = shard_path(options.out, *shard)
    _finish(options, {"results": str(results), "table": str(table) if table else None})


def _run_played(options: argparse.Namespace, talk: Callable[[str], None]) -> None:
    from timbrekit.experiment.played import PRESETS, RECIPES, run_played

    first_seed = options.first_seed or 0
    table = run_played(
        options.recordings,
        options.presets.split(",") if options.presets else PRESETS,
        options.out,
        options.recipes.split(",") if options.recipes else RECIPES,
        range(first_seed, first_seed + (options.seeds or 1)),
        not options.no_bounds,
        options.epochs,
        options.device,
        talk,
        options.models.split(",") if options.models else (None,),
    )
    talk(f"The table is {table}")
    _finish(options, {"table": str(table), "results": str(table.with_name("results.csv"))})


def _detector(options: argparse.Namespace) -> DetectorSettings | None:
    """The settings asked for, the plug-in's defaults in place of those left out; None if none were given."""
    given = {key: getattr(options, key) for key in ("on_threshold", "off_threshold", "hold")}
    given = {key: value for key, value in given.items() if value is not None}
    return DetectorSettings(**given) if given else None


def _knobs(settings: DetectorSettings) -> str:
    """The settings as the plug-in's controls are called."""
    return (
        f"Trigger Threshold {settings.on_threshold:g}, Retrigger Threshold {settings.off_threshold:g}, "
        f"Hold Time {settings.hold}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _parameter_table() -> list[dict[str, Any]]:
    return [asdict(parameter) for parameter in PARAMETERS]


def _keep(kept: str | Path, output: Path) -> None:
    """Refuse to write ``output`` over a file that was read."""
    if output.exists() and Path(kept).exists() and os.path.samefile(kept, output):
        raise OutputError(
            f"{output} is what is read, and would be overwritten. Give the result another name."
        )


def _finite(value: Any) -> Any:
    """``value`` as JSON can hold it: a stranger's file may hold numbers that are none."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _say(words: str) -> None:
    print(words, flush=True)


def _finish(options: argparse.Namespace, result: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(result, allow_nan=False), flush=True)


class _Bar:
    """A progress bar on a terminal, with the time left."""

    def __init__(self, visible: bool):
        self.visible = visible

    def __call__(self, epoch: Any) -> None:
        if not self.visible:
            return
        filled = round(BAR_WIDTH * epoch.number / epoch.of)
        end = "\n" if epoch.number == epoch.of else ""
        sys.stderr.write(
            f"\r  [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {epoch.number}/{epoch.of}, "
            f"loss {epoch.validation_loss:.3f}, {epoch.seconds_left:.0f} s left   {end}"
        )
        sys.stderr.flush()


class _interruptible:
    """Lets the first Ctrl-C end training early and keep its best; the second one stops everything."""

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGINT, self._first)

    def _first(self, number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, self.before)
        raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self.before)
