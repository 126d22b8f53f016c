"""The networks: published sizes, a start at the preset, and what is folded round them."""

import pytest
import torch

from timbrekit.mapping import MODEL_NAMES, Mapping, build_network, count_weights
from timbrekit.synth.parameters import NUM_PARAMETERS


def inputs(count=200, seed=0):
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    return torch.cat([corners, torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))])


@pytest.mark.parametrize(("model", "weights"), [("linear", 42), ("mlp", 590), ("mlp-large", 9486)])
def test_sizes_are_the_published_ones(model, weights):
    assert count_weights(build_network(model)) == weights


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_training_starts_at_the_preset(model):
    # The last layer's weights have a std of 1e-3 and layer norm keeps its inputs near 1: 64 of them give about 6e-3.
    assert build_network(model)(inputs()).abs().max() < 0.03
    if model == "linear":
        assert build_network(model)(inputs()).abs().max() < 1e-4


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_initial_weights_follow_the_seed(model):
    first, again, other = (
        torch.nn.utils.parameters_to_vector(build_network(model, s).parameters()) for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_network("linear", 1)
    assert torch.equal(build_network("mlp", 3)[0].weight, build_network("mlp", 3)[0].weight)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_modulations_stay_within_one(model):
    network = build_network(model)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(1e7)
    assert network(inputs()).abs().max() <= 1


def test_an_unknown_model_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"mlp-large.*'huge'"):
        build_network("huge")


def test_damping_scales_the_modulation_and_the_result_is_clipped():
    network = build_network("mlp", 3)
    with torch.no_grad():
        network[-2].weight.mul_(5000)
    preset = torch.linspace(0, 1, NUM_PARAMETERS)
    damping = torch.linspace(0, 1, NUM_PARAMETERS)
    mapping = Mapping(network, preset, damping)
    torch.testing.assert_close(mapping(inputs()), network(inputs()) * damping)
    played = mapping.parameters_for(inputs())
    assert played.min() >= 0 and played.max() <= 1
    torch.testing.assert_close(played, torch.clamp(preset + network(inputs()) * damping, 0, 1))
    assert torch.all(played[:, 0] == preset[0])  # damping 0: not moved at all


def test_the_centre_is_subtracted_from_the_features():
    network = build_network("mlp", 4)
    centre = torch.tensor([0.5, 0.2, 0.9])
    ones = torch.ones(NUM_PARAMETERS)
    centred, plain = Mapping(network, ones / 2, ones, centre), Mapping(network, ones / 2, ones)
    torch.testing.assert_close(centred(inputs() + centre), plain(inputs()), atol=1e-6, rtol=1e-4)


def test_the_preset_is_kept_as_it_was():
    preset = torch.full((NUM_PARAMETERS,), 0.5)
    mapping = Mapping(build_network("linear"), preset, torch.ones(NUM_PARAMETERS))
    preset.zero_()
    assert torch.all(mapping.preset == 0.5)
