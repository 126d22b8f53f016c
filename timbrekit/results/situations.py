"""A model as the plug-in plays it in the situations that a player meets, for the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbrekit.plugin.as_played import AsPlayed, measure_as_played
from timbrekit.plugin.rehearse import Network
from timbrekit.recording import resample
from timbrekit.recording.hits import find_hits
from timbrekit.results.unseen import OtherTake, Unseen, measure_end, measure_other
from timbrekit.synth.base import Synth
from timbrekit.training.names import MEL
from timbrekit.training.split import Split
from timbrekit.training.take import Take, make_take

OTHER_RATE = {44_100: 48_000, 48_000: 44_100}  # the rate most DAWs run at that is not the trained one
UNSEEN = "Measuring on playing that it has not heard"


@dataclass(frozen=True)
class Situations:
    """What was played, and of unseen hits what it is worth."""

    played: Mapping[
        str, AsPlayed
    ]  # "cold", "second_pass", "after_primer", "other_rate" where they were measured
    sound: NDArray[np.float32]  # (samples,) the whole take after the primer
    unseen: Unseen


def measure_situations(
    module: Network,
    velocity: Network,
    samples: NDArray[np.float32],
    take: Take,
    split: Split,
    primer: NDArray[np.float32],
    synth: Synth,
    other: OtherTake | None = None,
    stage: Callable[[str], None] = lambda words: None,
) -> Situations:
    """Rehearse the whole take in a plug-in just opened, once more, after the primer, and at the other usual rate.

    Args:
        module, velocity: the model, and the velocity-only mapping.
        samples: ``(samples,)`` the recording.
        take: its hits.
        split: of the training.
        primer: at the recording's rate.
        synth: that both play.
        other: another recording for what is unseen; the end of the take if None.
        stage: called with a few words at each step.
    """
    rate, settings = take.hits.sample_rate, take.hits.settings
    cold = measure_as_played(module, samples, take, synth=synth)
    known = {"initial_ranges": cold.rehearsal.ranges, "static": cold.static}
    played = {
        "cold": cold,
        "second_pass": measure_as_played(module, samples, take, synth=synth, **known),
        "after_primer": measure_as_played(module, samples, take, primer=primer, synth=synth),
    }
    if rate in OTHER_RATE:
        other_rate = OTHER_RATE[rate]
        resampled = resample(samples, rate, other_rate)
        hits = find_hits(resampled, other_rate, settings)
        if len(hits) > 1:
            primer_there = resample(primer, rate, other_rate)
            played["other_rate"] = measure_as_played(
                module, resampled, make_take(hits), primer=primer_there, synth=synth
            )
    again = played["second_pass"]
    stage(UNSEEN)
    if other:
        unseen = measure_other(module, velocity, other, take, again.rehearsal.ranges, synth)
    else:
        unseen = measure_end(again, velocity, take, samples, split, synth)
    return Situations(played, played["after_primer"].rehearsal.audio, unseen)


def measure_once(
    module: Network,
    velocity: Network,
    samples: NDArray[np.float32],
    take: Take,
    split: Split,
    synth: Synth,
    other: OtherTake | None = None,
    stage: Callable[[str], None] = lambda words: None,
) -> Situations:
    """The same of a model with a mel listener, which plays alike in all of them. Arguments as above."""
    played = measure_as_played(module, samples, take, synth=synth, listener=MEL)
    stage(UNSEEN)
    if other:
        ranges = np.stack([take.minimum, take.maximum])
        unseen = measure_other(module, velocity, other, take, ranges, synth, MEL)
    else:
        unseen = measure_end(played, velocity, take, samples, split, synth, MEL)
    return Situations({"cold": played}, played.rehearsal.audio, unseen)
