"""A model as the plug-in plays it in the situations that a player meets, for the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbrekit.plugin.as_played import AsPlayed, measure_as_played
from timbrekit.plugin.primer import Primer
from timbrekit.plugin.rehearse import Network
from timbrekit.presets import Preset
from timbrekit.recording import resample
from timbrekit.recording.hits import find_hits
from timbrekit.results.unseen import OtherTake, Unseen, measure_end, measure_other, velocity_model
from timbrekit.synth.base import Synth
from timbrekit.training.names import MEL, TORCHDRUM
from timbrekit.training.take import Take, make_take
from timbrekit.training.train import Trained

OTHER_RATE = {44_100: 48_000, 48_000: 44_100}  # the rate most DAWs run at that is not the trained one
UNSEEN = "Measuring on playing that it has not heard"


@dataclass(frozen=True)
class Situations:
    """What was played, and of unseen hits what it is worth."""

    # "cold", "second_pass", "after_primer", "other_rate" where they were measured
    played: Mapping[str, AsPlayed]
    sound: NDArray[np.float32]  # (samples,) the whole take after the primer
    unseen: Unseen


def measure_situations(
    module: Network,
    preset: Preset,
    samples: NDArray[np.float32],
    take: Take,
    trained: Trained,
    primer: Primer | None,
    other: OtherTake | None = None,
    stage: Callable[[str], None] = lambda words: None,
) -> Situations:
    """Rehearse the whole take in a plug-in just opened, once more, after the primer, and at the other usual rate.

    Args:
        module: the model, as its file holds it.
        preset: that it modulates.
        samples: ``(samples,)`` the recording.
        take: its hits.
        trained: of which split and seed count.
        primer: None for a model with a mel listener, which plays alike in all situations.
        other: another recording for what is unseen; the end of the take if None.
        stage: called with a few words at each step.
    """
    split, synth = trained.split, preset.instrument()
    velocity = velocity_model(take, preset, split.train, trained.settings.seed)
    if primer is None:
        listener, ranges = MEL, take.ranges.numpy()
        again = sounding = measure_as_played(module, samples, take, synth=synth, listener=MEL)
        played = {"cold": again}
    else:
        listener, played = TORCHDRUM, in_torchdrum(module, samples, take, primer.samples, synth)
        again, sounding = played["second_pass"], played["after_primer"]
        ranges = again.rehearsal.ranges
    stage(UNSEEN)
    if other:
        unseen = measure_other(module, velocity, other, take, ranges, synth, listener)
    else:
        unseen = measure_end(again, velocity, take, samples, split, ranges, synth, listener)
    return Situations(played, sounding.rehearsal.audio, unseen)


def in_torchdrum(
    module: Network,
    samples: NDArray[np.float32],
    take: Take,
    primer: NDArray[np.float32],
    synth: Synth,
    elsewhere: bool = True,
) -> dict[str, AsPlayed]:
    """The situations in which the plug-in plays one model differently. Arguments as above.

    Args:
        elsewhere: also at the other usual rate.
    """
    rate, settings = take.hits.sample_rate, take.hits.settings
    cold = measure_as_played(module, samples, take, synth=synth)
    known = {"initial_ranges": cold.rehearsal.ranges, "static": cold.static}
    played = {
        "cold": cold,
        "second_pass": measure_as_played(module, samples, take, synth=synth, **known),
        "after_primer": measure_as_played(module, samples, take, primer=primer, synth=synth),
    }
    other_rate = OTHER_RATE.get(rate)
    if elsewhere and other_rate:
        resampled, primer = (resample(each, rate, other_rate) for each in (samples, primer))
        hits = find_hits(resampled, other_rate, settings)
        if len(hits) > 1:
            there = make_take(hits)
            played["other_rate"] = measure_as_played(module, resampled, there, primer=primer, synth=synth)
    return played
