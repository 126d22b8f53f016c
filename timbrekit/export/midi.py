"""The hits of a recording as a MIDI file: a note each, with what was heard and what the model makes of it.

docs/hosts.md has the table of notes, velocities and controllers; the file says the same in text events.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.metadata import onset_ranges
from timbrekit.export.model_file import MEL, ModelFile, listener_of
from timbrekit.features import ONSET_FEATURES
from timbrekit.features.mel_looks import look_delays
from timbrekit.files import atomic_path
from timbrekit.plugin.rehearse import Rehearsal, raw_features, rehearse
from timbrekit.plugin.rehearse_looks import rehearse_looks
from timbrekit.recording.hits import onset_windows
from timbrekit.recording.onsets import TRIGGER_DELAY, DetectorSettings
from timbrekit.synth import find_synth

if TYPE_CHECKING:
    import mido

TICKS_PER_BEAT = 960
TEMPO = 500_000  # microseconds a beat: 120 beats a minute
TICKS_PER_SECOND = TICKS_PER_BEAT * 1_000_000 / TEMPO  # 1920: a tick is 0.52 ms
CHANNEL = 9  # the drums' channel, which people call 10
NOTE = 38  # General MIDI's acoustic snare
NOTE_SECONDS = 0.06  # a note's length; it ends earlier where the next one begins
FIRST_FEATURE = 20  # controllers 20, 21, 22: loudness, brightness, noisiness
FIRST_PARAMETER = 102  # controllers 102 to 119, which the standard leaves free: the modulations
MOST_PARAMETERS = 18
UNCHANGED = 64  # the value of a controller whose parameter is as in the preset
FEATURE_TITLES = {"loudness": "Loudness", "centroid": "Brightness", "flatness": "Noisiness"}  # as on the page


def hits_of(
    model: ModelFile, samples: np.ndarray, rate: int, settings: DetectorSettings | None = None
) -> Rehearsal:
    """Play a recording through a model as a host does that knows the training's ranges, as after the primer.

    Of a model with the mel listener, the modulations are those after the last look; features and
    triggers are the plug-in's.

    Args:
        samples: mono, (samples,).
        rate: Hz.
        settings: the plug-in's onset controls; its defaults if None.

    Raises:
        ModelFileError: the model cannot be played, or timbrekit did not describe it, or it lacks its ranges.
    """
    model.for_export("page")
    synth = find_synth(model.synth, model.metadata.get("drum"))
    if listener_of(model.metadata) != MEL:
        return rehearse(model.module, samples, rate, settings, initial_ranges=_ranges(model), synth=synth)
    played = rehearse_looks(model.module, samples, rate, settings, synth=synth)
    triggers = played.triggers - look_delays(rate)[0] + TRIGGER_DELAY
    return replace(
        played, triggers=triggers, raw_features=raw_features(onset_windows(samples, triggers), rate)
    )


def write_midi(model: ModelFile, rehearsal: Rehearsal, out: str | Path) -> Path:
    """Write the hits of a rehearsal (``hits_of``), whole or not at all.

    Raises:
        ModelFileError: the model's description is not whole, or it has more parameters than there are controllers.
        OutputError: the file has another ending than .mid or .midi, or cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in (".mid", ".midi"):
        raise OutputError(f"{out} is to be a MIDI file: give it a name that ends in .mid.")
    file = midi_file(model, rehearsal)
    with atomic_path(out) as temporary:
        file.save(str(temporary))
    return out


def midi_file(model: ModelFile, rehearsal: Rehearsal) -> mido.MidiFile:
    """The hits as a file of two tracks: what everything means, and the hits. Raises as ``write_midi`` does."""
    import mido

    titles = _titles(model)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    about = mido.MidiTrack()
    about.append(mido.MetaMessage("track_name", name="timbrekit"))
    about.append(mido.MetaMessage("set_tempo", tempo=TEMPO))
    about.extend(mido.MetaMessage("text", text=line) for line in explanation(titles))
    hits = mido.MidiTrack()
    hits.append(mido.MetaMessage("track_name", name=str(model.metadata.get("name", model.path.stem))))
    hits.append(
        mido.MetaMessage("instrument_name", name=str((model.metadata["preset"] or {}).get("title", "")))
    )
    now = 0
    for tick, message in sorted(_events(rehearsal, _ranges(model)), key=lambda event: event[0]):
        hits.append(message.copy(time=tick - now))
        now = tick
    file.tracks.extend((about, hits))
    return file


