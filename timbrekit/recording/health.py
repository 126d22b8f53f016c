"""The health of a recording: what is measured, the limits, and the advice that goes with each.

Levels are in dB relative to full scale (20 log10 of the magnitude), a share is 0..1.
"""

from collections.abc import Iterable

import numpy as np

from timbrekit.errors import Finding

MINIMUM_SECONDS = 0.5  # half a hit's segment; nothing can be learnt from less
SHORT_SECONDS = 5.0  # less gives a handful of hits; about a minute is what training is meant for
MAXIMUM_SECONDS = 600  # bounds memory (460 MB of samples at 192 kHz) and is ten times what is needed
SILENT_DB = -80.0  # some 40 dB below anything that the plug-in's detector can react to
QUIET_DB = -24.0  # detector: floor -55 dB, fires 16 dB above it; this leaves 15 dB for the softest hits
WILD_PEAK = 1000.0  # +60 dB: integers saved as floats, or random bytes; no level setting does that
CLIPPED_SHARE = 2e-5  # one sample in 50,000: about one a second at 48 kHz
CLIPPED_RUN = 3  # samples; a clean peak may touch full scale once or twice, a clipped one stays there
OFFSET_SHARE = 0.02  # of the peak; a sound card's usual offset is ten times smaller
DEAD_DB = -60.0  # relative to the loudest channel
# the mean's level below that of unrelated channels; 0 for unrelated, negative for similar ones
CANCEL_DB = 3.0
RESCUE_DB = 12.0  # the mean's level below the loudest channel; one dead channel of two costs 6
FLOOR_DB = 26.0  # hits over background; the detector needs 16, softer hits are some 10 below the loudest
FLOOR_PERCENTILES = (10, 99)  # of frame levels: the background between the hits; the loudest part of the hits
FRAME_SECONDS = 0.02
HEARD_HZ = 300.0  # the detector hears from 600 Hz, 12 dB an octave; hum lies below
BAND_BELOW_HZ, BAND_ABOVE_HZ = (2_500.0, 3_400.0), (4_200.0, 5_500.0)
# from one to the other: of 60 recorded drums the dullest falls by 13, taps on a phone by 19
BAND_DROP_DB = 30.0
BAND_FRAMES = 200  # of the loudest
NARROW_HZ = 8_000.0
MISSING_SHARE = 0.02  # of the promised length; the count in MP3 headers is itself an estimate
ENDLESS_SECONDS = 86_400  # a header that promises more than a day is a placeholder or a lie


def to_db(magnitude: float) -> float:
    """20 log10 of a magnitude; -400 for 0."""
    return 20.0 * float(np.log10(max(float(magnitude), 1e-20)))


class ChannelLevels:
    """Running measurements over the blocks of a file, as decoded (before mixing and resampling)."""

    def __init__(self, rate: int, channels: int, full_scale: float) -> None:
        self.rate, self.channels, self.full_scale = rate, channels, full_scale
        self.frames = 0
        self.non_finite = 0  # samples, over all channels
        self.peak = 0.0
        self.clipped = np.zeros(channels, np.int64)  # samples in runs at full scale
        self.cut = False  # longer than MAXIMUM_SECONDS
        self.declared_frames: int | None = None
        self.complaint = ""  # the decoder's, where it stopped early
        self._sums, self._squares = np.zeros(channels), np.zeros(channels)
        self._mean_sum = self._mean_squares = 0.0

    def add(self, block: np.ndarray, channel: int | None) -> np.ndarray:
        """Measure a block ``(frames, channels)`` and mix it: the mean of all channels, or one of them.

        Returns:
            ``(frames,)`` float32, with 0 where samples were not finite.
        """
        magnitudes = np.abs(block)
        peak = float(magnitudes.max(initial=0.0))
        if not np.isfinite(peak):
            finite = np.isfinite(block)
            self.non_finite += int((~finite).sum())
            block = np.where(finite, block, np.float32(0.0))
            magnitudes = np.abs(block)
            peak = float(magnitudes.max(initial=0.0))
        self.frames += len(block)
        self.peak = max(self.peak, peak)
        if peak >= self.full_scale:
            self.clipped += _count_in_runs(magnitudes >= self.full_scale)
        exact = block.astype(np.float64)
        mean = exact @ np.full(self.channels, 1.0 / self.channels)  # several times faster than mean(axis=1)
        self._sums += np.ones(len(exact)) @ exact
        self._squares += np.einsum("ij,ij->j", exact, exact)
        self._mean_sum += float(mean.sum())
        self._mean_squares += float(mean @ mean)
        return np.ascontiguousarray(mean if channel is None else block[:, channel], dtype=np.float32)

    @property
    def channel_power(self) -> np.ndarray:
        """Mean square of each channel without its offset, ``(channels,)``."""
        count = max(self.frames, 1)
        return np.maximum(self._squares / count - (self._sums / count) ** 2, 0.0)

    @property
    def mean_power(self) -> float:
        """Mean square of the mean of the channels, without its offset."""
        count = max(self.frames, 1)
        return max(self._mean_squares / count - (self._mean_sum / count) ** 2, 0.0)

    @property
    def ends_early(self) -> bool:
        """Whether clearly less could be read than the header promises."""
        declared = self.declared_frames or 0
        believable = declared < ENDLESS_SECONDS * self.rate
        return not self.cut and believable and self.frames < (1.0 - MISSING_SHARE) * declared


