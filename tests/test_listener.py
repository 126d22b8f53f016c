"""What is heard in looks, against other implementations and against the numbers that hosts are tested with."""

import json

import librosa
import numpy as np
import pytest
import torch
from looks_golden import GOLDEN, golden

from timbrekit.features.mel_looks import (
    FEATURES,
    LOOKS,
    hear_looks,
    look_delays,
    look_features,
    look_starts,
    mel_filters,
)

RATE = 48_000


def random_window(count, seed=0):
    return torch.rand(count, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(
    ("bands", "size", "rate"), [(8, 1024, 48_000), (16, 4096, 48_000), (16, 2048, 96_000)]
)
def test_mel_bands_are_those_of_librosa(bands, size, rate):
    theirs = librosa.filters.mel(
        sr=rate, n_fft=size, n_mels=bands, fmin=0, fmax=16_000, htk=True, norm=None, dtype=np.float64
    )
    theirs = theirs / theirs.sum(1, keepdims=True)
    np.testing.assert_allclose(mel_filters(bands, size, rate).numpy().T, theirs, atol=1e-9)


@pytest.mark.parametrize("look", LOOKS)
def test_features_are_those_of_a_spectrogram_with_mel_bands(look):
    window = random_window(look.before + look.after).double()
    count, size = len(window), look.fft_size(RATE)
    hann = np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 2
    power = np.abs(np.fft.fft(window.numpy() * hann, size)[: size // 2 + 1]) ** 2 / (hann**2).sum()
    mel = librosa.filters.mel(
        sr=RATE, n_fft=size, n_mels=look.bands, fmax=16_000, htk=True, norm=None, dtype=np.float64
    )
    bands = 10 * np.log10(mel @ power / mel.sum(1) + 1e-8)
    parts = [10 * np.log10(np.mean(part**2) + 1e-8) for part in np.split(window.numpy(), look.parts)]
    np.testing.assert_allclose(look_features(window, look, RATE), [*bands, *parts], atol=1e-6)


def test_white_noise_of_mean_square_1_is_0_db_everywhere():
    windows = torch.randn(4000, 4096, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    power = 10 ** (look_features(windows, LOOKS[-1], RATE) / 10)
    np.testing.assert_allclose(power.mean(0), 1, atol=0.05)


def test_silence_is_at_the_floor():
    np.testing.assert_allclose(look_features(torch.zeros(3, 256), LOOKS[1], RATE), -80)


def test_the_first_answer_comes_before_the_plug_ins_and_the_second_with_it():
    assert look_delays(RATE) == (65, 257, 769, 1537, 4097)
    assert look_starts(44_100) == (0, 192, 704, 1472, 4032)
    assert look_starts(96_000) == (0, 384, 1408, 2944, 8064)
    assert FEATURES == (12, 32, 56, 80, 104)


def test_a_hit_is_heard_alike_in_a_recording_and_on_its_own():
    samples = random_window(30_000)
    detections = torch.tensor([20, 9000, 29_000])
    heard = hear_looks(samples, detections, RATE)
    assert heard.shape == (3, 104)
    segments = torch.stack(
        [torch.nn.functional.pad(samples, (500, 9000))[at : at + 9000] for at in detections]
    )
    torch.testing.assert_close(hear_looks(segments, torch.full((3,), 500), RATE), heard)
    later = hear_looks(samples, detections[1:2] + 8, RATE)
    torch.testing.assert_close(hear_looks(samples, detections[1:2], RATE, shift=8), later)


def test_the_numbers_for_hosts_are_what_is_heard_answered_and_played_here():
    expected, now = json.loads(GOLDEN.read_text()), golden()
    for rate, looks in expected["looks"].items():
        for name, values in looks.items():
            np.testing.assert_allclose(now["looks"][rate][name], values, atol=2e-5, err_msg=f"{rate} {name}")
    np.testing.assert_allclose(now["voice"]["audio"], expected["voice"]["audio"], atol=1e-7)
    assert np.abs(now["voice"]["audio"]).max() > 0.1


def test_looks_that_have_not_been_change_no_earlier_answer():
    from looks_golden import DETECTION, signal, small_mapping

    mapping = small_mapping()
    heard = hear_looks(torch.from_numpy(signal(RATE)), torch.tensor([DETECTION]), RATE)
    whole = mapping(heard)
    for look, size in enumerate(FEATURES):
        so_far = torch.cat([heard[:, :size], torch.zeros(1, FEATURES[-1] - size)], 1)
        torch.testing.assert_close(mapping(so_far)[:, : look + 1], whole[:, : look + 1])
