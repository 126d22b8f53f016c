"""nn~ with the mel listener, called as nn~ calls it, against rehearsal."""

import numpy as np
import pytest
import torch
from drum_support import full_drum, preset_of
from looks_support import CLOSE, drumming, looks_mapping, looks_metadata

from timbrekit.export.looks_model import write_looks_model
from timbrekit.export.nn_tilde.script import NN_OPERATORS, operators, play_in_blocks
from timbrekit.export.nn_tilde.write import samples_of, write_nn_tilde
from timbrekit.plugin.rehearse_looks import rehearse_looks
from timbrekit.presets import load_preset

PRESETS = {"808": load_preset("snare-1"), "drum": preset_of(full_drum())}


@pytest.fixture(scope="module", params=list(PRESETS))
def made(request, tmp_path_factory):
    """The preset, the model file and nn~'s file, of which writing has proved that it plays as rehearsal does."""
    preset, folder = PRESETS[request.param], tmp_path_factory.mktemp(request.param)
    mapping = looks_mapping(preset)
    model = write_looks_model(mapping, looks_metadata(mapping, preset), folder / "model.pt")
    return preset, model, write_nn_tilde(model, folder / "model.ts")


def loaded(path):
    module = torch.jit.load(str(path), map_location="cpu").eval()
    module.set_on_threshold(CLOSE.on_threshold)
    module.set_off_threshold(CLOSE.off_threshold)
    module.set_hold(CLOSE.hold)
    return module


def noise_for(samples):
    return np.random.default_rng(9).uniform(-1, 1, len(samples)).astype(np.float32)


@pytest.mark.parametrize("rate", [48_000, 44_100, 96_000])
def test_it_plays_and_corrects_as_rehearsal_does(made, rate):
    preset, model, exported = made
    samples = drumming(rate)
    noise = noise_for(samples)
    expected = rehearse_looks(model.module, samples, rate, CLOSE, noise=noise, synth=preset.instrument())
    assert len(expected.triggers) > 20 and set(expected.looks) >= {2, 3, 4, 5}
    module = loaded(exported)
    module.set_sample_rate(rate)
    played = play_in_blocks(module, samples, samples_of(noise), (256,))
    assert np.flatnonzero(played[1]).tolist() == expected.triggers.tolist()
    np.testing.assert_allclose(played[0], expected.audio, atol=1e-3)


def test_the_block_size_does_not_matter(made):
    samples = drumming(48_000)
    noise = noise_for(samples)
    one = play_in_blocks(loaded(made[2]), samples, samples_of(noise), (256,))
    for blocks in ((64,), (4096,), (1, 7, 300, 333)):
        other = play_in_blocks(loaded(made[2]), samples, samples_of(noise), blocks)
        np.testing.assert_array_equal(one[1], other[1])
        np.testing.assert_allclose(one[0], other[0], rtol=1e-5, atol=1e-5)


def test_it_uses_only_what_an_older_libtorch_has_and_offers_no_growing_ranges(made):
    module = loaded(made[2])
    assert operators(module) <= NN_OPERATORS
    assert "fixed_ranges" not in module.get_attributes()
