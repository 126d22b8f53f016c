"""What training hears of the synthesiser, against what rehearsal plays."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from takes import RATE, tiny_take

from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures
from timbrekit.presets import load_preset
from timbrekit.synth.parameters import PARAMETERS
from timbrekit.synth.snare808_stream import play
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.take import NOMINAL_LKFS

# How far a mean over some dozen noises may be off: dB, brightness, dB, scaled ms.
CLOSE = np.array([0.3, 0.3, 0.03, 0.03, 0.8, 0.8, 1.0])


def ringing_take():
    """The tiny take with hits that all ring as long as the features look."""
    take = tiny_take()
    return replace(take, lengths=torch.full_like(take.lengths, TIMBRE_SAMPLES))


def player_of(preset="snare-1", take=None, **options):
    return SynthPlayer(load_preset(preset), take or ringing_take(), TimbreFeatures(RATE), **options)


def test_the_unmodulated_preset_does_not_differ_from_itself():
    player, generator = player_of(), torch.Generator().manual_seed(5)
    same = player.preset.expand(32, -1)
    differences = player.differences(same, torch.zeros(32, dtype=torch.long), generator).mean(0)
    assert (np.abs(differences.numpy()) < CLOSE).all(), differences


def test_with_one_fixed_noise_there_is_no_difference_at_all():
    take = tiny_take()
    player = player_of(take=take, fresh_noise=False)
    indices = torch.arange(len(take))
    heard = player.differences(player.preset.expand(len(take), -1), indices, torch.Generator())
    assert heard.abs().max() < 1e-4  # rounding


@pytest.mark.parametrize("preset", ["snare-1", "noisy-snare"])
def test_every_preset_is_heard_at_the_nominal_level(preset):
    assert abs(float(player_of(preset).unmodulated[:, 0].mean()) - NOMINAL_LKFS) < 0.1


def test_a_louder_preset_differs_by_its_level():
    player, generator = player_of(), torch.Generator().manual_seed(0)
    rows = player.preset.repeat(16, 1)
    for row, level_db in ((rows[::2], -30.0), (rows[1::2], -36.0)):  # so soft that the drive bends nothing
        for index, parameter in enumerate(PARAMETERS):
            if parameter.key.endswith("_gain.gain"):
                row[:, index] = parameter.to_normalized(level_db)
    heard = player.differences(rows, torch.zeros(16, dtype=torch.long), generator)
    assert abs(float((heard[1::2, 0] - heard[::2, 0]).mean()) + 6) < 0.3


def test_training_hears_on_average_what_rehearsal_plays():
    """Two sounds in turn, the dark one reading the state in which the bright one leaves the noise filter."""
    player = player_of()
    bright, dark = player.preset.clone(), player.preset.clone()
    bright[8], bright[9], dark[8], dark[9] = 0.6, 0.2, 0.005, 0.1  # cutoff and Q of the noise
    rows = torch.stack([bright, dark]).repeat(24, 1)
    triggers = np.arange(1, 49) * 40_000
    physical = np.array(
        [[p.to_physical(v) for p, v in zip(PARAMETERS, row, strict=True)] for row in rows.tolist()]
    )
    audio = play(physical, triggers, 50 * 40_000, RATE, seed=3)
    played = torch.from_numpy(np.stack([audio[t : t + TIMBRE_SAMPLES] for t in triggers]))
    expected = player.features(played * player.gain, player.lengths[:1].expand(48)) - player.unmodulated[0]
    generator = torch.Generator().manual_seed(1)
    batches = [player.differences(rows[:2], torch.zeros(2, dtype=torch.long), generator) for _ in range(24)]
    heard = torch.cat(batches)  # the hits of a batch share their noise
    for heard_one, expected_one in ((heard[::2], expected[::2]), (heard[1::2], expected[1::2])):
        difference = (heard_one.mean(0) - expected_one.mean(0)).abs().numpy()
        error = ((heard_one.var(0) + expected_one.var(0)) / len(heard_one)).sqrt().numpy()
        assert (difference < 4 * error + 0.1 * CLOSE).all(), (difference, error)


def test_without_the_state_carry_state_training_would_hear_another_sound():
    """The test before can fail: what the state adds is more than its tolerance."""
    player = player_of()
    bright, dark = player.preset.clone(), player.preset.clone()
    bright[8], bright[9], dark[8], dark[9] = 0.6, 0.2, 0.005, 0.1
    generator, none = torch.Generator().manual_seed(1), torch.zeros(2, dtype=torch.long)
    alone = torch.cat([player.differences(dark.expand(2, -1), none, generator)[:1] for _ in range(24)])
    pair = torch.stack([bright, dark])
    after = torch.cat([player.differences(pair, none, generator)[1:] for _ in range(24)])
    difference = (after.mean(0) - alone.mean(0)).abs().numpy()
    error = ((after.var(0) + alone.var(0)) / 24).sqrt().numpy()
    assert (difference > 4 * error + 0.1 * CLOSE).any(), (difference, error)


def test_gradients_reach_every_parameter():
    player, generator = player_of(), torch.Generator().manual_seed(0)
    parameters = (player.preset.expand(4, -1) * 0.9 + 0.05).clone().requires_grad_()
    player.differences(parameters, torch.arange(4), generator).square().sum().backward()
    assert parameters.grad.isfinite().all() and (parameters.grad.abs().sum(0) > 0).all()