def _count_in_runs(full: np.ndarray) -> np.ndarray:
    """Count, per channel, the True values of ``(frames, channels)`` in runs of at least CLIPPED_RUN.

    (A run across the border of two blocks may be missed by its ends; that is one block in 16,384 samples.)
    """
    if len(full) < CLIPPED_RUN:
        return np.zeros(full.shape[1], np.int64)
    starts = full[:-2] & full[1:-1] & full[2:]
    in_run = np.zeros_like(full)
    for shift in range(CLIPPED_RUN):
        in_run[shift : len(full) - 2 + shift] |= starts
    return in_run.sum(axis=0)


def peak_and_offset(mono: np.ndarray) -> tuple[float, float]:
    """The offset (mean) of ``(samples,)`` and the largest distance from it. Not empty; no copy is made."""
    offset = float(mono.mean(dtype=np.float64))
    return max(float(mono.max()) - offset, offset - float(mono.min())), offset


def recording_findings(mono: np.ndarray, levels: ChannelLevels, loudest: int | None) -> tuple[Finding, ...]:
    """Everything the player should know about a usable recording, warnings first.

    Args:
        mono: ``(samples,)`` float32 at the file's rate.
        levels: measured while decoding.
        loudest: the channel that ``mono`` is, where it is not the mean of all.
    """
    peak, offset = peak_and_offset(mono)
    findings = [
        *_length_findings(levels),
        *_channel_findings(levels, loudest),
        *_level_findings(levels, peak, offset),
        *_background_findings(mono, levels.rate),
        *_band_findings(mono, levels.rate),
    ]
    return tuple(sorted(findings, key=lambda finding: finding.severity != "warning"))


def _length_findings(levels: ChannelLevels) -> Iterable[Finding]:
    seconds = levels.frames / levels.rate
    if levels.cut:
        yield Finding.warning(
            "too_long", (levels.declared_frames or levels.frames) / levels.rate, MAXIMUM_SECONDS,
            f"The recording is longer than {MAXIMUM_SECONDS // 60} minutes; only the first "
            f"{MAXIMUM_SECONDS // 60} are used. Cut out the minute or two that you want to train on.",
        )  # fmt: skip
    if seconds < SHORT_SECONDS:
        yield Finding.warning(
            "too_short", seconds, SHORT_SECONDS,
            f"The recording is only {seconds:.1f} s long. Record about a minute: soft and loud hits, all the "
            "sounds you want to play with.",
        )  # fmt: skip
    if levels.ends_early:
        declared = levels.declared_frames / levels.rate
        yield Finding.warning(
            "ends_early", seconds, declared,
            f"The file should hold {declared:.1f} s, but only {seconds:.1f} s could be read; those are "
            "used. It was cut off or damaged: export or upload it again if you miss something.",
        )  # fmt: skip
    elif levels.complaint:
        yield Finding.warning(
            "damaged", seconds, seconds,
            f"The file is damaged in places; {seconds:.1f} s could be read and are used. Export it again if "
            "you miss something.",
        )  # fmt: skip
    if levels.non_finite:
        share = levels.non_finite / (levels.frames * levels.channels)
        yield Finding.warning(
            "non_finite", levels.non_finite, 0,
            f"{levels.non_finite} samples ({share:.2%}) are not numbers; they were replaced by silence. "
            "Export the recording again as 24-bit WAV.",
        )  # fmt: skip


def _channel_findings(levels: ChannelLevels, loudest: int | None) -> Iterable[Finding]:
    if levels.channels < 2:
        return
    power = levels.channel_power
    relative_db = 10.0 * np.log10(np.maximum(power / max(power.max(), 1e-40), 1e-20))
    dead = np.flatnonzero(relative_db < DEAD_DB)
    if len(dead):
        names = ", ".join(str(index + 1) for index in dead[:8]) + (" …" if len(dead) > 8 else "")
        yield Finding.warning(
            "dead_channel", relative_db.min(), DEAD_DB,
            f"Of {levels.channels} channels, {len(dead)} carry no sound (channel {names}: "
            f"{relative_db[dead].max():.0f} dB below the loudest). The plug-in averages channels, so you "
            "get a weaker signal; check the cable, or export the live channel alone.",
        )  # fmt: skip
    unrelated = power.sum() / levels.channels**2
    cancel_db = 10.0 * float(np.log10(max(unrelated, 1e-40) / max(levels.mean_power, 1e-40)))
    if cancel_db > CANCEL_DB:
        yield Finding.warning(
            "phase_cancelling", cancel_db, CANCEL_DB,
            f"The channels cancel each other: their mix is {min(cancel_db, 200):.0f} dB weaker than it "
            "should be. The plug-in mixes them too: flip the phase of one channel, or use one microphone.",
        )  # fmt: skip
    if loudest is not None:
        loss_db = 10.0 * float(np.log10(power.max() / max(levels.mean_power, 1e-40)))
        yield Finding.warning(
            "one_channel_used", min(loss_db, 200.0), RESCUE_DB,
            f"Mixed to mono, the recording would lose {min(loss_db, 200):.0f} dB, so channel {loudest + 1} "
            "alone is used. In your DAW, feed the plug-in with that channel alone too.",
        )  # fmt: skip


