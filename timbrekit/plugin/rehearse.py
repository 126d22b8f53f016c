"""What the plug-in will do with a recording, offline: the whole way from samples to sound.

Mono samples, onset detection, the 256-sample window, three features, their running range, the network of the
model file itself, the parameters and the free-running synthesiser: every step as the plug-in takes it, in its
order and arithmetic, so that what is heard and measured here is what will be played.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from timbrekit.errors import ModelFileError, TimbrekitError
from timbrekit.features import onset_features
from timbrekit.files import atomic_path
from timbrekit.recording.hits import onset_windows
from timbrekit.recording.onsets import DetectorSettings, detect
from timbrekit.synth import find_synth
from timbrekit.synth.base import Synth
from timbrekit.synth.parameters import NUM_PARAMETERS
from timbrekit.synth.snare808_stream import white_noise

Network = Callable[[torch.Tensor], torch.Tensor]
SENSITIVITY_RANGE = (0.0, 4.0)  # the plug-in's "Neurality" control
NUM_FEATURES = 3


@dataclass(frozen=True)
class Rehearsal:
    """What the plug-in does with a recording. Positions are sample indices at ``sample_rate``."""

    audio: NDArray[np.float32]  # (samples,) what comes out
    sample_rate: int  # Hz
    detections: NDArray[np.int64]  # (d,) every sample at which the detector fired
    dropped: NDArray[np.int64]  # (k,) detections that came while a window was filling
    triggers: NDArray[np.int64]  # (n,) where the synthesiser was triggered
    raw_features: NDArray[np.float32]  # (n, 3) loudness in dB, centroid in semitones, flatness in dB
    normalized_features: NDArray[np.float32]  # (n, 3) by the running range: what the network was given
    modulation: NDArray[np.float32]  # (n, parameters) what the network answered, normalised
    parameters: NDArray[np.float32]  # (n, parameters) physical units, after the host's rounding
    preset: NDArray[np.float32]  # (parameters,) physical units: what the synthesiser plays unmodulated
    ranges: NDArray[np.float32]  # (2, 3) lowest and highest raw features met so far, the primer's included
    settings: DetectorSettings

    def save_trace(self, path: str | Path) -> None:
        """Write everything but the sound as a ``.npz``, whole or not at all.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        names = ("sample_rate", "detections", "triggers", "raw_features", "normalized_features")
        names += ("modulation", "parameters")
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in names})


def rehearse(
    module: Network,
    samples: ArrayLike,
    sample_rate: int,
    settings: DetectorSettings | None = None,
    sensitivity: float = 1.0,
    seed: int = 0,
    noise: ArrayLike | None = None,
    dry_wet: float = 1.0,
    primer: ArrayLike | None = None,
    initial_ranges: ArrayLike | None = None,
    synth: Synth | None = None,
) -> Rehearsal:
    """Play a recording through a model as the plug-in does.

    Args:
        module: ``(n, 3)`` inputs to ``(n + 1, parameters)``, modulations and the preset: what a model file holds
            (``timbrekit.export.check.open_model``), or any other module that answers so.
        samples: mono audio, full scale ±1, (samples,).
        sample_rate: Hz, of ``samples`` and of the result: the rate the DAW runs at.
        settings: the plug-in's onset controls; its defaults if None.
        sensitivity: factor on the modulation in [0, 4].
        seed: of the synthesiser's noise, which is fresh at every hit.
        noise: instead of ``seed``, one value in [-1, 1] for each sample of the primer and the recording.
        dry_wet: share of the synthesiser in [0, 1]; the rest is the recording itself.
        primer: audio sent through the plug-in before the recording. What it does to the feature ranges stays;
            its own sound and hits are left out of the result.
        initial_ranges: (2, 3) feature ranges to start from, such as ``ranges`` of an earlier rehearsal: a
            second pass over a take in a plug-in that was not reset. None is a plug-in just opened.
        synth: that the model plays; the 808 if None.

    Raises:
        ModelFileError: the model does not answer with a modulation and a preset for this synthesiser.
        TimbrekitError: sensitivity or dry/wet are out of range.
    """
    settings = settings or DetectorSettings()
    check_amounts(sensitivity, dry_wet)
    synth = synth or find_synth()
    samples = np.asarray(samples, dtype=np.float32)
    lead_in = 0 if primer is None else len(np.asarray(primer))
    heard = samples if primer is None else np.concatenate([np.asarray(primer, dtype=np.float32), samples])

    found = detect(heard, sample_rate, settings)
    raw = raw_features(onset_windows(heard, found.triggers), sample_rate)
    normalized, ranges = _normalize_running(raw, initial_ranges)
    modulation, patch = run_network(module, normalized, len(synth.parameters))
    parameters = modulated_parameters(synth, patch, modulation, sensitivity)
    preset = modulated_parameters(synth, patch, np.zeros((1, len(patch))), 0.0)[0]
    noise = white_noise(len(heard), seed) if noise is None else noise
    wet = synth.stream(parameters, found.triggers, len(heard), sample_rate, noise, idle=preset)[lead_in:]

    own = found.triggers >= lead_in
    return Rehearsal(
        audio=mixed(wet, samples, dry_wet),
        sample_rate=sample_rate,
        detections=found.positions[found.positions >= lead_in] - lead_in,
        dropped=found.dropped[found.dropped >= lead_in] - lead_in,
        triggers=found.triggers[own] - lead_in,
        raw_features=raw[own],
        normalized_features=normalized[own],
        modulation=modulation[own],
        parameters=parameters[own],
        preset=preset,
        ranges=ranges,
        settings=settings,
    )


