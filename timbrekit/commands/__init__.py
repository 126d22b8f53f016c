"""What each ``timbrekit …`` command does: read its arguments, call the library, print.

Nothing here imports torch before the arguments are known to be right: what a command needs, it imports itself.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from timbrekit import SAMPLE_RATE
from timbrekit.commands.output import (
    BAD_INPUT,
    INTERRUPTED,
    OK,
    Bar,
    counted,
    finish,
    finite,
    hits_found,
    interruptible,
    keep,
    quiet_or_say,
    say,
)
from timbrekit.errors import ModelFileError
from timbrekit.plugin.knobs import DETECTOR
from timbrekit.synth.parameters import PARAMETERS
from timbrekit.time_left import OF_MEL, OF_PUBLISHED, PARTS, TimeLeft

if TYPE_CHECKING:
    from timbrekit.recording.onsets import DetectorSettings

MOST_PLACES = 8  # of unsure sounds, in the words
UNFINISHED = "unfinished.pt"  # there only after a stop, a power cut or a kill: the next run goes on from it


def train(options: argparse.Namespace) -> int:
    from timbrekit.presets import load_preset

    preset = load_preset(options.preset)  # first: a wrong name is answered before torch is loaded

    from timbrekit.files import removed_if_empty
    from timbrekit.recording import read_recording
    from timbrekit.recording.prepare import prepare
    from timbrekit.training.recipes import make_settings
    from timbrekit.workflow import FILES, train_model

    for name in FILES:
        keep(options.recording, options.out / name)
        if options.test:
            keep(options.test, options.out / name)
    settings = make_settings(
        options.recipe, options.model, options.epochs, options.seed, options.device, options.listener
    )
    talk = quiet_or_say(options)
    began = time.perf_counter()
    talk(f"Reading {options.recording.name}")
    prepared = prepare(options.recording, options.sample_rate, _detector(options))
    for finding in prepared.findings:
        talk(f"  note: {finding.advice}")
    hits = prepared.hits
    talk(f"  {hits_found(prepared)}")
    talk(f"  heard at {prepared.recording.sample_rate} Hz with {_knobs(hits.settings)}")
    test = None
    if options.test:
        talk(f"Reading {options.test.name}")
        test = read_recording(options.test, options.sample_rate)
        for finding in test.findings:
            talk(f"  note: {finding.advice}")
    parts = OF_MEL if options.listener == "mel" else OF_PUBLISHED if options.recipe == "published" else PARTS
    bar = Bar(talk, sys.stderr.isatty(), TimeLeft(parts, options.bounds))
    unfinished = options.out / UNFINISHED
    with interruptible(bar.stopping), removed_if_empty(options.out), bar:
        outcome = train_model(
            prepared,
            preset,
            options.out,
            settings,
            progress=bar,
            stage=bar.stage,
            bounds=options.bounds,
            checkpoint=unfinished,
            test=test,
            name=options.name,
        )
    report = outcome.report
    talk(f"{report['name']}: {report['verdict']}")
    page = f"timbrekit page {shlex.quote(str(outcome.model))} --out play.html"
    talk(
        f"Everything is in {outcome.folder}. To play it in a browser: {page}. For all else read card.txt there."
    )
    summary = {
        key: report[key] for key in ("hits_kept", "hits_dropped", "error_ratio", "error_ratio_per_feature")
    }
    summary |= {key: report.get(key) for key in ("name", "as_played", "detector", "verdict", "unseen")}
    finish(options, {"model": str(outcome.model), "seconds": time.perf_counter() - began, **summary})
    return INTERRUPTED if outcome.trained.interrupted else OK


def rehearse(options: argparse.Namespace) -> int:
    from timbrekit.recording.onsets import DetectorSettings
    from timbrekit.workflow import rehearse_file

    for output in (options.output, options.trace):
        for read in (options.model, options.recording, options.primer):
            if output and read:
                keep(read, output)
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
        say(
            f"{counted(result['triggers'], 'hit')} played, {result['seconds']:.1f} s of sound in {options.output}"
            f" (at {result['sample_rate']} Hz, with {_knobs(DetectorSettings(**result['detector']))},"
            f" {whose[result['detector_from']]})"
        )
    finish(options, result)
    return OK


def onsets(options: argparse.Namespace) -> int:
    from timbrekit.recording import read_recording
    from timbrekit.recording.onsets import DetectorSettings, detect
    from timbrekit.recording.suggest import suggest_settings

    recording = read_recording(options.recording, options.sample_rate)
    rate = recording.sample_rate
    settings = _detector(options) or DetectorSettings()
    found = detect(recording.samples, recording.sample_rate, settings)
    suggestion = suggest_settings(recording.samples, recording.sample_rate)
    suggested = detect(recording.samples, recording.sample_rate, suggestion.settings)
    if not options.json:
        whose = "these settings" if _detector(options) else "its defaults"
        say(
            f"At {rate} Hz, with {whose} ({_knobs(settings)}), the plug-in triggers "
            f"{counted(len(found.triggers), 'time')} on {recording.name}."
        )
        heard = f"Of {counted(len(suggestion.reference_onsets), 'hit')} heard, its defaults catch "
        heard += f"{suggestion.caught_default}"
        if suggestion.changed:
            heard += (
                f"; {suggestion.caught_suggested} with {_knobs(suggestion.settings)}, which is suggested and what "
                "train uses unless told otherwise"
            )
        say(heard + ("." if suggestion.changed else "; no other settings are clearly better."))
        if len(suggestion.unsure):
            places = ", ".join(f"{at / rate:.2f}" for at in suggestion.unsure[:MOST_PLACES])
            more = " …" if len(suggestion.unsure) > MOST_PLACES else ""
            say(
                f"Not sure of {counted(len(suggestion.unsure), 'more sound')}, faint or covered by what rings: at "
                f"{places}{more} s. If they are hits, play them harder, or turn down the Trigger Threshold."
            )
        if rate != SAMPLE_RATE and options.sample_rate is None:
            say(
                f"This is the recording's own rate. train and inspect work at {SAMPLE_RATE} Hz, where counts can "
                f"differ a little: --sample-rate {SAMPLE_RATE} shows theirs."
            )
    finish(
        options,
        {
            "sample_rate": recording.sample_rate,
            "detections": found.positions.tolist(),
            "suggested": suggestion.settings.to_json(),
            "suggested_detections": suggested.positions.tolist(),
            "reference_onsets": suggestion.reference_onsets.tolist(),
            "missed": suggestion.missed.tolist(),
            "unsure": suggestion.unsure.tolist(),
            "detector": settings.to_json(),
        },
    )
    return OK


def presets(options: argparse.Namespace) -> int:
    from timbrekit.presets import load_preset, preset_names

    presets = [load_preset(name) for name in preset_names()]
    if not options.json:
        for preset in presets:
            say(f"{preset.name:14} {preset.description}")
    table = [asdict(parameter) for parameter in PARAMETERS]
    finish(options, {"presets": [preset.to_json() for preset in presets], "parameters": table})
    return OK


def check(options: argparse.Namespace) -> int:
    from timbrekit.export.check import check_model

    result = check_model(options.model)
    if not result.ready:
        first, *further = result.problems
        print(f"timbrekit: {options.model.name} is not ready for the plug-in: {first}", file=sys.stderr)
    if not options.json:
        if result.ready:
            say(f"{options.model.name} is ready for the plug-in.")
        for line in (*(() if result.ready else further), *result.notes):
            say(f"  {line}")
        if result.hosts:
            say(f"  It plays in: {', '.join(result.hosts)}.")
        if result.metadata:
            say(f"  Written by timbrekit: {result.metadata.get('name')}, {result.metadata.get('date')}")
    finish(options, finite(asdict(result)))
    return OK if result.ready else BAD_INPUT


def inspect(options: argparse.Namespace) -> int:
    from timbrekit.recording.prepare import prepare

    prepared = prepare(options.recording, options.sample_rate, _detector(options))
    recording, hits = prepared.recording, prepared.hits
    if not options.json:
        say(
            f"{recording.name}: {recording.duration_s:.1f} s, {counted(recording.channels, 'channel')} at "
            f"{recording.source_rate} Hz, {counted(len(hits), 'hit')}"
        )
        whose = "as given" if prepared.suggestion is None else "as train uses them for this recording"
        say(f"  heard at {recording.sample_rate} Hz with {_knobs(hits.settings)}, {whose}")
        for finding in prepared.findings:
            say(f"  {finding.severity}: {finding.advice}")
        if not prepared.findings:
            say("  nothing to complain about")
    finish(
        options,
        {
            "findings": [asdict(finding) for finding in prepared.findings],
            "seconds": recording.duration_s,
            "source_rate": recording.source_rate,
            "channels": recording.channels,
            "hits": len(hits),
            "sample_rate": recording.sample_rate,
            "detector": hits.settings.to_json(),
        },
    )
    return OK


def page(options: argparse.Namespace) -> int:
    from timbrekit.export.live_page import build_page
    from timbrekit.export.model_file import read_metadata

    keep(options.model, options.out)
    try:
        build_page(read_metadata(options.model), options.out)
    except ModelFileError as problem:  # no drum: perhaps a tone
        from timbrekit.tone.live_page import build_tone_page

        try:
            build_tone_page(options.model, options.out)
        except ModelFileError:
            raise problem from None
    if not options.json:
        say(f"Open {options.out} in a browser and play.")
    finish(options, {"page": str(options.out)})
    return OK


def _detector(options: argparse.Namespace) -> DetectorSettings | None:
    """The settings asked for, the plug-in's defaults in place of those left out; None if none were given."""
    given = {knob.key: getattr(options, knob.key) for knob in DETECTOR}
    given = {key: value for key, value in given.items() if value is not None}
    if not given:
        return None
    from timbrekit.recording.onsets import DetectorSettings

    return DetectorSettings(**given)


def _knobs(settings: DetectorSettings) -> str:
    """The settings as the plug-in's controls are called."""
    return ", ".join(f"{knob.name} {getattr(settings, knob.key):g}" for knob in DETECTOR)
