"""Updates of a sounding voice: the closed form that is trained through, and what a host plays sample by sample."""

from functools import partial

import numpy as np
import pytest
import torch
from drum_support import drum_preset

from timbrekit.features.mel_looks import look_starts
from timbrekit.presets import load_preset
from timbrekit.synth.highpass import high_pass_from_zero_state, high_pass_switched_on
from timbrekit.synth.snare808 import Snare808
from timbrekit.synth.updates import GLIDES, glide_samples, shares, spans

RATE = 48_000
STARTS = look_starts(RATE)
SAMPLES = 9000
FRAME, HOP = 512, 128  # of the spectral flux


def cases(seed, rows=2, reach=0.3, preset="snare-1"):
    """Normalised parameters ``(rows, looks, 14)`` scattered around a preset, pitches by little."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.from_numpy(load_preset(preset).normalized()).double()
    scattered = torch.rand(rows, len(STARTS), 14, generator=generator, dtype=torch.float64) - 0.5
    scattered[..., [0, 2]] *= 0.05
    return (base + 2 * reach * scattered).clamp(0, 1)


def draws(rows, seed=0, period=9216, quiet=False):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, period, generator=generator, dtype=torch.float64) * 2 - 1
    return noise * (not quiet), torch.zeros(rows, 2, dtype=torch.float64)


def physical(parameters):
    low, high = np.array([(p.minimum, p.maximum) for p in Snare808.parameters]).T
    return low + parameters.numpy() * (high - low)


def tiled(noise, samples):
    return np.tile(noise[0].numpy(), -(-samples // noise.shape[-1]))[:samples]


@pytest.mark.parametrize("rate", [48_000, 44_100, 96_000])
def test_what_is_trained_through_is_what_the_host_plays(rate):
    starts, samples = look_starts(rate), 20_000
    parameters, (noise, phases) = cases(1), draws(2, 1)
    rendered = Snare808().render_updates(rate, samples, parameters, starts, (noise, phases))
    for row, values in zip(rendered, physical(parameters), strict=True):
        heard, trigger = tiled(noise, samples), [0]
        played = Snare808.stream_updates(values[None], [5], trigger, starts, samples, rate, noise=heard)
        np.testing.assert_allclose(row.numpy(), played, atol=3e-6)
        assert np.abs(played).max() > 0.05


def test_a_batch_sounds_as_its_rows_alone():
    parameters, (noise, phases) = cases(2, 3), draws(3, 2)
    together = Snare808().render_updates(RATE, SAMPLES, parameters, STARTS, (noise, phases))
    for number in range(3):
        own = parameters[number : number + 1]
        alone = Snare808().render_updates(RATE, SAMPLES, own, STARTS, (noise, phases[:1]))
        torch.testing.assert_close(alone[0], together[number])


def test_gradients_agree_with_differences():
    rate, samples, starts = 8000, 900, look_starts(8000)
    parameters, drawn = cases(3, 1, 0.1), draws(1, 3, 1024)
    weights = torch.rand(samples, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    def value(values):
        return (Snare808().render_updates(rate, samples, values, starts, drawn) * weights).sum()

    point = parameters.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(point), point)
    for index in np.ndindex(*parameters.shape):
        step = torch.zeros_like(parameters)
        step[index] = 1e-6
        with torch.no_grad():
            difference = float(value(parameters + step) - value(parameters - step)) / 2e-6
        assert float(gradient[index]) == pytest.approx(difference, rel=1e-3, abs=2e-4), index


def test_an_update_to_the_same_parameters_changes_nothing_but_the_state_of_the_noise_filter():
    once = cases(5)[:, :1]
    for quiet, close in ((True, 1e-12), (False, 0.1)):
        drawn = draws(2, 5, quiet=quiet)
        never = Snare808().render_updates(RATE, SAMPLES, once, (0,), drawn)
        often = Snare808().render_updates(RATE, SAMPLES, once.expand(-1, 5, -1), STARTS, drawn)
        torch.testing.assert_close(never, often, atol=close, rtol=0)


def test_after_the_last_glide_it_sounds_as_if_triggered_with_the_last_parameters():
    parameters = cases(6)
    parameters[..., [0, 1, 2, 3, 4]] = parameters[:, :1, [0, 1, 2, 3, 4]]  # phases as they were
    drawn = draws(2, 6, quiet=True)
    updated = Snare808().render_updates(RATE, SAMPLES, parameters, STARTS, drawn)
    at_once = Snare808().render_updates(RATE, SAMPLES, parameters[:, -1:], (0,), drawn)
    settled = STARTS[-1] + GLIDES[-1]
    torch.testing.assert_close(updated[:, settled:], at_once[:, settled:], atol=1e-9, rtol=0)
    assert (updated - at_once)[:, :settled].abs().max() > 0.01


def test_a_voice_without_updates_sounds_as_the_plug_in_s():
    values = physical(cases(7)[:, :1])
    noise, count = tiled(draws(1, 7)[0], 20_000), 20_000
    for row in values:
        plugin = Snare808.stream(row[0], [0], count, RATE, noise=noise)
        ours = Snare808.stream_updates(row[None], [1], [0], [0], count, RATE, noise=noise)
        # It rises in 48 samples instead of 49, which float32 makes of them.
        assert np.sqrt(np.mean((plugin - ours) ** 2)) < 0.02 * np.sqrt(np.mean(plugin**2))


def test_a_hit_that_cuts_in_ends_the_updates_of_the_one_before():
    sets, noise = physical(cases(8)), tiled(draws(1, 8)[0], 8000)
    audio = Snare808.stream_updates(sets, [3, 5], [0, 1500], STARTS, 8000, RATE, noise=noise)
    changed = sets.copy()
    changed[0, 3:] = sets[1, 0]  # never heard
    same = Snare808.stream_updates(changed, [3, 5], [0, 1500], STARTS, 8000, RATE, noise=noise)
    np.testing.assert_array_equal(audio, same)
    fewer = Snare808.stream_updates(sets, [2, 5], [0, 1500], STARTS, 8000, RATE, noise=noise)
    third = STARTS[2]
    np.testing.assert_array_equal(fewer[:third], audio[:third])
    assert np.abs(fewer[third:1500] - audio[third:1500]).max() > 1e-3


def flux(sound):
    """``(…, frames)`` spectral flux: how much all bins together have risen since the frame before."""
    padded = np.pad(sound, [(0, 0)] * (sound.ndim - 1) + [(FRAME, 0)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME, -1)[..., ::HOP, :] * np.hanning(FRAME)
    return np.maximum(np.diff(np.abs(np.fft.rfft(frames)), axis=-2), 0).sum(-1)


def flux_of_updates(preset, at, rows):
    """``(rows,)`` most spectral flux at an update that jumps at random, in shares of the most that its strokes have.

    Oscillators run freely in a host, so each stroke is struck at nine places of their cycles.
    """
    random, noise = np.random.default_rng(9), draws(1, 9)[0]
    low = torch.from_numpy(load_preset(preset).normalized()).double()
    sets = (low + 0.3 * torch.from_numpy(random.uniform(-1, 1, (rows, 2, 14)))).clamp(0, 1)
    play = partial(Snare808().render_updates, RATE)
    looks = STARTS.index(at)
    turns = [torch.from_numpy(random.uniform(0, 1, (rows, 2))) * (number > 0) for number in range(9)]
    strokes = [play(1024, each[:, None], (0,), (noise, turn)) for each in sets.unbind(1) for turn in turns]
    limit = np.max([flux(stroke.numpy()).max(1) for stroke in strokes], axis=0)
    sets = sets[:, [0] * looks + [1]]
    updated = play(at + 1536, sets, STARTS[: looks + 1], (noise, turns[0])).numpy()
    return flux(updated)[:, at // HOP : (at + GLIDES[looks - 1] + FRAME) // HOP + 1].max(1) / limit


@pytest.mark.parametrize("at", STARTS[1:])
@pytest.mark.parametrize("preset", ["snare-1", "snare-3"])
def test_no_update_clicks(preset, at, monkeypatch):
    """Over random jumps of all parameters: no more flux than the strokes themselves have that it passes between."""
    gliding = flux_of_updates(preset, at, 60).max()
    assert gliding < 1.001  # at 4 ms the first stroke's own is among it
    monkeypatch.setattr("timbrekit.synth.snare808_updates.glide_samples", lambda rate: (1, 1, 1, 1))
    assert flux_of_updates(preset, at, 60).max() > 1.1 * gliding


@pytest.mark.parametrize("size", [64, 1000, 1536])
def test_a_filter_that_is_switched_on_starts_in_zero_state(size):
    noise = torch.rand(1, size, generator=torch.Generator().manual_seed(10), dtype=torch.float64) * 2 - 1
    cutoff, q = torch.tensor([60.0, 900.0, 12_000.0]).double(), torch.tensor([9.0, 0.5, 3.0]).double()
    samples = 2500
    expected = high_pass_from_zero_state(noise.repeat(1, 40)[..., :samples], cutoff, q, samples, RATE)
    torch.testing.assert_close(
        high_pass_switched_on(noise, cutoff, q, samples, RATE), expected, atol=1e-9, rtol=0
    )


def test_shares_add_up_to_one_and_last_no_longer_than_their_spans():
    share = shares(STARTS, 6000, GLIDES)
    torch.testing.assert_close(share.sum(0), torch.ones(6000, dtype=torch.float64))
    for row, (first, end) in zip(share, spans(STARTS, 6000, GLIDES), strict=True):
        assert not row[:first].any() and not row[end:].any() and row[first:end].max() == 1
    assert glide_samples(44_100) == (512, 192, 192, 512) and glide_samples(96_000)[0] == 1024
    assert np.all(np.diff(STARTS[1:]) >= GLIDES[:3])


@pytest.fixture(scope="module")
def drum():
    preset = drum_preset()
    synth = preset.instrument()
    base = torch.from_numpy(preset.normalized()).double()
    scattered = (
        torch.rand(2, 5, len(base), generator=torch.Generator().manual_seed(11), dtype=torch.float64) - 0.5
    )
    return synth, (base + 0.2 * scattered).clamp(0.05, 0.95)


def test_a_drum_is_updated_as_it_is_trained(drum):
    synth, parameters = drum
    drawn = (torch.tensor([0]),)
    rendered = synth.render_updates(RATE, SAMPLES, parameters, STARTS, drawn)
    low, high = np.array([(p.minimum, p.maximum) for p in synth.parameters]).T
    for row, values in zip(rendered, low + parameters.numpy() * (high - low), strict=True):
        played = synth.stream_updates(values[None], [5], [0], STARTS, SAMPLES, RATE, seed=0)
        np.testing.assert_allclose(played, row.numpy(), atol=2e-3 * float(row.abs().max()))
    last = synth.render(RATE, SAMPLES, parameters[:, -1], drawn)
    settled = STARTS[-1] + GLIDES[-1]
    torch.testing.assert_close(rendered[:, settled:], last[:, settled:])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, 5, 14\)"):
        Snare808().render_updates(RATE, 100, cases(1)[:, :3], STARTS, draws(2))
    with pytest.raises(ValueError, match="expected"):
        Snare808.stream_updates(np.zeros((1, 2, 14)), [1], [0], STARTS, 100, RATE)
    with pytest.raises(ValueError, match="ascending"):
        Snare808.stream_updates(np.zeros((2, 5, 14)), [1, 1], [5, 5], STARTS, 100, RATE)
