"""The mapping over looks: what was heard so far, to what to play now."""

import copy

import torch
from torch import Tensor, nn

from timbrekit.estimate import Estimator
from timbrekit.mapping import Mapping, draw_small_weights, layer_norm_mlp

HIDDEN = 64
CONTEXT = 7  # numbers beside the aims, by which the network tells the looks apart


def build_looks_network(wanted: int, outputs: int, seed: int = 0) -> nn.Sequential:
    """A fresh network from ``(batch, wanted)`` aims to ``(batch, outputs)`` modulations in [-1, 1].

    As the published ``mlp``, but wider: one hidden layer of 64 with layer norm without affine, ReLU, tanh at the end;
    initial weights normal, std 1e-3.
    """
    network = layer_norm_mlp(wanted, HIDDEN, 1, outputs)
    draw_small_weights(network, 1e-3, torch.Generator().manual_seed(seed))
    return network


def with_context(mapping: Mapping, seed: int = 0) -> Mapping:
    """The same mapping, from aims that end with ``CONTEXT`` more numbers. Where these are 0 it answers as before."""
    first, *rest = mapping.network
    size = first.in_features + CONTEXT
    wider = nn.Linear(size, first.out_features)
    drawn = torch.randn(len(first.weight), CONTEXT, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        wider.weight.copy_(torch.cat([first.weight, drawn * first.weight.std()], 1))
        wider.bias.copy_(first.bias)
    return Mapping(nn.Sequential(wider, *rest), mapping.preset, mapping.damping, torch.zeros(size))


class Aims(nn.Module):
    """What to play at each look, given the estimates at this one and at the one before.

    ``aim_k = (e_k, 0) + e_k A_k + e_(k-1) B_k + c_k``, with zeros before the first look and for the context. It starts
    as the estimate itself. What it learns is what the updates ask for: how far to trust an early estimate, to make up
    for what was played too loud or too bright before, and to let a sound swell that no parameter makes slow.
    """

    def __init__(self, looks: int, wanted: int):
        super().__init__()
        size = wanted + CONTEXT
        self.now = nn.Parameter(torch.zeros(looks, wanted, size))  # A
        self.before = nn.Parameter(torch.zeros(looks, wanted, size))  # B
        self.offset = nn.Parameter(torch.zeros(looks, size))  # c

    def forward(self, estimates: Tensor) -> Tensor:
        """``(batch, looks, wanted + CONTEXT)`` of estimates ``(batch, looks, wanted)``."""
        previous = torch.cat([torch.zeros_like(estimates[:, :1]), estimates[:, :-1]], 1)
        rows = estimates.transpose(0, 1), previous.transpose(0, 1)
        moved = torch.matmul(rows[0], self.now) + torch.matmul(rows[1], self.before)
        moved = moved.transpose(0, 1) + self.offset
        size = estimates.shape[-1]
        return torch.cat([estimates + moved[..., :size], moved[..., size:]], -1)

    def penalty(self) -> Tensor:
        """Sum of the squared weights. The offsets, which are few, are free."""
        return self.now.square().sum() + self.before.square().sum()


class LooksMapping(nn.Module):
    """Everything between the features of looks and modulations: estimator, aims, network, damping, preset.

    ``forward``: ``(n, D)`` features in dB, of which those of looks that have not been are not used, to ``(n, looks,
    parameters)`` modulations in normalised units, so that ``clip(preset + modulation, 0, 1)`` is what is played.
    """

    def __init__(self, estimator: Estimator, aims: Aims, mapping: Mapping):
        """``mapping``: from aims ``(batch, wanted + CONTEXT)``; has the preset and the damping."""
        super().__init__()
        self.estimator, self.aims, self.mapping = estimator, aims, mapping

    @property
    def preset(self) -> Tensor:
        return self.mapping.preset

    @property
    def damping(self) -> Tensor:
        return self.mapping.damping

    def forward(self, features: Tensor) -> Tensor:
        aims = self.aims(self.estimator(features))
        looks, size = aims.shape[1:]
        return self.mapping(aims.reshape(-1, size)).reshape(-1, looks, len(self.preset))

    def parameters_and_penalty(self, estimates: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, looks, parameters)`` of estimates ``(batch, looks, wanted)``, and ``Mapping``'s penalty on them."""
        aims = self.aims(estimates)
        parameters, penalty = self.mapping.parameters_and_penalty(aims.flatten(0, 1))
        return parameters.unflatten(0, (-1, aims.shape[1])), penalty


class LooksModel(nn.Module):
    """What a model file holds: modulations at the looks, then one row with the preset.

    It computes in 64 bits, so that all hosts, which add up in other orders, round an answer to the same parameters.
    """

    def __init__(self, mapping: LooksMapping):
        super().__init__()
        self.mapping = copy.deepcopy(mapping).double()
        self.looks: int = len(mapping.aims.offset)

    def forward(self, features: Tensor) -> Tensor:
        """``(n, D)`` in dB to ``(n + 1, looks, parameters)``."""
        preset = self.mapping.mapping.preset.expand(1, self.looks, -1)
        return torch.cat([self.mapping(features.double()), preset]).float()