def run_network(
    module: Network, normalized: NDArray[np.float32], num_parameters: int = NUM_PARAMETERS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ask the network hit by hit, as the plug-in does: one row of three features a call.

    Returns:
        (n, parameters) modulation and (parameters,) preset, both normalised.

    Raises:
        ModelFileError: an answer has another shape than (2, parameters), or the network fails.
    """
    shape = 2, num_parameters
    patch = answer_of(module, torch.ones(1, NUM_FEATURES), shape)[1]  # the plug-in's test call first
    rows = [answer_of(module, torch.from_numpy(row[None]), shape)[0] for row in normalized]
    return np.array(rows, dtype=np.float32).reshape(-1, num_parameters), patch


def normalize_running(raw: ArrayLike, initial_ranges: ArrayLike | None = None) -> NDArray[np.float32]:
    """Scale features to [0, 1] by the lowest and highest value up to and including each hit.

    Where a feature has no range yet (the first hit) it is 0.5. NaN leaves the range as it is and stays NaN.

    Args:
        raw: (n, 3) features in the order of the hits.
        initial_ranges: (2, 3) lowest and highest values met before, or None.

    Returns:
        (n, 3) in [0, 1].
    """
    return _normalize_running(np.asarray(raw, dtype=np.float32), initial_ranges)[0]


def modulated_parameters(
    synth: Synth, patch: ArrayLike, modulation: ArrayLike, sensitivity: float = 1.0
) -> NDArray[np.float32]:
    """Parameters as the host hands them to its synthesiser.

    Args:
        synth: whose ranges and rounding hold.
        patch: (parameters,) preset, normalised.
        modulation: (n, parameters) normalised.
        sensitivity: factor on the modulation.

    Returns:
        (n, parameters) physical units, float32, in steps from each minimum (the plug-in's are 0.01). The plug-in
        snaps the preset too, when it takes it over from the model.
    """
    low, high = np.array([(p.minimum, p.maximum) for p in synth.parameters], dtype=np.float32).T
    preset = (_snapped(np.asarray(patch, dtype=np.float32), low, high, synth.step) - low) / (high - low)
    amount = np.asarray(modulation, dtype=np.float32) * np.float32(sensitivity)
    return _snapped(np.clip(np.clip(preset, 0, 1) + amount, 0, 1), low, high, synth.step)


def _snapped(normalized, low, high, step: float | None) -> NDArray[np.float32]:
    """To physical units in steps from each minimum, in float32 throughout."""
    value = low + (high - low) * np.clip(normalized, 0, 1)
    if step is not None:
        step = np.float32(step)
        value = low + step * np.floor((value - low) / step + np.float32(0.5))
    return np.clip(value, low, high)


def _normalize_running(raw, initial_ranges) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if initial_ranges is None:
        initial_ranges = np.array([[np.inf] * NUM_FEATURES, [-np.inf] * NUM_FEATURES])
    initial = np.asarray(initial_ranges, dtype=np.float32)
    lowest = np.fmin.accumulate(np.vstack([initial[:1], raw]))[1:]  # fmin, fmax: NaN is no value
    highest = np.fmax.accumulate(np.vstack([initial[1:], raw]))[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        span = highest - lowest
        known = span > np.finfo(np.float32).eps * np.maximum(np.abs(lowest), np.abs(highest))
        scaled = np.clip((raw - lowest) / span, 0, 1)
    ranges = np.stack([lowest[-1], highest[-1]]) if len(raw) else initial
    return np.where(known, scaled, np.float32(0.5)).astype(np.float32), ranges


def raw_features(windows: ArrayLike, sample_rate: int) -> NDArray[np.float32]:
    """``(n, 3)`` onset features of windows ``(n, 256)``, as the plug-in hears them."""
    if not len(windows):
        return np.zeros((0, NUM_FEATURES), dtype=np.float32)
    return onset_features(torch.from_numpy(windows), sample_rate).numpy().astype(np.float32)


def answer_of(module: Network, features: torch.Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """What a model makes of ``features``, once it has the ``shape`` that it should have.

    Raises:
        ModelFileError: it has another, or the model fails.
    """
    try:
        with torch.inference_mode():
            answer = module(features)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:120]
        raise ModelFileError(
            f"The model fails on {features.shape[1]} features: {reason}. Train it again."
        ) from error
    if not isinstance(answer, torch.Tensor) or tuple(answer.shape) != shape:
        given = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
        raise ModelFileError(
            f"The model answers with {given}, and {shape} is needed: modulation and preset. Export it again with "
            "timbrekit."
        )
    return answer.detach().to(torch.float32).numpy()


def check_amounts(sensitivity: float, dry_wet: float) -> None:
    """Raises TimbrekitError where one is out of range."""
    amounts = ("Neurality (sensitivity)", sensitivity, SENSITIVITY_RANGE), ("Dry/wet", dry_wet, (0.0, 1.0))
    for name, value, (low, high) in amounts:
        if not low <= value <= high:
            raise TimbrekitError(f"{name} is {value}; give a value from {low:g} to {high:g}.")


def mixed(wet: NDArray[np.float32], dry: NDArray[np.float32], dry_wet: float) -> NDArray[np.float32]:
    """``dry_wet`` of the synthesiser; the rest is the recording."""
    return wet if dry_wet == 1.0 else np.float32(dry_wet) * wet + np.float32(1 - dry_wet) * dry
