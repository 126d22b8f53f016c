"""A model as the plug-in plays it in the situations that a player meets, for the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timbrekit.plugin.as_played import AsPlayed, measure_as_played
from timbrekit.plugin.rehearse import Network, rehearse
from timbrekit.recording import resample
from timbrekit.recording.hits import find_hits
from timbrekit.results.unseen import OtherTake, Unseen, measure_end, measure_other
from timbrekit.synth.base import Synth
from timbrekit.training.names import MEL
from timbrekit.training.split import Split
from timbrekit.training.take import Take, make_take

OTHER_RATE = {44_100: 48_000, 48_000: 44_100}  # the rate most DAWs run at that is not the trained one
UNSEEN = "Measuring on playing that it has not heard"
END_HITS = 12  # of a take of which none are held out
LEAD_IN_SECONDS = 0.5  # before the first hit of the end, in which the detector settles


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
    primer: None,
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


def measure_end_alone(
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
    """The same from the end of the take alone, for somebody who has pressed Stop and waits. Arguments as above."""
    ranges = np.stack([take.minimum, take.maximum])
    end = end_of_take(samples, take, split)
    cold = measure_as_played(module, end.samples, end.take, synth=synth)
    primed = measure_as_played(module, end.samples, end.take, primer=primer, synth=synth)
    stage(UNSEEN)
    unseen = measure_other(module, velocity, other or end, take, ranges, synth)
    if not other:
        unseen = replace(unseen, source="end of take" if len(split.test) else "trained hits")
    whole = rehearse(module, samples, take.hits.sample_rate, take.hits.settings, primer=primer, synth=synth)
    return Situations({"cold": cold, "after_primer": primed}, whole.audio, unseen)


def end_of_take(samples: NDArray[np.float32], take: Take, split: Split) -> OtherTake:
    """The part of a take that has the held-out hits; where none are, its last hits."""
    held_out = split.test if len(split.test) else np.arange(len(take))[-END_HITS:]
    rate = take.hits.sample_rate
    first = int(take.hits.detections[held_out.min()])
    before = int(take.hits.detections[held_out.min() - 1]) if held_out.min() else 0
    start = max(first - round(LEAD_IN_SECONDS * rate), (first + before) // 2)
    hits = find_hits(samples[start:], rate, take.hits.settings)
    return OtherTake(samples[start:], make_take(hits, against=take))
