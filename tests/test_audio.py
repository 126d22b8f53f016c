"""Reading recordings: every format, rate and channel count to the same sound; damage and misuse in words.

Independent truth: sines, whose frequency and level are known at any rate, and hits made here.
"""

import contextlib
import io
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timbrekit.errors import RecordingError, TimbrekitError
from timbrekit.recording import Recording, decode, describe, read_recording, resample, write_wav

RATE = 48_000
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
generated = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def drumming(rate: int = RATE, seconds: float = 6.0, peak: float = 0.5) -> np.ndarray:
    """Two noise bursts a second over a background 60 dB below: a recording without any fault."""
    noise = np.random.default_rng(1).uniform(-1.0, 1.0, int(rate * seconds))
    time = np.arange(len(noise)) / rate
    return peak * noise * np.maximum(np.exp(-((time % 0.5) / 0.03)), 1e-3)


def save(
    folder: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT", name: str = "take.wav"
) -> Path:
    soundfile.write(folder / name, samples, rate, subtype=subtype, format=name.rsplit(".")[-1].upper())
    return folder / name


def kinds(recording: Recording) -> set[str]:
    return {finding.kind for finding in recording.findings}


def finding(recording: Recording, kind: str):
    return next(finding for finding in recording.findings if finding.kind == kind)


def decibels(signal: np.ndarray) -> float:
    """Level of the middle half (no filter ends) relative to a full-scale sine."""
    middle = signal[len(signal) // 4 : 3 * len(signal) // 4].astype(np.float64)
    return 10 * np.log10(2 * np.mean(middle**2) + 1e-30)


# --- formats -----------------------------------------------------------------------------------------------

# Tolerance: half a step of the format, and for the lossy ones a bound on what they may change.
LOSSLESS = [
    ("wav", "PCM_U8", 1 / 128),
    ("wav", "PCM_16", 1 / 32768),
    ("wav", "PCM_24", 2e-7),
    ("wav", "PCM_32", 1e-7),
    ("wav", "FLOAT", 1e-7),
    ("wav", "DOUBLE", 1e-7),
    ("aiff", "PCM_16", 1 / 32768),
    ("aiff", "PCM_24", 2e-7),
    ("flac", "PCM_16", 1 / 32768),
    ("flac", "PCM_24", 2e-7),
]


@pytest.mark.parametrize("extension, subtype, tolerance", LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2, 5, 8])
def test_every_lossless_format_gives_the_mean_of_its_channels(
    tmp_path, extension, subtype, tolerance, channels
):
    samples = drumming(seconds=1.0)[:, None] * np.linspace(0.5, 1.0, channels)
    recording = read_recording(save(tmp_path, samples, subtype=subtype, name=f"take.{extension}"))
    assert recording.samples.dtype == np.float32 and recording.samples.shape == (RATE,)
    assert (recording.channels, recording.source_rate, recording.sample_rate) == (channels, RATE, RATE)
    assert np.abs(recording.samples - samples.mean(axis=1)).max() <= tolerance


@pytest.mark.parametrize("extension, subtype", [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")])
def test_lossy_formats_keep_a_sine_where_and_as_loud_as_it_was(tmp_path, extension, subtype):
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2 * 44100) / 44100)
    path = save(tmp_path, np.stack([sine, sine], axis=1), 44100, subtype, f"take.{extension}")
    samples = read_recording(path).samples
    assert decibels(samples) == pytest.approx(20 * np.log10(0.5), abs=0.2)
    spectrum = np.abs(np.fft.rfft(samples[:RATE] * np.hanning(RATE)))
    assert spectrum.argmax() == 1000  # 1 Hz bins


@needs_ffmpeg
@pytest.mark.parametrize(
    "extension, codec",
    [("m4a", "aac"), ("aac", "aac"), ("webm", "libopus"), ("wma", "wmav2"), ("mp4", "alac")],
)
def test_what_phones_and_browsers_record_is_read_through_ffmpeg(tmp_path, extension, codec):
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    source, path = save(tmp_path, sine), tmp_path / f'my phone\'s "take" 🥁.{extension}'
    made = subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", codec, path], capture_output=True)
    if made.returncode:
        pytest.skip(f"this ffmpeg cannot write {codec}")
    recording = read_recording(path)
    assert recording.duration_s == pytest.approx(2.0, abs=0.1)
    assert decibels(recording.samples) == pytest.approx(20 * np.log10(0.5), abs=0.3)


