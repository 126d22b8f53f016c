"""The command line: ``timbrekit …``. Thin: it reads arguments, calls the library and prints."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from timbrekit import __version__
from timbrekit.errors import TimbrekitError
from timbrekit.mapping import MODEL_NAMES
from timbrekit.onsets import DetectorSettings
from timbrekit.parameters import PARAMETERS, SAMPLE_RATE

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130
BAR_WIDTH = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 2 on bad input (one line on stderr), 130 on Ctrl-C."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except TimbrekitError as error:
        print(f"timbrekit: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("timbrekit: stopped.", file=sys.stderr)
        return INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="timbrekit", description="Turn a minute of drumming into an instrument."
    )
    parser.add_argument("--version", action="version", version=f"timbrekit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = _command(commands, "train", _train, "train a model on a recording")
    train.add_argument("recording", type=Path)
    train.add_argument(
        "--preset", default="snare-1", help="a preset's name, or a preset file (default: snare-1)"
    )
    train.add_argument("--out", type=Path, required=True, help="folder for the model and its report")
    train.add_argument(
        "--model", choices=MODEL_NAMES, default="mlp", help="size of the network (default: mlp)"
    )
    train.add_argument("--recipe", choices=("timbrekit", "published"), default="timbrekit")
    train.add_argument(
        "--epochs", type=_at_least(1), help="rounds of training (default: as the recipe has it)"
    )
    train.add_argument("--seed", type=_at_least(0), default=0)
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    train.add_argument(
        "--sample-rate", type=_at_least(1), default=SAMPLE_RATE, metavar="HZ", help="of your DAW"
    )
    train.add_argument(
        "--bounds", action="store_true", help="also compute what preset and onsets allow (slow)"
    )
    _detector_arguments(train)

    rehearse = _command(commands, "rehearse", _rehearse, "hear what the plug-in will play")
    rehearse.add_argument("model", type=Path)
    rehearse.add_argument("recording", type=Path)
    rehearse.add_argument("output", type=Path)
    rehearse.add_argument("--trace", type=Path, help="write every step as .npz")
    rehearse.add_argument("--sensitivity", type=float, default=1.0)
    rehearse.add_argument("--dry-wet", type=float, default=1.0)
    rehearse.add_argument("--seed", type=_at_least(0), default=0)
    rehearse.add_argument(
        "--sample-rate", type=_at_least(1), metavar="HZ", help="default: the recording's own"
    )
    rehearse.add_argument("--primer", type=Path, help="sound sent through the plug-in first")
    _detector_arguments(rehearse)

    onsets = _command(commands, "onsets", _onsets, "show what the plug-in would trigger on")
    onsets.add_argument("recording", type=Path)
    _detector_arguments(onsets)

    _command(commands, "presets", _presets, "list the presets")

    check = _command(commands, "check", _check, "is a model file plug-in-ready?")
    check.add_argument("model", type=Path)

    inspect = _command(commands, "inspect", _inspect, "show what is wrong with a recording")
    inspect.add_argument("recording", type=Path)

    page = _command(commands, "page", _page, "write a model as a page that plays in any browser")
    page.add_argument("model", type=Path)
    page.add_argument("--out", type=Path, required=True)

    export = _command(commands, "export", _export, "write a model for other hosts")
    export.add_argument("model", type=Path)
    export.add_argument("--to", choices=("nn-tilde", "flucoma"), required=True)
    export.add_argument("--out", type=Path, required=True)
    return parser


def _train(options: argparse.Namespace) -> int:
    from timbrekit.presets import load_preset
    from timbrekit.train import make_settings
    from timbrekit.workflow import prepare, train_model

    preset = load_preset(options.preset)
    settings = make_settings(options.recipe, options.model, options.epochs, options.seed, options.device)
    talk = _say if not options.json else lambda words: None
    began = time.perf_counter()
    talk(f"Reading {options.recording.name}")
    prepared = prepare(options.recording, options.sample_rate, _detector(options))
    for finding in prepared.findings:
        talk(f"  note: {finding.advice}")
    talk(f"  {len(prepared.hits)} hits found, {len(prepared.hits.dropped)} dropped")
    bar = _Bar(visible=sys.stderr.isatty())
    with _interruptible():
        outcome = train_model(prepared, preset, options.out, settings, bar, talk, options.bounds)
    report = outcome.report
    talk(report["verdict"])
    talk(f"Everything is in {outcome.folder}: load model.pt in the plug-in, and read card.txt.")
    summary = {
        key: report[key] for key in ("hits_kept", "hits_dropped", "error_ratio", "error_ratio_per_feature")
    }
    summary |= {key: report[key] for key in ("as_played", "detector", "verdict")}
    _finish(options, {"model": str(outcome.model), "seconds": time.perf_counter() - began, **summary})
    return INTERRUPTED if outcome.trained.interrupted else OK


def _rehearse(options: argparse.Namespace) -> int:
    from timbrekit.workflow import rehearse_file

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
        _say(f"{result['triggers']} hits played, {result['seconds']:.1f} s of sound in {options.output}")
    _finish(options, result)
    return OK


def _onsets(options: argparse.Namespace) -> int:
    from timbrekit.audio import read_recording
    from timbrekit.onsets import detect
    from timbrekit.report import detector_json
    from timbrekit.suggest import suggest_settings

    recording = read_recording(options.recording, None)
    settings = _detector(options) or DetectorSettings()
    found = detect(recording.samples, recording.sample_rate, settings)
    suggestion = suggest_settings(recording.samples, recording.sample_rate)
    suggested = detect(recording.samples, recording.sample_rate, suggestion.settings)
    if not options.json:
        total = len(suggestion.reference_onsets)
        _say(f"With these settings the plug-in triggers {len(found.triggers)} times.")
        _say(
            f"Of {total} hits heard in {recording.name}, its defaults catch {suggestion.caught_default}; "
            f"{suggestion.caught_suggested} with Trigger Threshold {suggestion.settings.on_threshold:g}, "
            f"Retrigger Threshold {suggestion.settings.off_threshold:g}, Hold Time {suggestion.settings.hold}."
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
        },
    )
    return OK


def _presets(options: argparse.Namespace) -> int:
    from timbrekit.presets import load_preset, preset_names

    presets = [load_preset(name) for name in preset_names()]
    if not options.json:
        for preset in presets:
            _say(f"{preset.name:14} {preset.description}")
    _finish(options, {"presets": [preset.to_json() for preset in presets], "parameters": _parameter_table()})
    return OK


def _check(options: argparse.Namespace) -> int:
    from timbrekit.export.check import check_model

    result = check_model(options.model)
    if not options.json:
        _say(f"{options.model.name} is {'ready' if result.ready else 'not ready'} for the plug-in.")
        for line in (*result.problems, *result.notes):
            _say(f"  {line}")
        if result.metadata:
            _say(f"  Written by timbrekit: {result.metadata.get('name')}, {result.metadata.get('date')}")
    _finish(options, asdict(result))
    return OK if result.ready else BAD_INPUT


def _inspect(options: argparse.Namespace) -> int:
    from timbrekit.workflow import prepare

    prepared = prepare(options.recording)
    recording = prepared.recording
    if not options.json:
        _say(
            f"{recording.name}: {recording.duration_s:.1f} s, {recording.channels} channel(s) at "
            f"{recording.source_rate} Hz, {len(prepared.hits)} hits"
        )
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
            "hits": len(prepared.hits),
        },
    )
    return OK


def _page(options: argparse.Namespace) -> int:
    from timbrekit.export.check import read_metadata
    from timbrekit.export.live_page import build_page

    build_page(read_metadata(options.model), options.out)
    if not options.json:
        _say(f"Open {options.out} in a browser and play.")
    _finish(options, {"page": str(options.out)})
    return OK


def _export(options: argparse.Namespace) -> int:
    if options.to == "nn-tilde":
        from timbrekit.export.nn_tilde import write_nn_tilde as write
    else:
        from timbrekit.export.flucoma import write_flucoma as write
    write(options.model, options.out)
    if not options.json:
        _say(f"Wrote {options.out}")
    _finish(options, {"output": str(options.out)})
    return OK


def _command(commands: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser


def _detector_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the plug-in's onset controls")
    group.add_argument("--on-threshold", type=float, metavar="DB", help="Trigger Threshold")
    group.add_argument("--off-threshold", type=float, metavar="DB", help="Retrigger Threshold")
    group.add_argument("--hold", type=int, metavar="SAMPLES", help="Hold Time")


def _detector(options: argparse.Namespace) -> DetectorSettings | None:
    """The settings asked for, the plug-in's defaults in place of those left out; None if none were given."""
    given = {key: getattr(options, key) for key in ("on_threshold", "off_threshold", "hold")}
    given = {key: value for key, value in given.items() if value is not None}
    return DetectorSettings(**given) if given else None


def _at_least(least: int) -> Any:
    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is too low: give {least} or more")
        return value

    return parse


def _parameter_table() -> list[dict[str, Any]]:
    return [asdict(parameter) for parameter in PARAMETERS]


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


if __name__ == "__main__":
    raise SystemExit(main())
