"""The published recipe (Shier et al., NIME 2024, section 4), on takes of its own windows and features."""

from dataclasses import replace

import numpy as np

from timbrekit.features import TimbreFeatures
from timbrekit.mapping import ModelName
from timbrekit.presets import Preset
from timbrekit.recording.hits import Hits, onset_windows
from timbrekit.training.settings import Settings
from timbrekit.training.take import Take, make_take
from timbrekit.training.train import Trained

PUBLISHED = Settings(
    model="mlp",
    recipe="published",
    epochs=250,
    learning_rate=5e-4,
    warm_start=False,
    balanced=False,
    shift_probability=0.0,
    growing_probability=0.0,
    jitter=0.0,
    expected=False,
    gradient_clip=0.0,
    l2_penalty=0.0,
    ema=0.0,
    fresh_noise=False,
    centred=True,
    features="published",
    thinned=False,
    plateau=True,
)
LINEAR_RATE = 5e-3
DAMPING = {"osc1.freq": 0.01, "osc2.freq": 0.01}  # 1 for all others
LEAD = 20  # samples by which the published code's window starts before the plug-in's
# Section 4.3: options of ``bounds.optimize_directly`` for the published search in a world of any features.
SEARCH = {"iterations": 1000, "learning_rate": 5e-3, "patience": 50, "balanced": False}


def published_settings(model: ModelName | None = None) -> Settings:
    """Of section 4.2. ``model``: one of its sizes; None is the MLP."""
    settings = replace(PUBLISHED, model=model or PUBLISHED.model)
    return replace(settings, learning_rate=LINEAR_RATE) if model == "linear" else settings


def published_windows(hits: Hits, samples: np.ndarray) -> Take:
    """The take as the published code trains on it: earlier onset windows, features that count silence."""
    starts = np.maximum(hits.triggers - LEAD, hits.windows.shape[1] - 1)
    features = TimbreFeatures(hits.sample_rate, gated=False)
    return make_take(hits, features, onset_windows(samples, starts))


def published_preset(preset: Preset) -> Preset:
    """The preset with the published damping."""
    return replace(preset, damping={p.key: DAMPING.get(p.key, 1.0) for p in preset.parameters})


def as_exported(trained: Trained) -> Trained:
    """As the published code exports it: the reference hit's inputs, subtracted in training, are left out."""
    trained.mapping.centre.zero_()
    return trained
