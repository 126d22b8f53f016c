import pytest
import torch
from torch import nn

from timbrekit.mapping import MODEL_NAMES, build_network
from timbrekit.training.fast.small_network import SmallNetwork, one_thread
from timbrekit.training.fast.stacked import Adam


def networks():
    made = {name: build_network(name, 0) for name in MODEL_NAMES}
    made["surrogate"] = nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 7))
    return made


def drawn(network, seed=1):
    """The network with weights at which every layer bends."""
    generator = torch.Generator().manual_seed(seed)
    for values in network.parameters():
        nn.init.normal_(values, std=0.7, generator=generator)
    return network


@pytest.mark.parametrize("name", networks())
def test_gradients_are_those_of_autograd(name):
    network = drawn(networks()[name])
    generator = torch.Generator().manual_seed(2)
    rows = torch.rand(20, 3, generator=generator, requires_grad=True)
    played = network(rows)
    gradient = torch.randn(played.shape, generator=generator)
    (played * gradient).sum().backward()
    by_weights = torch.cat([values.grad.flatten() for values in network.parameters()])
    with torch.no_grad():
        small = SmallNetwork(network)
        torch.testing.assert_close(small(rows), played)
        torch.testing.assert_close(small.backward(gradient), rows.grad)
    torch.testing.assert_close(small.gradient[0], by_weights)


def test_gradients_by_the_inputs_alone_leave_those_by_the_weights():
    with torch.no_grad():
        small = SmallNetwork(drawn(networks()["mlp"]))
        small(torch.rand(5, 3))
        small.backward(torch.ones(5, 14), to_weights=False)
    assert not small.gradient.any()


def test_a_step_changes_the_network_it_was_made_of_as_torch_would():
    rows, wanted = torch.rand(30, 3), torch.randn(30, 14)
    there, here = drawn(networks()["mlp"]), drawn(networks()["mlp"])
    theirs = torch.optim.Adam(there.parameters(), 1e-2)
    with torch.no_grad():
        small = SmallNetwork(here)
        ours = Adam(small.weights)
    for _ in range(20):
        theirs.zero_grad()
        (there(rows) - wanted).square().mean().backward()
        theirs.step()
        with torch.no_grad():
            small.backward(2 * (small(rows) - wanted) / wanted.numel())
            ours.step(small.weights, small.gradient, torch.tensor([1e-2]))
    for mine, his in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(mine, his, rtol=1e-4, atol=1e-5)


def test_a_layer_without_a_written_gradient_is_refused():
    small = SmallNetwork(nn.Sequential(nn.Linear(3, 3), nn.GELU()))
    small(torch.rand(2, 3))
    with pytest.raises(TypeError, match="GELU"):
        small.backward(torch.ones(2, 3))


def test_the_number_of_threads_is_as_before_afterwards_whatever_happens():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyboardInterrupt
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
