"""How well a model follows playing that it has never heard, beside two yardsticks and an independent judge.

Unseen is another recording, or the end of the take, held out with all its near-copies. Everything is measured as the
plug-in plays it once it knows the ranges of the training take. Differences are from the training take's reference hit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timbrekit.errors import RecordingError
from timbrekit.export.torchdrum import PluginModel
from timbrekit.plugin.as_played import LEAST, AsPlayed, Followed, by_feature, cut_hits, measure_as_played
from timbrekit.plugin.rehearse import Network
from timbrekit.presets import Preset
from timbrekit.recording import Recording
from timbrekit.recording.hits import find_hits
from timbrekit.results.auditory_image import ImageMatch, match_images
from timbrekit.synth.base import Synth
from timbrekit.training.names import TORCHDRUM
from timbrekit.training.split import Split
from timbrekit.training.take import Take, make_take
from timbrekit.training.velocity import fit_velocity

Source = Literal["second take", "end of take", "trained hits"]
IN_WORDS: dict[Source, str] = {
    "second take": "on the other recording",
    "end of take": "on the end of the take",
    "trained hits": "on hits it was trained on",
}
# hits on one spot at the beginning of a recording, from which the player's own scatter is known
SAME_SPOT = 8
# Of eight hits in a row, in mean intended differences of the take. Where real takes begin with varied playing their
# first eight scatter by 0.51 and more (ten takes); runs of one stroke within them by 0.05 to 0.35.
LARGEST_SCATTER = 0.45


def velocity_model(take: Take, preset: Preset, hits: ArrayLike, seed: int = 0) -> PluginModel:
    """The velocity-only mapping fitted to some hits of a take, as hosts call it: see ``fit_velocity``."""
    return PluginModel(fit_velocity(take, preset, hits, seed)).eval()


@dataclass(frozen=True)
class Unseen(Followed):
    """What was played of some hits against what was intended, and the yardsticks."""

    source: Source
    velocity: Followed  # the same hits played by a mapping of onset loudness alone
    image: ImageMatch | None  # None: too few hits
    velocity_image: ImageMatch | None
    scatter: float | None  # of the player, who meant eight hits to be the same; None where they are not known

    def summary(self) -> dict[str, Any]:
        """Plain values for report.json and ``timbrekit measure``."""
        return {
            "source": self.source,
            "hits": len(self.played),
            **self.figures(),
            "velocity_only": {
                "error_ratio": self.velocity.error_ratio,
                "error_ratio_per_feature": by_feature(self.velocity.ratio_per_feature),
                "image_correlation": self.velocity_image and self.velocity_image.correlation,
            },
            "image_correlation": self.image and self.image.correlation,
            "image_chance": self.image and self.image.chance,
            "scatter": self.scatter,
        }


def error_bars(unseen: Mapping[str, Any]) -> dict[str, list[float]]:
    """Error ratios of all features, by label: the model's and the yardstick's, from a report's ``unseen``."""
    ratios = {f"this model, {IN_WORDS[unseen['source']]}": unseen, "loudness alone": unseen["velocity_only"]}
    return {label: list(figures["error_ratio_per_feature"].values()) for label, figures in ratios.items()}


@dataclass(frozen=True)
class OtherTake:
    """Another recording than the one trained on, with its hits measured against that one's reference hit."""

    samples: NDArray[np.float32]
    take: Take


def other_take(recording: Recording, trained_on: Take) -> OtherTake:
    """Find the hits of another recording as those of the training take were found.

    Raises:
        RecordingError: there is none.
    """
    hits = find_hits(recording.samples, recording.sample_rate, trained_on.hits.settings)
    if not len(hits):
        raise RecordingError(
            f"No hit was found in {recording.name} with the detector settings of the recording trained on. Record it "
            "at the same gain and distance."
        )
    return OtherTake(recording.samples, make_take(hits, against=trained_on))


