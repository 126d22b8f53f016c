"""Measure a model file on a recording that it was not trained on."""

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from timbrekit.errors import ModelFileError, TimbrekitError, TimbrekitWarning
from timbrekit.export.check import open_model
from timbrekit.export.metadata import onset_ranges
from timbrekit.export.model_file import listener_of
from timbrekit.presets import Preset, parse_preset
from timbrekit.recording import read_recording
from timbrekit.recording.hits import find_hits
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.results.unseen import Unseen, measure_other, other_take, velocity_model
from timbrekit.training.take import make_take

RANGES_AGREE = 0.05  # dB or semitones that the ranges of one take's onset features may differ by, read anew


def measure_model(model: str | Path, recording: str | Path, trained_on: str | Path) -> Unseen:
    """How well a model follows a recording that it was not trained on.

    Hits are found with the model's own detector settings, at its sample rate. Differences are taken from the reference
    hit of the recording that it was trained on, at that one's level.

    Args:
        model: a model file.
        recording: to play, of the same drum at the same gain.
        trained_on: the recording that the model was trained on. One whose hits span other ranges gives a warning.

    Raises:
        ModelFileError: it cannot be read, or does not say what it was trained with.
        RecordingError: a recording cannot be read, or has no hit.
        TrainingError: too few hits in the recording trained on.
    """
    opened = open_model(model)
    if opened.undescribed:
        raise ModelFileError(f"{opened.name}: {opened.undescribed}")
    preset, rate, ranges = _described(opened.metadata, opened.name)
    source = read_recording(trained_on, rate)
    take = make_take(find_hits(source.samples, rate, detector_of(opened.metadata)))
    other = other_take(read_recording(recording, rate), take)
    if not np.allclose(ranges, take.ranges, atol=RANGES_AGREE):
        warnings.warn(
            f"{source.name} does not sound like the recording that {opened.name} was trained on: its hits span other "
            "ranges. The figures mean something only with that recording.",
            TimbrekitWarning,
            stacklevel=2,
        )
    velocity = velocity_model(take, preset, np.arange(len(take)))
    synth, listener = preset.instrument(), listener_of(opened.metadata)
    return measure_other(opened.module, velocity, other, take, ranges, synth, listener)


def detector_of(metadata: dict[str, Any]) -> DetectorSettings | None:
    """The onset controls that a model was trained with; None where its file does not say, or says nonsense."""
    with suppress(TimbrekitError, KeyError, TypeError, ValueError):
        return DetectorSettings.from_json(metadata["detector"])
    return None


def _described(metadata: dict[str, Any], name: str) -> tuple[Preset, int, np.ndarray]:
    """The preset, the sample rate in Hz and the ranges ``(2, 3)`` that a model was trained with."""
    try:
        kept = metadata["preset"]
        played = {key: metadata[key] for key in ("synth", "drum") if key in metadata}
        preset = parse_preset({"values": kept["values"], **played}, name, kept["name"])
        return preset, int(metadata["sample_rate"]), onset_ranges(metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"The description inside {name} is damaged: train the model again.") from error
