"""The parts of timbrekit.tone's sound: their physics, and that streams sound like the whole."""

import math

import numpy as np
import pytest
import torch

from timbrekit.tone.pitch import HOP, RATE, WINDOW, hear
from timbrekit.tone.synth import (
    BANDS,
    NOISE_FRAME,
    PARTIALS,
    audible,
    band_matrix,
    bin_power,
    glide,
    harmonics,
    noise,
    noise_window,
    room,
    room_hops,
    room_parts,
    white_noise,
)

HOPS = 96
GLIDE, SHAPE = glide(), noise_window()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def steady(hertz: float, amplitudes: list[float], hops: int = HOPS) -> torch.Tensor:
    pitch = torch.full((1, hops + 1), hertz, dtype=torch.float64)
    levels = torch.zeros(1, hops + 1, PARTIALS)
    levels[..., : len(amplitudes)] = torch.tensor(amplitudes)
    levels *= audible(hertz * torch.arange(1, PARTIALS + 1))
    return harmonics(pitch, levels, torch.zeros(1, dtype=torch.float64), GLIDE)[0][0]


def spectrum_db(sound: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    window = torch.blackman_window(len(sound), dtype=torch.float64)
    magnitude = torch.fft.rfft(sound.double() * window).abs() * 2 / window.sum()
    return np.arange(len(magnitude)) * RATE / len(sound), 20 * torch.log10(magnitude + 1e-12).numpy()


def test_partials_have_the_frequency_and_amplitude_asked_for():
    _, db = spectrum_db(steady(RATE * 100 / 24576, [0.5, 0.25, 0.0, 0.1]))
    for order, amplitude in ((1, 0.5), (2, 0.25), (4, 0.1)):
        assert db[100 * order] == pytest.approx(20 * math.log10(amplitude), abs=0.01)
    assert db[300] < -90


@pytest.mark.parametrize("hertz", [900.0, 1500.0, 2093.0])
def test_nothing_is_folded_back(hertz):
    """All 64 partials at full level: whatever is not at a multiple of the pitch came from beyond half the rate."""
    sound = steady(hertz, [0.1] * PARTIALS)[RATE // 20 :]
    frequency, db = spectrum_db(sound)
    distance = np.abs(frequency - hertz * np.round(frequency / hertz))
    assert db[distance > 20].max() < -85


def test_nothing_is_folded_back_within_a_leap():
    """From 300 to 2000 Hz in one hop, with the 60th partial alone: silent from where it would pass 22 kHz."""
    pitch = torch.tensor([[300.0, 2000.0]], dtype=torch.float64)
    levels = torch.zeros(1, 2, PARTIALS)
    levels[..., 0] = 1e-9  # or it would count as a beginning
    levels[..., 59] = 1.0
    sound, _ = harmonics(pitch, levels, torch.zeros(1, dtype=torch.float64), GLIDE)
    hertz = 60 * (300 + 1700 * torch.arange(1, HOP + 1) / HOP)
    assert sound[0, hertz > 22_000].abs().max() < 1e-8
    assert sound[0, hertz < 22_000].abs().max() > 0.5


def test_a_glide_has_no_steps_in_phase():
    hops = 64
    pitch = torch.linspace(200, 400, hops + 1, dtype=torch.float64)[None]
    levels = torch.zeros(1, hops + 1, PARTIALS)
    levels[..., 0] = 1.0
    sound = harmonics(pitch, levels, torch.zeros(1, dtype=torch.float64), GLIDE)[0][0].double()
    largest_step = 2 * math.pi * 400 / RATE
    assert sound.diff().abs().max() < largest_step * 1.001


def test_a_tone_begins_at_its_pitch():
    levels, phase = torch.zeros(1, 3, PARTIALS), torch.zeros(1, dtype=torch.float64)
    levels[:, 1:, 0] = 1.0
    pitch = torch.tensor([[50.0, 500.0, 500.0]], dtype=torch.float64)
    glided, _ = harmonics(pitch, levels, phase, GLIDE)
    straight, _ = harmonics(torch.full_like(pitch, 500.0), levels, phase, GLIDE)
    assert torch.equal(glided, straight)


def test_harmonics_of_single_hops_are_those_of_the_whole():
    pitch = 220 * 2 ** torch.rand(2, HOPS + 1, generator=generator(), dtype=torch.float64)
    levels = torch.rand(2, HOPS + 1, PARTIALS, generator=generator(1)) / PARTIALS
    phase = torch.tensor([0.0, 0.3], dtype=torch.float64)
    whole, end = harmonics(pitch, levels, phase, GLIDE)
    scripted = torch.jit.script(harmonics)
    parts = []
    for n in range(HOPS):
        part, phase = scripted(pitch[:, n : n + 2], levels[:, n : n + 2], phase, GLIDE)
        parts.append(part)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=2e-5)
    assert torch.allclose(phase, end, atol=1e-9)


def test_gradients_of_amplitudes_agree_with_differences():
    pitch = torch.tensor([[300.0, 310.0, 600.0]], dtype=torch.float64)
    levels = torch.rand(1, 3, 8, generator=generator()).requires_grad_()
    phase = torch.zeros(1, dtype=torch.float64)
    tables = glide(8)
    weights = torch.rand(2 * HOP, generator=generator(1)) - 0.5
    (harmonics(pitch, levels, phase, tables)[0] @ weights).sum().backward()
    for place in ((0, 0, 0), (0, 1, 3), (0, 2, 7)):
        moved = levels.detach().clone()
        moved[place] += 1.0  # the sound is linear in the amplitudes
        difference = (
            harmonics(pitch, moved, phase, tables)[0] - harmonics(pitch, levels.detach(), phase, tables)[0]
        ) @ weights
        assert float(levels.grad[place]) == pytest.approx(float(difference), abs=2e-3)


def test_bands_cover_every_bin_once():
    matrix = band_matrix()
    assert matrix.shape == (BANDS, NOISE_FRAME // 2 + 1)
    assert torch.allclose(matrix.sum(0), torch.ones(matrix.shape[1]))
    assert (matrix.sum(1) > 0).sum() > 0.8 * BANDS


def test_flat_noise_is_white_and_steady():
    hops = 400
    sound, _ = noise(
        torch.ones(1, hops, NOISE_FRAME // 2 + 1),
        white_noise(1, hops, generator()),
        torch.zeros(1, HOP),
        SHAPE,
    )
    sound = sound[0, HOP:]
    assert float(sound.square().mean()) == pytest.approx(1, abs=0.03)
    by_place = sound.reshape(-1, HOP).square().mean(0)  # no pumping within a hop
    assert float(by_place.reshape(4, -1).mean(1).std()) < 0.03
    power = (
        torch.fft.rfft(sound[: 256 * 390].reshape(-1, 256) * torch.hann_window(256)).abs().square().mean(0)
    )
    assert float((10 * torch.log10(power[4:-4])).std()) < 0.5


def test_the_predicted_loudness_of_noise_is_what_is_heard():
    hops = 400
    magnitudes = torch.linspace(0.5, 0.01, NOISE_FRAME // 2 + 1).expand(1, hops, -1)
    sound, _ = noise(magnitudes, white_noise(1, hops, generator()), torch.zeros(1, HOP), SHAPE)
    predicted = 10 * torch.log10((magnitudes[0, 0].square() * bin_power()).sum()) - 0.691
    heard = hear(sound[0]).loudness[WINDOW // HOP :]
    assert float(10 * torch.log10((10 ** (heard / 10)).mean())) == pytest.approx(float(predicted), abs=0.15)


def test_noise_of_single_hops_is_that_of_the_whole():
    magnitudes = torch.rand(2, HOPS, NOISE_FRAME // 2 + 1, generator=generator())
    white = white_noise(2, HOPS, generator(1))
    tail = torch.zeros(2, HOP)
    whole, _ = noise(magnitudes, white, tail, SHAPE)
    scripted = torch.jit.script(noise)
    parts = []
    for n in range(HOPS):
        part, tail = scripted(magnitudes[:, n : n + 1], white[:, n : n + 1], tail, SHAPE)
        parts.append(part)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


def test_a_room_is_a_convolution_and_so_it_is_hop_by_hop():
    sound = torch.rand(1, 40 * HOP, generator=generator()) - 0.5
    response = torch.rand(7 * HOP, generator=generator(1)) - 0.5
    expected = np.convolve(sound[0].numpy(), response.numpy())[: 40 * HOP]
    assert room(sound, response)[0].numpy() == pytest.approx(expected, abs=1e-4)
    scripted, parts, before = torch.jit.script(room_hops), room_parts(response), torch.zeros(HOP)
    ring, place = torch.zeros_like(parts[:7]), 0
    played = []
    for hops in sound[0].split([HOP, 13 * HOP, 26 * HOP]):
        heard, place = scripted(hops, before, parts, ring, place)
        played.append(heard)
        before = hops[-HOP:]
    assert torch.cat(played).numpy() == pytest.approx(expected, abs=1e-4)