def _level_findings(levels: ChannelLevels, peak: float, offset: float) -> Iterable[Finding]:
    share = float(levels.clipped.max()) / levels.frames
    # where a file is damaged, its noise is not the input's fault
    if share > CLIPPED_SHARE and not levels.complaint:
        yield Finding.warning(
            "clipped", share, CLIPPED_SHARE,
            f"{share:.3%} of the samples ({int(levels.clipped.max())}) are clipped: stuck at full scale. "
            "Turn the input down until the loudest hit stays clear of the top, and record again.",
        )  # fmt: skip
    if to_db(peak) < QUIET_DB:
        yield Finding.warning(
            "very_quiet", to_db(peak), QUIET_DB,
            f"The recording is very quiet: its peak is {to_db(peak):.0f} dB (at least {QUIET_DB:.0f} dB is "
            "good). Soft hits will be missed, here and in the plug-in: turn the input up.",
        )  # fmt: skip
    if abs(offset) > OFFSET_SHARE * peak:
        yield Finding.warning(
            "dc_offset", abs(offset) / peak, OFFSET_SHARE,
            f"The wave is off its centre line by {offset:+.4f} ({abs(offset) / peak:.1%} of the peak; up to "
            f"{OFFSET_SHARE:.1%} is harmless). Use your editor's 'remove DC offset', here and when you play.",
        )  # fmt: skip


def _background_findings(mono: np.ndarray, rate: int) -> Iterable[Finding]:
    power = _power_heard(mono, rate)
    if not len(power):
        return
    background, hits = 10.0 * np.log10(np.percentile(power, FLOOR_PERCENTILES))
    if hits - background < FLOOR_DB:
        yield Finding.warning(
            "noise_floor", float(hits - background), FLOOR_DB,
            f"The hits stand only {hits - background:.0f} dB above what sounds between them "
            f"({background:.0f} dB above {HEARD_HZ:.0f} Hz; a distance of {FLOOR_DB:.0f} dB is good). If that is hiss, "
            "speech or music, silence it or move closer; a drum roll without gaps is fine.",
        )  # fmt: skip


def _power_heard(mono: np.ndarray, rate: int) -> np.ndarray:
    """Mean square of each 20 ms of what the detector can hear: above 300 Hz, where hum is not."""
    from scipy.signal import butter, sosfilt, sosfilt_zi  # here, so that importing timbrekit stays quick

    high = butter(4, HEARD_HZ, "highpass", fs=rate, output="sos")
    state = sosfilt_zi(high) * (float(mono[0]) if len(mono) else 0.0)
    frame = round(FRAME_SECONDS * rate)
    power = []
    for at in range(0, len(mono) // frame * frame, 256 * frame):
        block = mono[at : min(at + 256 * frame, len(mono) // frame * frame)]
        heard, state = sosfilt(high, block.astype(np.float64), zi=state)
        power.append(np.square(heard.reshape(-1, frame)).mean(axis=1))
    return np.maximum(np.concatenate(power), 1e-12) if power else np.zeros(0)  # -120 dB: digital silence


def _band_findings(mono: np.ndarray, rate: int) -> Iterable[Finding]:
    """Sound that ends at some 4 kHz, as after a telephone or a headset: the brightness of a hit is not in it."""
    if rate / 2 <= BAND_ABOVE_HZ[1]:
        edge = rate / 2
    else:
        size = 1 << round(np.log2(0.05 * rate))
        frames = mono[: len(mono) // size * size].reshape(-1, size)
        loud = np.argsort(np.abs(frames).max(axis=1, initial=0))[-BAND_FRAMES:]
        power = (np.abs(np.fft.rfft(frames[loud] * np.hanning(size))) ** 2).mean(axis=0)
        hz = np.fft.rfftfreq(size, 1 / rate)
        below, above = (
            10 * np.log10(power[(hz >= low) & (hz < high)].mean() + 1e-20)
            for low, high in (BAND_BELOW_HZ, BAND_ABOVE_HZ)
        )
        if below - above < BAND_DROP_DB:
            return
        edge = BAND_ABOVE_HZ[0]
    yield Finding.warning(
        "narrow_band", edge, NARROW_HZ,
        f"There is no sound above about {edge / 1000:.0f} kHz, as over a telephone or a wireless headset, and a "
        f"hit's brightness lies there ({NARROW_HZ / 1000:.0f} kHz is the least). Use another microphone or app.",
    )  # fmt: skip


def describe(findings: Iterable[Finding]) -> list[str]:
    """One line of plain text for each finding, e.g. "Warning: The recording is only 2.1 s long. …"."""
    words = {"info": "Note", "warning": "Warning", "error": "Problem"}
    return [f"{words[finding.severity]}: {finding.advice}" for finding in findings]
