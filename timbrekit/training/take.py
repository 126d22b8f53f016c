"""A take: all that training and measuring need to know of a recording's hits."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from timbrekit.errors import TrainingError
from timbrekit.features import MOST_SHIFT, TIMBRE_SAMPLES, TimbreFeatures, onset_features
from timbrekit.training.settings import Settings

if TYPE_CHECKING:
    from timbrekit.recording.hits import Hits

# Both sides are brought to this level before their features are taken, a recording by its reference hit and a
# synthesiser by its preset, so that the gate of the features lies equally far below both. Differences of
# loudness do not change by it.
NOMINAL_LKFS = -20.0
CHUNK = 16  # hits rendered or measured at once: more fall out of a processor's cache and are slower each
MINIMUM_HITS = 2  # one to follow and one to measure its difference from
# Samples by which hits are also heard earlier (negative) and later.
SHIFTS = tuple(range(-MOST_SHIFT, MOST_SHIFT + 1, 4))


@dataclass(frozen=True)
class Take:
    """The hits of a recording as numbers: what the plug-in hears of each, and how each sounded."""

    hits: "Hits"
    shifted_onset: Tensor  # (shifts, n, 3) raw onset features, the windows shifted by ``SHIFTS``
    timbre: Tensor  # (n, 7) over the first ``lengths`` samples of each hit
    reference_timbre: Tensor  # (n, 7) the reference hit's, over the same first ``lengths`` samples
    lengths: Tensor  # (n,) samples over which a hit and the reference hit are compared
    # index of the hit that the unmodulated preset stands for; None: a hit of another take
    reference: int | None
    gain: float  # that brings the recording to the nominal level
    against: "Take | None" = None  # the take that a model was trained on which is to play this one

    def __len__(self) -> int:
        return self.shifted_onset.shape[1]

    @property
    def onset(self) -> Tensor:
        """``(n, 3)`` raw onset features as the plug-in hears them: those in the middle, not shifted."""
        return self.shifted_onset[len(self.shifted_onset) // 2]

    @cached_property
    def intended(self) -> Tensor:
        """``(n, 7)``: how each hit differs from the reference hit, as far as both ring undisturbed."""
        return self.timbre - self.reference_timbre

    @cached_property
    def ranges(self) -> Tensor:
        """``(2, 3)`` lowest and highest of each onset feature over the take that the model knows."""
        onset = self.onset if self.against is None else self.against.onset
        return torch.stack([onset.amin(0), onset.amax(0)])

    @property
    def minimum(self) -> Tensor:
        return self.ranges[0]

    @property
    def maximum(self) -> Tensor:
        return self.ranges[1]

    @cached_property
    def inputs(self) -> Tensor:
        """``(n, 3)`` onset features, scaled as by a plug-in that knows the ``ranges``: its own take to [0, 1]."""
        return scale_to_range(self.onset, self.minimum, self.maximum)

    @cached_property
    def growing_ranges(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest, ``(n, n, 3)`` each: ``[start, i]`` is over hits ``start … i``.

        They are the ranges that a plug-in scales hit i with that was opened just before hit ``start``. Only
        ``i >= start`` is meant.
        """
        lowest, highest = torch.zeros(2, len(self), len(self), 3)
        for start in range(len(self)):
            lowest[start, start:] = self.onset[start:].cummin(0).values
            highest[start, start:] = self.onset[start:].cummax(0).values
        return lowest, highest


def scale_to_range(values: Tensor, minimum: Tensor, maximum: Tensor) -> Tensor:
    """Scale to [0, 1]; 0.5 where the range is empty, as the plug-in does."""
    span = maximum - minimum
    known = span > torch.finfo(span.dtype).eps * torch.maximum(minimum.abs(), maximum.abs())
    scaled = (values - minimum) / torch.where(known, span, 1.0)
    return torch.where(known, scaled, 0.5)


def draw_inputs(
    take: Take,
    settings: Settings,
    generator: torch.Generator,
    passes: int = 1,
    device: torch.device | None = None,
) -> Tensor:
    """``(passes, n, 3)`` inputs in [0, 1] for passes over a take, augmented: as the plug-in might hear it.

    Some hits are heard a little earlier or later, as the detector might have caught a similar stroke: a mapping that
    has heard them plays similar strokes similarly. Some are heard by a plug-in opened some hits earlier. How many is
    drawn evenly from 0 to n - 1, and nothing is earlier than the first hit: many of an early hit's inputs are those of
    a plug-in opened just before the take. A mapping that has seen such ranges plays sensibly while the plug-in's own
    are still growing. All ranges are those of the windows that are not shifted.

    Args:
        settings: of which ``shift_probability`` is the share of the hits that are shifted by one of ``SHIFTS``, drawn
            evenly, 0 among them; ``growing_probability`` the share that is scaled with ranges still growing, not the
            whole take's; ``jitter`` the standard deviation of noise that is added to all inputs.
        generator: on the CPU.
        device: of the inputs; the CPU by default.
    """
    size, hits = (passes, len(take)), torch.arange(len(take), device=device)
    heard, minimum, maximum = (values.to(device) for values in (take.onset, take.minimum, take.maximum))
    if settings.shift_probability:
        shifts = torch.randint(len(take.shifted_onset), size, generator=generator).to(device)
        chosen = torch.rand(size, generator=generator).to(device) < settings.shift_probability
        heard = torch.where(chosen[..., None], take.shifted_onset.to(device)[shifts, hits], heard)
    if settings.growing_probability:
        earlier = torch.randint(len(take), size, generator=generator).to(device)
        starts = (hits - earlier).clamp_min(0)
        chosen = (torch.rand(size, generator=generator).to(device) < settings.growing_probability)[..., None]
        lowest, highest = (values.to(device) for values in take.growing_ranges)
        minimum = torch.where(chosen, lowest[starts, hits], minimum)
        maximum = torch.where(chosen, highest[starts, hits], maximum)
    inputs = scale_to_range(heard, minimum, maximum).expand(passes, -1, -1)
    if settings.jitter:
        inputs = inputs + settings.jitter * torch.randn(inputs.shape, generator=generator).to(device)
    return inputs.clamp(0, 1)


