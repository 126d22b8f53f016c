"""Inputs that showed a fault, each with its right value. The same kinds are made small in the tests of each part."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from shared_material import SHARED, shared_folder

from timbrekit.cli import main
from timbrekit.errors import RecordingError
from timbrekit.recording import read_recording, resample
from timbrekit.recording.formats import AUDIO_ENDINGS, stranger
from timbrekit.recording.hits import find_hits
from timbrekit.recording.onsets import detect
from timbrekit.recording.suggest import suggest_settings
from timbrekit.recording.take_health import hit_findings

RATE = 48_000


@pytest.fixture(scope="module")
def cases_dir() -> Path:
    return shared_folder("cases")


def kinds(samples, rate=RATE):
    samples = np.asarray(samples, np.float32)
    return {finding.kind for finding in hit_findings(find_hits(samples, rate), samples)}


def take(starts, gains, seconds, decay=0.04, seed=0):
    """``(n,)``: strokes of noise over noise at -80 dB."""
    rng = np.random.default_rng(seed)
    samples = 1e-4 * rng.standard_normal(round(seconds * RATE))
    time = np.arange(RATE // 4) / RATE
    for start, gain in zip(starts, gains, strict=True):
        first = round(start * RATE)
        stroke = gain * rng.standard_normal(len(time)) * np.exp(-time / decay)
        samples[first : first + len(time)] += stroke[: len(samples) - first]
    return samples


@pytest.mark.parametrize(
    "name, triggers, heard",
    [
        ("base_48_hits.flac", 48, 48),
        ("clap_tail_bump_24_hits.wav", 24, 24),
        ("clicks_and_swells_40_hits.wav", 40, 40),
        ("one_shot_at_zero.wav", 1, 1),
        ("quiet_16_bit_6_hits.wav", 0, 6),  # too quiet for the plug-in; the reference hears all and no more
    ],
)
def test_suggestions_keep_what_the_defaults_catch_and_count_truly(cases_dir, name, triggers, heard):
    recording = read_recording(cases_dir / name, None)
    suggestion = suggest_settings(recording.samples, recording.sample_rate)
    found = detect(recording.samples, recording.sample_rate, suggestion.settings)
    assert len(found.triggers) == triggers and len(suggestion.reference_onsets) == heard


def test_every_one_shot_is_triggered_as_often_as_by_the_defaults(cases_dir):
    for path in sorted((SHARED / "oneshots").glob("**/*.flac")):
        samples, rate = soundfile.read(path, dtype="float32")
        assert not suggest_settings(samples, rate).changed, path.name


def test_bleed_is_found_with_a_figure(cases_dir):
    recording = read_recording(cases_dir / "bleed_40_snares_120_hats.flac")
    found = hit_findings(find_hits(recording.samples, RATE), recording.samples)
    bleed = next(finding for finding in found if finding.kind == "not_one_drum")
    assert bleed.value == pytest.approx(20, abs=2)  # hats 24 dB below the loudest snare, snares over 14 dB
    assert "119 of the 159 hits" in bleed.advice and "Record the drum alone" in bleed.advice


def test_files_with_lying_headers_are_read_whole_and_others_named(cases_dir):
    assert read_recording(cases_dir / "vbr_without_xing.mp3").findings == ()
    with pytest.raises(RecordingError, match=r"zipped.zip.* ZIP archive. Unpack it"):
        read_recording(cases_dir / "zipped.zip")


def test_real_takes_of_one_drum_have_no_finding_of_another(cases_dir):
    for name in ("audio/snare_performance", "audio/tap_medley", "pairs/14p_train", "pairs/20_brush_train"):
        samples, rate = soundfile.read(SHARED / f"{name}.flac", dtype="float32")
        assert not kinds(samples, rate) & {
            "not_one_drum",
            "metronome",
            "not_struck",
            "thumps",
            "little_dynamics",
        }


def test_hats_that_bleed_into_a_snare_are_found():
    rng = np.random.default_rng(0)
    snares = take(0.5 + 0.75 * np.arange(40), 0.3 * 10 ** (-rng.uniform(0, 10, 40) / 20), 31)
    time = np.arange(RATE // 2) / RATE
    for start in 0.5 + 0.75 * np.arange(40):
        tone = 0.5 * np.sin(2 * np.pi * 190 * time) * np.exp(-time / 0.06)
        snares[round(start * RATE) :][: len(tone)] += tone
    assert "not_one_drum" not in kinds(snares)
    for start in 0.9 + 0.375 * np.arange(80):
        hat = 0.01 * np.diff(rng.standard_normal(4801), 1) * np.exp(-np.arange(4800) / 1000)
        snares[round(start * RATE) :][:4800] += hat[: len(snares) - round(start * RATE)]
    assert "not_one_drum" in kinds(snares)


def test_a_click_on_a_strict_beat_is_a_metronome_and_a_player_is_not():
    rng = np.random.default_rng(0)
    played = take(0.35 + 0.6 * np.arange(40) + rng.normal(0, 0.01, 40), 10 ** (-rng.uniform(0.3, 1, 40)), 25)
    assert "metronome" not in kinds(played)
    click = 0.1 * np.sin(2 * np.pi * 1800 * np.arange(1200) / RATE) * np.exp(-np.arange(1200) / 300)
    for beat in range(40):
        played[round((0.05 + 0.6 * beat) * RATE) :][:1200] += click
    assert "metronome" in kinds(played)


def test_syllables_go_on_sounding_and_strokes_die_away():
    time = np.arange(round(0.35 * RATE)) / RATE
    envelope = np.minimum(time / 0.008, 1) * np.minimum((0.35 - time) / 0.05, 1)
    voice = sum(np.sin(2 * np.pi * 150 * number * time) / number**0.5 for number in range(1, 25))
    samples = take([], [], 20)
    for syllable in range(38):
        samples[round((0.1 + 0.5 * syllable) * RATE) :][: len(time)] += 0.05 * envelope * voice
    assert "not_struck" in kinds(samples)
    assert "not_struck" not in kinds(take(0.1 + 0.5 * np.arange(38), [0.3] * 38, 20))


def test_thumps_without_a_hit_are_handling_noise():
    samples = take(0.3 + 0.55 * np.arange(50), [0.3] * 50, 30)
    assert "thumps" not in kinds(samples)
    time = np.arange(RATE // 3) / RATE
    thump = 0.3 * np.sin(2 * np.pi * 45 * time) * np.exp(-time / 0.06) * (1 - np.exp(-time / 0.02))
    for start in 0.62 + 3.3 * np.arange(9):
        samples[round(start * RATE) :][: len(thump)] += thump[: len(samples) - round(start * RATE)]
    assert "thumps" in kinds(samples)


def test_loudness_is_that_of_a_hit_and_not_of_its_click():
    """Every hit begins with the same click, as with fingernails on a tabla; the tone after it differs by 20 dB."""
    samples = take([], [], 25)
    time = np.arange(RATE // 4) / RATE
    for number, level in enumerate(np.linspace(-30, -10, 45)):
        hit = 10 ** (level / 20) * np.sin(2 * np.pi * 400 * time) * np.exp(-time / 0.08) * (time > 0.008)
        hit[:240] += 0.1 * np.random.default_rng(number).standard_normal(240)
        samples[round((0.2 + 0.5 * number) * RATE) :][: len(hit)] += hit
    assert "little_dynamics" not in kinds(samples)


def test_one_hit_is_one_hit():
    samples = take([0.2], [0.3], 2).astype(np.float32)
    (few,) = hit_findings(find_hits(samples, RATE), samples)
    assert few.advice.startswith("1 hit was found;")


def test_hum_is_no_background_and_hiss_is(tmp_path):
    time = np.arange(10 * RATE) / RATE
    strokes = take(0.2 + 0.4 * np.arange(24), [0.3] * 24, 10)
    hum = 10 ** (-30 / 20) * np.sqrt(2) * np.sin(2 * np.pi * 50 * time)
    hiss = 10 ** (-30 / 20) * np.random.default_rng(1).standard_normal(len(time))
    for name, noise, expected in (("hum", hum, set()), ("hiss", hiss, {"noise_floor"})):
        soundfile.write(tmp_path / f"{name}.wav", (strokes + noise) * 0.5, RATE, subtype="PCM_24")
        found = {finding.kind for finding in read_recording(tmp_path / f"{name}.wav").findings}
        assert found - {"clipped"} == expected


def test_a_telephone_band_is_found_at_any_rate(tmp_path):
    strokes = take(0.2 + 0.4 * np.arange(24), [0.2] * 24, 10)
    narrow = resample(strokes, RATE, 8_000)
    soundfile.write(tmp_path / "narrow.wav", resample(narrow, 8_000, RATE), RATE)
    soundfile.write(tmp_path / "8k.wav", narrow, 8_000)
    soundfile.write(tmp_path / "full.wav", strokes, RATE)
    for name, expected in (("narrow", 1), ("8k", 1), ("full", 0)):
        found = [finding.kind for finding in read_recording(tmp_path / f"{name}.wav").findings]
        assert found.count("narrow_band") == expected


@pytest.mark.parametrize("sizes", [(0, 0), (36, 0)])
def test_a_wav_of_a_recorder_that_lost_power_is_read_whole(tmp_path, sizes):
    path = tmp_path / "cut.wav"
    samples = take(0.2 + 0.4 * np.arange(14), [0.2] * 14, 6)
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", sizes[0])
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", sizes[1])
    path.write_bytes(content)
    recording = read_recording(path)
    assert len(recording.samples) == len(samples) and recording.findings == ()


def test_a_damaged_mp3_is_called_damaged_and_not_too_loud(tmp_path):
    path = tmp_path / "take.mp3"
    soundfile.write(path, take(0.2 + 0.4 * np.arange(49), [0.2] * 49, 20), RATE, format="MP3")
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(3000, len(content), 40):
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    found = {finding.kind for finding in read_recording(path).findings}
    assert "damaged" in found and "clipped" not in found


@pytest.mark.parametrize(
    "beginning, words",
    [
        (b"PK\x03\x04....", "ZIP archive. Unpack it"),
        (b"Rar!\x1a\x07", "RAR archive. Unpack it"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "companion that macOS puts"),
        (b"\n<!DOCTYPE HTML><html>", "web page, not a sound file"),
        (b"MThd\0\0\0\x06", "MIDI file"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path, beginning, words):
    path = tmp_path / "take.wav"
    path.write_bytes(beginning + bytes(100))
    with pytest.raises(RecordingError, match=words):
        read_recording(path)


def test_sound_is_no_stranger_and_everything_readable_is_offered():
    assert stranger(b"RIFF\0\0\0\0WAVE") is None
    for ending in (".mov", ".mp4", ".amr", ".3gp", ".wma", ".aifc", ".mka", ".au"):
        assert ending in AUDIO_ENDINGS


def test_commands_state_settings_and_rate_and_agree(tmp_path, capsys):
    path = tmp_path / "take.wav"
    soundfile.write(path, take(0.2 + 0.4 * np.arange(24), [0.2] * 24, 10), RATE)
    main(["onsets", str(path)])
    main(["inspect", str(path)])
    words = capsys.readouterr().out
    knobs = "Trigger Threshold 16, Retrigger Threshold 4.66, Hold Time 1000"
    assert words.count(knobs) == 2 and words.count("48000 Hz") >= 2
    assert "triggers 24 times" in words and "24 hits" in words
    main(["inspect", str(path), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert (result["sample_rate"], result["hits"], result["detector"]["hold"]) == (RATE, 24, 1000)