def explanation(titles: list[str]) -> list[str]:
    """What is said in the file, a line for each text event. titles: of the parameters, in the model's order."""
    lines = [
        f"Note {NOTE} on channel {CHANNEL + 1}: a hit, at the sample at which it was detected. At 120 beats a minute "
        "the notes lie on the recording.",
        "Velocity: loudness; 1 is the softest hit of the training, 127 the loudest.",
    ]
    features = zip(range(FIRST_FEATURE, 128), ONSET_FEATURES, strict=False)
    lines += [
        f"CC {number}: {FEATURE_TITLES[name]}; 0 to 127 is the training's range." for number, name in features
    ]
    parameters = zip(range(FIRST_PARAMETER, 128), titles, strict=False)
    lines += [
        f"CC {number}: {title}; {UNCHANGED} is the preset's, 1 and 127 are its whole range below and above."
        for number, title in parameters
    ]
    return lines


def ticks(positions: np.ndarray, rate: int) -> list[int]:
    """Where samples lie, in ticks, rounded to the nearest."""
    return [int(tick) for tick in np.floor(np.asarray(positions) * TICKS_PER_SECOND / rate + 0.5)]


def _events(rehearsal: Rehearsal, ranges: np.ndarray) -> list[tuple[int, mido.Message]]:
    """Messages with their ticks, in the order in which those of one tick are sent: controllers before their note."""
    import mido

    low, high = ranges
    span = np.where(high > low, high - low, 1.0)
    heard = np.clip((rehearsal.raw_features - low) / span, 0, 1)
    heard[:, ~(high > low)] = 0.5  # a feature that never changed, as in the plug-in
    controllers = np.hstack(
        [np.floor(127 * heard + 0.5), np.clip(np.floor(UNCHANGED + 63 * rehearsal.modulation + 0.5), 0, 127)]
    ).astype(int)
    numbers = [*range(FIRST_FEATURE, FIRST_FEATURE + heard.shape[1])]
    numbers += range(FIRST_PARAMETER, FIRST_PARAMETER + rehearsal.modulation.shape[1])
    begin = ticks(rehearsal.triggers - TRIGGER_DELAY, rehearsal.sample_rate)  # where the strokes begin
    length = round(NOTE_SECONDS * TICKS_PER_SECOND)
    events: list[tuple[int, mido.Message]] = []
    for hit, start in enumerate(begin):
        velocity = 1 + int(np.floor(126 * heard[hit, 0] + 0.5))
        for number, value in zip(numbers, controllers[hit], strict=True):
            message = mido.Message("control_change", channel=CHANNEL, control=number, value=int(value))
            events.append((start, message))
        events.append((start, mido.Message("note_on", channel=CHANNEL, note=NOTE, velocity=velocity)))
        end = min([start + length, *begin[hit + 1 : hit + 2]])
        events.append((end, mido.Message("note_off", channel=CHANNEL, note=NOTE, velocity=0)))
    return events


def _ranges(model: ModelFile) -> np.ndarray:
    """(2, 3) lowest and highest features of the training."""
    try:
        return onset_ranges(model.metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{model.name} does not say the ranges of its training, which velocities and controllers need. "
            "Train or export the model again with this version of timbrekit."
        ) from error


def _titles(model: ModelFile) -> list[str]:
    """The parameters' titles with their units."""
    try:
        titles = [f"{p['title']} ({p['unit']})" for p in model.metadata["parameters"]]
    except (KeyError, TypeError) as error:
        raise ModelFileError(
            f"{model.name} does not say what its parameters are. Export it again."
        ) from error
    if len(titles) > MOST_PARAMETERS:
        raise ModelFileError(
            f"{model.name} has {len(titles)} parameters, and MIDI leaves {MOST_PARAMETERS} controllers free for them "
            f"({FIRST_PARAMETER} to {FIRST_PARAMETER + MOST_PARAMETERS - 1}). Train with a preset of fewer."
        )
    return titles