def measure_other(
    module: Network,
    velocity: Network,
    other: OtherTake,
    trained_on: Take,
    ranges: ArrayLike,
    synth: Synth,
    listener: str = TORCHDRUM,
) -> Unseen:
    """Rehearse the other recording with a model and with the velocity-only mapping, and compare.

    Args:
        ranges: ``(2, 3)`` of the onset features, as a plug-in knows them after the training take.
        synth: that both play.
        listener: of the model; the velocity-only mapping plays as TorchDrum does.
    """
    known = {"initial_ranges": ranges, "synth": synth}
    played = measure_as_played(module, other.samples, other.take, listener=listener, **known)
    static = played.static if listener == TORCHDRUM else None  # another's begins at other samples
    beside = measure_as_played(velocity, other.samples, other.take, static=static, **known)
    return measure_unseen(played, beside, other.take, "second take", trained_on)


def measure_end(
    again: AsPlayed,
    velocity: Network,
    take: Take,
    samples: NDArray[np.float32],
    split: Split,
    ranges: ArrayLike,
    synth: Synth,
    listener: str = TORCHDRUM,
) -> Unseen:
    """The held-out end of a take, or where it is too short to hold any out, the hits that were trained on.

    Args:
        again: the whole take as a host plays it that knows the ranges.
        velocity: the velocity-only mapping.
        samples: the recording.
        split: of the training.
        ranges, synth, listener: as of :func:`measure_other`.
    """
    source, hits = ("end of take", split.test) if len(split.test) else ("trained hits", split.train)
    static = again.static if listener == TORCHDRUM else None
    beside = measure_as_played(velocity, samples, take, initial_ranges=ranges, synth=synth, static=static)
    return measure_unseen(again, beside, take, source, take, hits)


def measure_unseen(
    model: AsPlayed,
    velocity: AsPlayed,
    take: Take,
    source: Source,
    trained_on: Take,
    hits: NDArray | None = None,
) -> Unseen:
    """Compare what was played of a take's hits.

    Args:
        model, velocity: rehearsals of the take by the model and by the velocity-only mapping, with the ranges of the
            training take.
        take: whose differences are from the training take's reference hit.
        source: what the hits are.
        trained_on: the training take, from whose beginning the player's scatter is known if from any.
        hits: indices of those to look at; all by default.
    """
    wanted = np.arange(len(take)) if hits is None else hits
    rows, beside = model.among(wanted), velocity.among(wanted)
    return Unseen(
        played=model.played[rows],
        intended=model.intended[rows],
        source=source,
        velocity=Followed(velocity.played[beside], velocity.intended[beside]),
        image=match_played(model, take, rows),
        velocity_image=match_played(velocity, take, beside),
        scatter=scatter_of(trained_on),
    )


def scatter_of(take: Take) -> float | None:
    """How far eight hits that were meant to be the same lie apart, as an error ratio; None where none are known.

    "Hit the same spot eight times" is an optional beginning of a recording. Such hits are found by lying close
    together. A model cannot follow what the player does not intend.
    """
    first, whole = take.intended[:SAME_SPOT].numpy(), take.intended.numpy()
    copies = take.hits.near_copies[:SAME_SPOT]
    if len(whole) < 2 * SAME_SPOT or len(np.unique(copies)) < SAME_SPOT:
        return None  # copies of one sample do not scatter, and say nothing of the player
    scatter = np.abs(first - np.median(first, 0)).mean(0) / (np.abs(whole).mean(0) + LEAST)
    return float(scatter.mean()) if scatter.mean() <= LARGEST_SCATTER else None


def match_played(played: AsPlayed, take: Take, rows: NDArray) -> ImageMatch | None:
    """Are those of a take's hits that sound alike played alike?

    Args:
        played: a rehearsal of the take.
        rows: of ``played``.
    """
    rate = take.hits.sample_rate
    recorded = take.hits.segments[played.hits[rows]] * take.gain
    sounds = cut_hits(played.rehearsal.audio, played.triggers[rows], rate).numpy() * played.gain
    sounds = sounds[:, : recorded.shape[1]]
    rings = np.arange(sounds.shape[1]) < take.lengths.numpy()[played.hits[rows], None]
    return match_images(recorded[:, : sounds.shape[1]] * rings, sounds * rings, rate)