@needs_ffmpeg
def test_without_ffmpeg_an_m4a_says_what_to_install_or_do(tmp_path, monkeypatch):
    source, path = save(tmp_path, drumming()), tmp_path / "phone.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, path], check=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RecordingError, match=r"phone\.m4a.*M4A.*Install ffmpeg, or export .* as WAV"):
        read_recording(path)


@needs_ffmpeg
def test_a_hanging_ffmpeg_is_stopped_and_says_so(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(decode, "FFMPEG_SECONDS", 0.2)
    path = tmp_path / "take.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(100))
    with pytest.raises(RecordingError, match=r"longer than 0\.2 s"):
        read_recording(path)


@needs_ffmpeg
def test_a_playlist_cannot_pull_in_another_file(tmp_path):
    save(tmp_path, drumming(), name="private.wav")
    for name, text in {
        "take.m4a": "ffconcat version 1.0\nfile private.wav\n",
        "take.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nprivate.wav\n#EXT-X-ENDLIST\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(RecordingError, match="not a sound file"):
            read_recording(tmp_path / name)


# --- sample rates ------------------------------------------------------------------------------------------


@generated
@given(
    from_rate=st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 88200, 96000, 176400, 192000]),
    to_rate=st.sampled_from([44100, 48000, 96000]),
    place=st.floats(0.02, 0.91),
)
def test_a_sine_below_both_nyquist_frequencies_keeps_frequency_phase_and_level(from_rate, to_rate, place):
    frequency = place * min(from_rate, to_rate) / 2
    result = resample(np.sin(2 * np.pi * frequency * np.arange(from_rate) / from_rate), from_rate, to_rate)
    assert len(result) == to_rate
    assert decibels(result) == pytest.approx(0.0, abs=0.01)
    expected = np.sin(2 * np.pi * frequency * np.arange(to_rate) / to_rate)
    middle = slice(to_rate // 4, 3 * to_rate // 4)
    assert np.abs(result - expected)[middle].max() < 2e-3
    if place < 0.5:
        assert np.abs(result - expected)[middle].max() < 1e-6


@generated
@given(
    rates=st.sampled_from([(96000, 48000), (192000, 48000), (88200, 48000), (48000, 44100), (192000, 44100)]),
    place=st.floats(1.0, 1.8),
)
def test_what_lies_above_the_new_nyquist_frequency_is_gone(rates, place):
    frequency = min(place * rates[1] / 2, 0.49 * rates[0])
    if frequency <= rates[1] / 2:  # 48000 to 44100 leaves little room above
        frequency = 0.49 * rates[0]
    result = resample(np.sin(2 * np.pi * frequency * np.arange(rates[0]) / rates[0]), *rates)
    assert decibels(result) < -130


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 88200, 96000, 192000])
def test_a_file_of_any_rate_comes_out_at_48_khz_or_as_asked(tmp_path, rate):
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    path = save(tmp_path, sine, rate)
    at_48, own = read_recording(path), read_recording(path, sample_rate=None)
    assert (at_48.sample_rate, len(at_48.samples)) == (RATE, RATE)
    assert (own.sample_rate, own.source_rate, len(own.samples)) == (rate, rate, rate)
    np.testing.assert_array_equal(own.samples, sine.astype(np.float32))
    assert np.abs(np.fft.rfft(at_48.samples)).argmax() == 440
    assert decibels(at_48.samples) == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert read_recording(path, 44100).duration_s == pytest.approx(1.0, abs=1e-4)


def test_resampling_to_the_same_rate_changes_nothing_and_shares_nothing():
    samples = drumming(seconds=0.1).astype(np.float32)
    result = resample(samples, RATE, RATE)
    np.testing.assert_array_equal(result, samples)
    assert not np.shares_memory(result, samples)