def make_take(
    hits: "Hits",
    features: TimbreFeatures | None = None,
    onset_windows: np.ndarray | None = None,
    against: Take | None = None,
) -> Take:
    """Measure the hits of a recording.

    Args:
        hits: from ``timbrekit.recording.hits.find_hits``.
        features: timbre features; the gated ones at the hits' sample rate by default.
        onset_windows: ``(n, window)`` other windows than those where the plug-in takes them, for comparisons; hits are
            then heard neither earlier nor later.
        against: another take, whose reference hit these are compared with, at the level that it was brought to, and
            whose ranges they are heard with: what a model trained on that take is to make of these hits. By default
            they have a reference hit and ranges of their own.

    Raises:
        TrainingError: fewer than two hits; with ``against``, none.
    """
    if len(hits) < (MINIMUM_HITS if against is None else 1):
        raise TrainingError(
            f"Only {len(hits)} {'hit was' if len(hits) == 1 else 'hits were'} found, and at least {MINIMUM_HITS} "
            "are needed (40 or more make a good model). Play more hits, or turn down the Trigger Threshold."
        )
    features = features or TimbreFeatures(hits.sample_rate)
    windows = [onset_windows] if onset_windows is not None else [hits.windows_at(shift) for shift in SHIFTS]
    shifted_onset = onset_features(torch.from_numpy(np.stack(windows)), hits.sample_rate)
    segments, lengths = torch.from_numpy(hits.segments), torch.from_numpy(hits.lengths)
    if against is None:
        unscaled = measure(features, segments, lengths)
        reference = choose_reference(unscaled, lengths)
        gain = gain_to_nominal(float(unscaled[reference, 0]))
        reference_segment, reference_length = segments[reference], lengths[reference]
    else:
        reference, gain, of = None, against.gain, against.reference
        reference_segment = torch.from_numpy(against.hits.segments[of])
        reference_length = torch.tensor(against.hits.lengths[of])
    # A hit that the next one cuts short would differ from a long reference by its length alone, which no
    # onset can foretell: the two are compared over the time that both have.
    common = torch.minimum(lengths, reference_length)
    return Take(
        hits=hits,
        shifted_onset=shifted_onset,
        timbre=measure(features, segments * gain, common),
        reference_timbre=measure(features, (reference_segment * gain).expand_as(segments), common),
        lengths=common,
        reference=reference,
        gain=gain,
        against=against,
    )


def choose_reference(timbre: Tensor, lengths: Tensor) -> int:
    """A typical hit of about median loudness that rings long.

    Of the fifth of all hits nearest to the median of transient loudness, the one whose features are nearest to the
    take's medians, in units of their spread, plus half a unit for every halving of what the features look at.
    The published choice, the very hit of median loudness, may be odd in all else: every difference then starts with
    that oddity, and a model that only learns a constant looks good. And hits can only be compared with the
    reference for as long as it rings.

    Args:
        timbre: ``(n, 7)`` features of the hits.
        lengths: ``(n,)`` samples that belong to each.
    """
    middle = timbre.quantile(0.5, 0)
    distance = (timbre - middle).abs() / (timbre - middle).abs().mean(0).clamp_min(1e-6)
    near = distance[:, 0].argsort(stable=True)[: max(1, round(len(timbre) / 5))]
    shortness = (TIMBRE_SAMPLES / lengths[near].clamp(1, TIMBRE_SAMPLES)).log2()
    return int(near[(distance[near].mean(-1) + 0.5 * shortness).argmin()])


def gain_to_nominal(loudness_lkfs: float) -> float:
    """Factor that brings a sound of this loudness to the nominal level."""
    return 10 ** ((NOMINAL_LKFS - loudness_lkfs) / 20)


def measure(features: TimbreFeatures, segments: Tensor, lengths: Tensor | None = None) -> Tensor:
    """``features(segments, lengths)`` without gradients, in chunks that stay in the processor's cache."""
    with torch.no_grad():
        parts = [
            features(segments[i : i + CHUNK], None if lengths is None else lengths[i : i + CHUNK])
            for i in range(0, len(segments), CHUNK)
        ]
    return torch.cat(parts)
