"""What is heard of a hit at its onset (``onset``), and how a hit sounds as a whole (``timbre``)."""

from timbrekit.features.onset import (
    MOST_SHIFT,
    ONSET_FEATURE_UNITS,
    ONSET_FEATURES,
    ONSET_WINDOW,
    onset_features,
)
from timbrekit.features.timbre import (
    FRAME,
    GATE_LKFS,
    HOP,
    TIMBRE_FEATURE_UNITS,
    TIMBRE_FEATURES,
    TIMBRE_SAMPLES,
    TimbreFeatures,
    k_weighting,
)

__all__ = [
    "FRAME",
    "GATE_LKFS",
    "HOP",
    "MOST_SHIFT",
    "ONSET_FEATURES",
    "ONSET_FEATURE_UNITS",
    "ONSET_WINDOW",
    "TIMBRE_FEATURES",
    "TIMBRE_FEATURE_UNITS",
    "TIMBRE_SAMPLES",
    "TimbreFeatures",
    "k_weighting",
    "onset_features",
]