@pytest.mark.parametrize("rate", [1, 7999, 192001, 2**31 - 1])
def test_absurd_sample_rates_are_refused_with_the_limits(tmp_path, rate):
    with pytest.raises(RecordingError, match=rf"{rate} Hz; .*8000 and 192000"):
        read_recording(save(tmp_path, np.zeros(100), rate, "PCM_16"))
    with pytest.raises(RecordingError, match=rf"asked for is {rate} Hz"):
        read_recording(save(tmp_path, drumming()), sample_rate=rate)


# --- findings ----------------------------------------------------------------------------------------------


def test_a_faultless_recording_has_no_findings(tmp_path):
    assert read_recording(save(tmp_path, drumming())).findings == ()


def test_the_real_recordings_have_no_findings(shared_audio_dir):
    for name in ("snare_performance.flac", "tap_medley.flac"):
        assert read_recording(shared_audio_dir / name).findings == ()


def test_short_recordings_are_measured_and_tiny_ones_refused(tmp_path):
    short = read_recording(save(tmp_path, drumming(seconds=3.0)))
    assert kinds(short) == {"too_short"}
    assert (finding(short, "too_short").value, finding(short, "too_short").limit) == (3.0, 5.0)
    with pytest.raises(RecordingError, match=r"0\.40 s of sound; 0\.5 s"):
        read_recording(save(tmp_path, drumming(seconds=0.4)))
    with pytest.raises(RecordingError, match=r"0\.00 s of sound"):
        read_recording(save(tmp_path, np.zeros(0)))
    with pytest.raises(RecordingError, match=r"0\.00 s of sound"):
        read_recording(save(tmp_path, np.ones(1)))


@pytest.mark.parametrize("level", [0.0, 1e-5, 0.25])
def test_silence_is_refused_even_when_it_is_off_centre(tmp_path, level):
    with pytest.raises(RecordingError, match=r"is silent: its peak is -\d+ dB"):
        read_recording(save(tmp_path, np.full(6 * RATE, level)))


def test_clipping_is_the_share_of_samples_that_stay_at_full_scale(tmp_path):
    samples = drumming()
    samples[RATE : RATE + 100] = 1.0  # a run of 100
    samples[2 * RATE : 2 * RATE + 1000 : 10] = 1.0  # lone peaks are not clipping
    for subtype in ("PCM_16", "PCM_24", "FLOAT", "PCM_U8"):
        clipped = finding(read_recording(save(tmp_path, samples, subtype=subtype)), "clipped")
        assert clipped.value == pytest.approx(100 / len(samples))
        assert "100" in clipped.advice
    samples[RATE : RATE + 100] = 0.0
    assert "clipped" not in kinds(read_recording(save(tmp_path, samples)))


def test_a_full_scale_sine_is_not_clipped_but_a_square_is(tmp_path):
    sine = np.sin(2 * np.pi * 440 * np.arange(6 * RATE) / RATE)
    assert "clipped" not in kinds(read_recording(save(tmp_path, sine, subtype="PCM_16")))
    square = read_recording(save(tmp_path, np.sign(sine + 1e-9), subtype="PCM_16"))
    assert finding(square, "clipped").value > 0.99


def test_a_quiet_recording_tells_its_peak(tmp_path):
    quiet = finding(read_recording(save(tmp_path, drumming(peak=10 ** (-40 / 20)))), "very_quiet")
    assert quiet.value == pytest.approx(-40.0, abs=0.5) and "-40 dB" in quiet.advice


def test_an_offset_is_measured_against_the_peak(tmp_path):
    offset = read_recording(save(tmp_path, drumming() + 0.05))
    assert kinds(offset) == {"dc_offset"}
    assert finding(offset, "dc_offset").value == pytest.approx(0.1, rel=0.05)


def test_background_noise_is_measured_against_the_hits(tmp_path):
    noise = np.random.default_rng(2).normal(0.0, 0.02, 6 * RATE)
    noisy = read_recording(save(tmp_path, drumming() + noise))
    assert kinds(noisy) == {"noise_floor"}
    hits_db = 20 * np.log10(0.5 / np.sqrt(3))  # upper bound: the burst at its very beginning
    assert finding(noisy, "noise_floor").value == pytest.approx(hits_db - 20 * np.log10(0.02), abs=6.0)


