"""``timbrekit export``: its options; a model, or what it makes of a recording, for other hosts."""

import argparse
from pathlib import Path
from typing import Any

from timbrekit.commands import arguments
from timbrekit.commands.output import OK, counted, finish, keep, say
from timbrekit.errors import RecordingError, TimbrekitError


def add_command(choices: Any) -> None:
    """Add ``export`` to what ``ArgumentParser.add_subparsers`` returned."""
    words = "write a model, or its hits, for other hosts"
    parser = arguments.add_command(choices, "export", "export.export", words)
    parser.add_argument("model", type=Path, help="model.pt, as train writes it")
    words = "nn~ in Max and Pure Data; FluCoMa; or a MIDI file of a recording's hits"
    parser.add_argument("--to", choices=("nn-tilde", "flucoma", "midi"), required=True, help=words)
    words = "of drumming, for --to midi: its hits, with what the model makes of them"
    parser.add_argument("--recording", type=Path, help=words)
    parser.add_argument("--out", type=Path, required=True, help="file to write")


def export(options: argparse.Namespace) -> int:
    if options.to == "midi":
        return _midi(options)
    if options.recording:
        raise TimbrekitError(f"--recording goes with --to midi; {options.to} takes the model alone.")

    from timbrekit.export.check import open_model

    if options.to == "nn-tilde":
        from timbrekit.export.nn_tilde.write import write_nn_tilde as write
    else:
        from timbrekit.export.flucoma import write_flucoma as write
    keep(options.model, options.out)
    write(open_model(options.model), options.out)
    return _finish(options, {})


def _midi(options: argparse.Namespace) -> int:
    if options.recording is None:
        raise TimbrekitError("--to midi writes the hits of a recording: add --recording FILE.")

    from timbrekit.export.check import open_model
    from timbrekit.export.midi import hits_of, write_midi
    from timbrekit.recording import read_recording
    from timbrekit.results.measure import detector_of

    for read in (options.model, options.recording):
        keep(read, options.out)
    recording = read_recording(options.recording)
    model = open_model(options.model)
    rehearsal = hits_of(model, recording.samples, recording.sample_rate, detector_of(model.metadata))
    if not len(rehearsal.triggers):
        raise RecordingError(
            f"No hit was found in {recording.name} with the detector settings of {model.name}, so nothing was written. "
            "Record it closer or louder."
        )
    write_midi(model, rehearsal, options.out)
    if not options.json:
        say(f"{counted(len(rehearsal.triggers), 'hit')} of {recording.name}.")
    return _finish(
        options,
        {
            "hits": len(rehearsal.triggers),
            "seconds": recording.duration_s,
            "sample_rate": recording.sample_rate,
            "detector": rehearsal.settings.to_json(),
        },
    )


def _finish(options: argparse.Namespace, more: dict[str, Any]) -> int:
    if not options.json:
        say(f"Wrote {options.out}")
    finish(options, {"output": str(options.out), **more})
    return OK
