"""A recording read, and its hits found: all that training needs."""

from dataclasses import dataclass
from pathlib import Path

from timbrekit import SAMPLE_RATE
from timbrekit.errors import Finding, RecordingError
from timbrekit.recording import Recording, read_recording
from timbrekit.recording.hits import Hits, find_hits
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.recording.suggest import Suggestion, suggest_settings
from timbrekit.recording.take_health import hit_findings


@dataclass(frozen=True)
class Prepared:
    """A recording with its hits found: all that training needs."""

    recording: Recording
    suggestion: Suggestion | None  # None where the detector settings were given
    hits: Hits
    findings: tuple[Finding, ...]


def prepare(
    recording: str | Path | Recording,
    sample_rate: int = SAMPLE_RATE,
    detector: DetectorSettings | None = None,
) -> Prepared:
    """Read a recording and find its hits.

    Args:
        recording: a file, or one already read at ``sample_rate``.
        sample_rate: Hz that the player's DAW runs at.
        detector: onset settings; None suggests some from the recording.

    Raises:
        RecordingError: it cannot be read, or has no hit.
    """
    if not isinstance(recording, Recording):
        recording = read_recording(recording, sample_rate)
    suggestion = None if detector else suggest_settings(recording.samples, recording.sample_rate)
    hits = find_hits(recording.samples, recording.sample_rate, detector or suggestion.settings)
    if not len(hits):
        raise RecordingError(
            f"No hit was found in {recording.name}. Record closer or louder, so that hits peak around -6 dBFS, or "
            "turn down the Trigger Threshold."
        )
    return Prepared(
        recording, suggestion, hits, (*recording.findings, *hit_findings(hits, recording.samples))
    )