def test_one_dead_channel_is_named_and_the_mean_is_kept(tmp_path):
    hits = drumming()
    recording = read_recording(save(tmp_path, np.stack([hits, 0 * hits], axis=1)))
    assert kinds(recording) == {"dead_channel"} and "channel 2" in finding(recording, "dead_channel").advice
    np.testing.assert_allclose(recording.samples, hits / 2, atol=1e-7)


def test_channels_that_cancel_are_found_and_the_louder_one_is_used(tmp_path):
    hits = drumming()
    recording = read_recording(save(tmp_path, np.stack([-0.9 * hits, hits], axis=1)))
    assert kinds(recording) == {"phase_cancelling", "one_channel_used"}
    assert finding(recording, "one_channel_used").value == pytest.approx(20 * np.log10(1 / 0.05), abs=0.1)
    np.testing.assert_allclose(recording.samples, hits, atol=1e-7)


def test_partly_cancelling_channels_are_reported_but_mixed_as_the_plug_in_does(tmp_path):
    hits = drumming()
    recording = read_recording(save(tmp_path, np.stack([hits, -0.3 * hits], axis=1)))
    assert kinds(recording) == {"phase_cancelling"}  # the mean is 9.1 dB below the louder channel
    np.testing.assert_allclose(recording.samples, 0.35 * hits, atol=1e-7)


def test_one_live_channel_of_eight_is_used_alone(tmp_path):
    hits = drumming(seconds=5.5)
    samples = np.zeros((len(hits), 8))
    samples[:, 5] = hits
    recording = read_recording(save(tmp_path, samples))
    assert kinds(recording) == {"dead_channel", "one_channel_used"}
    assert "channel 6 alone" in finding(recording, "one_channel_used").advice
    np.testing.assert_allclose(recording.samples, hits, atol=1e-7)


def test_identical_and_unrelated_stereo_channels_are_fine(tmp_path):
    hits = drumming()
    other = drumming() * np.random.default_rng(3).choice([-1, 1], len(hits))
    assert read_recording(save(tmp_path, np.stack([hits, hits], axis=1))).findings == ()
    assert read_recording(save(tmp_path, np.stack([hits, other], axis=1))).findings == ()


def test_samples_that_are_not_numbers_become_silence_and_are_counted(tmp_path):
    samples = drumming()
    samples[1000:1010], samples[5000], samples[6000] = np.nan, np.inf, -np.inf
    recording = read_recording(save(tmp_path, samples, subtype="DOUBLE"))
    assert kinds(recording) == {"non_finite"} and finding(recording, "non_finite").value == 12
    assert np.all(recording.samples[1000:1010] == 0) and np.isfinite(recording.samples).all()
    with pytest.raises(RecordingError, match="not one of its 48000 samples is a number"):
        read_recording(save(tmp_path, np.full(RATE, np.nan)))


def test_integers_saved_as_floats_are_refused_with_the_reason(tmp_path):
    with pytest.raises(RecordingError, match=r"3\.2\de\+04 where full scale is 1"):
        read_recording(save(tmp_path, np.round(drumming() * 65536.0)))


