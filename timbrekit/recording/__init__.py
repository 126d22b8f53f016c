"""From a recording in any common format to mono float samples at the rate we work at, with its health.

Formats: what soundfile reads (WAV 8 to 64 bit, AIFF, FLAC, OGG, MP3, ...) and, where ffmpeg is installed,
what phones and browsers record (M4A/AAC, WebM, ...).
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from timbrekit import SAMPLE_RATE
from timbrekit.errors import Finding, RecordingError
from timbrekit.files import atomic_path
from timbrekit.recording.decode import open_audio, shown
from timbrekit.recording.health import (
    MAXIMUM_SECONDS,
    MINIMUM_SECONDS,
    RESCUE_DB,
    SILENT_DB,
    WILD_PEAK,
    ChannelLevels,
    describe,
    peak_and_offset,
    recording_findings,
    to_db,
)

__all__ = ["Recording", "describe", "read_recording", "resample", "write_wav"]

LOWEST_RATE = 8_000  # Hz; below, the detector's 600 Hz high-pass and the hits' brightness lose their meaning
HIGHEST_RATE = 192_000  # Hz; the highest rate of audio interfaces, and the bound on memory
RESAMPLING_QUALITY = "VHQ"  # soxr's best; a minute takes some hundredths of a second even so
LARGEST_24_BIT = 1.0 - 2.0**-23


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording, ready to work on."""

    samples: np.ndarray  # (samples,) float32, mono, finite, full scale is 1
    sample_rate: int  # Hz
    source_rate: int  # Hz, of the file
    channels: int  # of the file
    path: Path
    findings: tuple[Finding, ...]  # what the player should know, warnings first

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return self.path.name


def read_recording(
    path: str | Path, sample_rate: int | None = SAMPLE_RATE, least_seconds: float = MINIMUM_SECONDS
) -> Recording:
    """Read a recording: mono, resampled, checked.

    Mono is the mean of the channels, as in the plug-in. Only where that mean is more than 12 dB weaker than
    the loudest channel (channels out of phase, or most of them dead) is that channel used, and a finding
    says so. Non-finite samples become 0, and a recording longer than 10 minutes is cut; findings say so.

    Args:
        path: the sound file, 8 to 192 kHz, any number of channels.
        sample_rate: Hz wanted, 8,000 to 192,000; None keeps the file's own.
        least_seconds: of sound that the file has to hold.

    Raises:
        RecordingError: the file cannot be read, or holds nothing to work with: shorter than that, silent,
            not one usable sample, values far beyond full scale.
    """
    path = Path(path)
    _check_rate(sample_rate, "The sample rate asked for")
    mono, levels = _mixed(path)
    _check_usable(path, levels, least_seconds)
    loss_db = to_db(levels.channel_power.max()) / 2 - to_db(levels.mean_power) / 2
    loudest = int(levels.channel_power.argmax()) if loss_db > RESCUE_DB else None
    if loudest is not None:
        mono, _ = _mixed(path, channel=loudest)
    peak, _ = peak_and_offset(mono)
    if to_db(peak) < SILENT_DB:
        raise RecordingError(
            f"{shown(path)} is silent: its peak is {max(to_db(peak), -200):.0f} dB, and {SILENT_DB:.0f} dB "
            "is the least that can be used. Check the microphone and its input level, and record again."
        )
    findings = recording_findings(mono, levels, loudest)
    rate = levels.rate if sample_rate is None else sample_rate
    return Recording(resample(mono, levels.rate, rate), rate, levels.rate, levels.channels, path, findings)


def _mixed(path: Path, channel: int | None = None) -> tuple[np.ndarray, ChannelLevels]:
    """Decode to mono ``(samples,)`` float32, the mean of all channels or one channel, at the file's rate."""
    with open_audio(path) as stream:
        _check_rate(stream.rate, f"The sample rate of {shown(path)}")
        levels = ChannelLevels(stream.rate, stream.channels, stream.full_scale)
        levels.declared_frames = stream.declared_frames
        mono = np.empty(MAXIMUM_SECONDS * stream.rate, np.float32)  # takes memory only as it is written
        while len(block := stream.read()):
            start = levels.frames
            levels.cut = start + len(block) > len(mono)
            mono[start : start + len(block)] = levels.add(block[: len(mono) - start], channel)
            if levels.cut:
                break
        levels.complaint = stream.complaint
    return mono[: levels.frames], levels


def _check_rate(rate: int | None, what: str) -> None:
    if rate is not None and not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise RecordingError(
            f"{what} is {rate} Hz; it has to be between {LOWEST_RATE} and {HIGHEST_RATE} Hz. 48000 Hz is the "
            "usual choice."
        )


def _check_usable(path: Path, levels: ChannelLevels, least_seconds: float) -> None:
    seconds = levels.frames / levels.rate
    if seconds < least_seconds:
        broken = " The file is damaged or was cut off." if levels.ends_early else ""
        raise RecordingError(
            f"{shown(path)} holds {seconds:.2f} s of sound; {least_seconds} s is the least.{broken} "
            "Record about a minute of playing."
        )
    if levels.non_finite == levels.frames * levels.channels:
        raise RecordingError(
            f"{shown(path)} holds no sound: not one of its {levels.non_finite} samples is a number. Export "
            "it again as 24-bit WAV."
        )
    if levels.peak > WILD_PEAK:
        raise RecordingError(
            f"{shown(path)} reaches {levels.peak:.3g} where full scale is 1 (at most {WILD_PEAK} is "
            "accepted). It was probably saved with the wrong number format: export it again as 24-bit WAV."
        )


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Change the sample rate, band-limited (soxr, very high quality).

    What lies above half of the lower rate is removed, by 140 dB or more; up to 91 % of that half, levels
    stay within 0.01 dB. (Measured with sines.)

    Args:
        samples: ``(samples,)``, float.
        from_rate, to_rate: Hz.

    Returns:
        ``(round(samples * to_rate / from_rate),)`` float32; an unchanged copy where the rates are equal.
    """
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if from_rate == to_rate or not len(samples):
        return samples.copy()
    import soxr  # here, so that importing timbrekit stays quick

    return soxr.resample(samples, from_rate, to_rate, quality=RESAMPLING_QUALITY).astype(
        np.float32, copy=False
    )


def write_wav(path: str | Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write a 24-bit WAV file, whole or not at all. What exceeds full scale is clipped.

    Args:
        path: the file; what was there is replaced.
        samples: ``(samples,)`` or ``(samples, channels)``, float, full scale is 1.
        sample_rate: Hz.

    Raises:
        OutputError: the file cannot be written.
        ValueError: a sample is not finite: that is a fault in what made them, not something to write.
    """
    samples = np.asarray(samples, dtype=np.float64)
    if not np.isfinite(samples).all():
        raise ValueError(f"{int((~np.isfinite(samples)).sum())} samples for {path} are not finite")
    encoded = io.BytesIO()  # in memory first: a full disk then is a plain OSError, which atomic_path explains
    soundfile.write(
        encoded, np.clip(samples, -1.0, LARGEST_24_BIT), sample_rate, subtype="PCM_24", format="WAV"
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getvalue())