def test_a_very_long_recording_is_cut_and_its_length_told(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
        for _ in range(11):
            file.write(drumming(8000, 60.0))
    recording = read_recording(path, sample_rate=None)
    assert recording.duration_s == 600.0 and kinds(recording) == {"too_long", "narrow_band"}  # 8 kHz
    assert finding(recording, "too_long").value == 660.0


def test_exactly_ten_minutes_are_kept_without_a_word(tmp_path):
    recording = read_recording(save(tmp_path, drumming(8000, 600.0), 8000, "PCM_16"), sample_rate=None)
    assert recording.duration_s == 600.0 and kinds(recording) == {"narrow_band"}  # for its 8 kHz


def test_findings_read_as_one_plain_line_each(tmp_path):
    lines = describe(read_recording(save(tmp_path, drumming(seconds=2.0, peak=0.01))).findings)
    assert len(lines) == 2 and all(line.startswith("Warning: ") and "\n" not in line for line in lines)


# --- damaged files, wrong files, hostile files -------------------------------------------------------------


@pytest.mark.parametrize("extension, subtype", [("wav", "PCM_16"), ("aiff", "PCM_24"), ("flac", "PCM_16")])
def test_a_file_cut_in_the_middle_gives_its_beginning_and_says_so(tmp_path, extension, subtype):
    samples = drumming(seconds=20.0)
    path = save(tmp_path, samples, subtype=subtype, name=f"take.{extension}")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    recording = read_recording(path)
    assert kinds(recording) == {"ends_early"}
    early = finding(recording, "ends_early")
    assert early.limit == pytest.approx(20.0, abs=0.01) and early.value == pytest.approx(10.0, abs=1.0)
    np.testing.assert_allclose(recording.samples, samples[: len(recording.samples)], atol=2 / 32768)


def test_a_recorder_that_never_wrote_the_length_is_not_called_damaged(tmp_path):
    samples = drumming()
    path = save(tmp_path, samples, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    for claimed in (0xFFFF_FFFF, 0x7FFF_FFFF):
        content[at : at + 4] = struct.pack("<I", claimed)
        path.write_bytes(content)
        recording = read_recording(path)
        assert recording.findings == () and len(recording.samples) == len(samples)


def test_a_flac_header_that_promises_years_costs_no_memory(tmp_path):
    samples = drumming()
    path = save(tmp_path, samples, subtype="PCM_16", name="take.flac")
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the total of samples is the low 36 bits of bytes 21 to 25
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    recording = read_recording(path)
    assert len(recording.samples) == len(samples) and recording.findings[1:] == ()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (b"dear diary, today I played the drums", "not a sound file"),
        (b"RIFF", "not a sound file"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "not a sound file"),
        (b"\x1aE\xdf\xa3" + bytes(50), "not a sound file|needs the free program"),
        (b"ID3\x04\0\0\0\0\0\0", "not a sound file"),
    ],
)
def test_files_that_are_no_recording_say_so(tmp_path, content, words):
    (tmp_path / "take.wav").write_bytes(content)
    with pytest.raises(RecordingError, match=words):
        read_recording(tmp_path / "take.wav")


def test_folders_missing_files_and_devices_say_so(tmp_path):
    with pytest.raises(RecordingError, match="is a folder"):
        read_recording(tmp_path)
    with pytest.raises(RecordingError, match="no file"):
        read_recording(tmp_path / "nowhere" / "take.wav")
    for name in ("x" * 5000 + ".wav", "nul\0inside.wav"):
        with pytest.raises(RecordingError):
            read_recording(tmp_path / name)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.wav")
        with pytest.raises(RecordingError, match="is not a file"):
            read_recording(tmp_path / "pipe.wav")


def test_a_file_without_read_permission_says_so(tmp_path, monkeypatch):
    path = save(tmp_path, drumming())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # tests may run as root, whom no permission stops
    with pytest.raises(RecordingError, match="You may not read"):
        read_recording(path)


@pytest.mark.parametrize(
    "name",
    [
        "my take.wav",
        "🥁 größe.wav",
        'it\'s "loud".wav',
        "-i.wav",
        "a:b;c&d$(e).wav",
        "no ending",
        "x.raw",
        "x.mp3",
    ],
)
def test_odd_names_are_no_obstacle(tmp_path, name):
    if name == "x.raw" and shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    os.rename(save(tmp_path, drumming()), tmp_path / name)
    recording = read_recording(str(tmp_path / name))
    assert recording.name == name and recording.findings == ()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_names_that_are_not_unicode_are_read_and_messages_stay_on_one_printable_line(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.wav"))
    os.rename(save(tmp_path, drumming()), path)
    assert read_recording(path).findings == ()
    path.write_bytes(b"no sound")
    with pytest.raises(RecordingError) as error:
        read_recording(path)
    assert str(error.value).isprintable() and "caf??.wav" in str(error.value)


@st.composite
def damaged_files(draw) -> tuple[str, bytes]:
    """A real file in a random format, with bytes changed and its end cut."""
    extension, subtype = draw(
        st.sampled_from([(e, s) for e, s, _ in LOSSLESS] + [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")])
    )
    channels = draw(st.integers(1, 2 if extension == "mp3" else 8))
    rate = draw(st.sampled_from([8000, 44100, 48000]))
    if extension == "wav":
        rate = draw(st.integers(8000, 192000))
    length = draw(st.sampled_from([rate, rate, rate, 300, 1, 0]))
    samples = (
        draw(st.sampled_from([0.5, 1.0, 0.0])) * drumming(rate, 1.0, 1.0)[:length, None] * np.ones(channels)
    )
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=extension.upper())
    content = bytearray(file.getvalue())
    for _ in range(draw(st.integers(0, 6))):
        if content:
            content[draw(st.integers(0, min(len(content), draw(st.sampled_from([64, 10**6]))) - 1))] = draw(
                st.integers(0, 255)
            )
    keep = draw(st.sampled_from([1.0, 1.0, 0.9, 0.5, 0.01]))
    return extension, bytes(content[: int(len(content) * keep)])


def check_damaged(folder: Path, extension: str, content: bytes) -> bool:
    """The promise of the whole intake: usable samples, or one clear line. Returns which."""
    path = folder / f"take.{extension}"
    path.write_bytes(content)
    try:
        recording = read_recording(path)
    except TimbrekitError as error:
        assert str(error).isprintable() and "take" in str(error)
        return False
    assert recording.samples.dtype == np.float32 and recording.samples.ndim == 1
    assert np.isfinite(recording.samples).all() and 0.4 < recording.duration_s <= 600.1
    assert all(np.isfinite([finding.value, finding.limit]).all() for finding in recording.findings)
    return True


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(file=damaged_files())
def test_damaged_files_give_usable_samples_or_one_clear_line(tmp_path, file):
    check_damaged(tmp_path, *file)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=400), extension=st.sampled_from(["wav", "mp3", "m4a", "raw", "flac"]))
def test_random_bytes_give_usable_samples_or_one_clear_line(tmp_path, content, extension):
    check_damaged(tmp_path, extension, content)


def test_what_decoders_print_about_damage_is_kept_off_the_terminal_and_nothing_else(tmp_path, capfd):
    path = save(tmp_path, drumming(seconds=2.0), subtype="MPEG_LAYER_III", name="take.mp3")
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(0)
    content[len(content) // 2 : len(content) // 2 + 4000] = random.bytes(4000)
    path.write_bytes(content)
    with soundfile.SoundFile(path) as file, contextlib.suppress(soundfile.SoundFileError):
        file.read()
    assert "libmpg123" in capfd.readouterr().err  # which it would have printed
    read_recording(path)
    assert capfd.readouterr().err == ""
    with decode.open_audio(path):
        os.write(2, b"somebody else's words\n")
    assert capfd.readouterr().err == "somebody else's words\n"


def test_an_error_while_reading_an_mp3_leaves_standard_error_where_it_was(tmp_path, capfd):
    (tmp_path / "take.mp3").write_bytes(b"ID3" + bytes(100))
    with pytest.raises(RecordingError):
        read_recording(tmp_path / "take.mp3")
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


# --- writing -----------------------------------------------------------------------------------------------


def test_what_is_written_is_24_bit_and_reads_back_within_one_step(tmp_path):
    path, samples = tmp_path / "new folder" / "out.wav", drumming(44100)
    write_wav(path, samples, 44100)
    assert soundfile.info(path).subtype == "PCM_24"
    recording = read_recording(path, sample_rate=None)
    assert recording.sample_rate == 44100 and np.abs(recording.samples - samples).max() < 2.0**-23


def test_writing_clips_instead_of_wrapping_round_and_is_reproducible(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([[3.0, -3.0]] * 10), RATE)
    write_wav(tmp_path / "b.wav", np.array([[3.0, -3.0]] * 10), RATE)
    samples, _ = soundfile.read(tmp_path / "a.wav")
    np.testing.assert_allclose(samples, [[1.0, -1.0]] * 10, atol=2e-7)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_samples_that_are_not_numbers_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="1 samples"):
        write_wav(tmp_path / "out.wav", np.array([0.0, np.nan]), RATE)
    assert not (tmp_path / "out.wav").exists()


def test_importing_the_package_does_not_load_the_resampler_or_librosa():
    heavy = "('soxr', 'librosa', 'scipy', 'torch')"
    code = f"import sys, timbrekit.recording; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
