"""The networks that turn three onset features into modulations of a synthesiser's parameters."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

ModelName = Literal["mlp", "mlp-large", "linear", "mlp-plain"]
MODEL_NAMES: tuple[str, ...] = get_args(ModelName)
MLP_SIZES = {"mlp": (32, 1), "mlp-large": (64, 3)}  # width and number of the hidden layers
NUM_INPUTS = 3  # onset features
EXCESS_WEIGHT = 3.0  # of reaching beyond a parameter's range, against the squared modulation


def build_network(model: ModelName = "mlp", seed: int = 0, outputs: int = 14) -> nn.Sequential:
    """A fresh network of one of the published sizes (NIME 2024, section 4.2).

    ``linear``: 42 weights, no bias, clamped to [-1, 1]. ``mlp``: one hidden layer of 32, 590 weights.
    ``mlp-large``: three of 64, 9,486 weights. Both MLPs: layer norm without affine, ReLU, tanh at the end.
    ``mlp-plain`` is ours: ``mlp`` without layer norm, for hosts that have none (FluCoMa).

    Args:
        model: one of ``MODEL_NAMES``.
        seed: of the initial weights: normal, std 1e-3 (1e-6 linear), so that training starts at the preset. Without
            layer norm the hidden layer starts at full size (He initialisation), and each of its units bends at a
            random point of the inputs' cube, so that none is dead from the start.
        outputs: parameters of the synthesiser; the sizes above are for the 808's 14.

    Returns:
        Module from ``(batch, 3)`` features in [0, 1] to ``(batch, outputs)`` modulations in [-1, 1].
    """
    if model == "linear":
        network = nn.Sequential(nn.Linear(NUM_INPUTS, outputs, bias=False), nn.Hardtanh())
    elif model == "mlp-plain":
        network = nn.Sequential(nn.Linear(NUM_INPUTS, 32), nn.ReLU(), nn.Linear(32, outputs), nn.Tanh())
    elif model in MLP_SIZES:
        network = layer_norm_mlp(NUM_INPUTS, *MLP_SIZES[model], outputs)
    else:
        raise ValueError(f"model must be one of {', '.join(MODEL_NAMES)}, not {model!r}")
    generator = torch.Generator().manual_seed(seed)
    draw_small_weights(network, 1e-6 if model == "linear" else 1e-3, generator)
    if model == "mlp-plain":
        hidden = network[0]
        nn.init.normal_(hidden.weight, std=math.sqrt(2 / NUM_INPUTS), generator=generator)
        bends = torch.rand(hidden.weight.shape, generator=generator)
        with torch.no_grad():
            hidden.bias.copy_(-(hidden.weight * bends).sum(-1))
    return network


def layer_norm_mlp(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """``depth`` hidden layers of ``width``, each with layer norm without affine and ReLU; tanh at the end."""
    layers: list[nn.Module] = []
    for size in [inputs, *[width] * (depth - 1)]:
        layers += [nn.Linear(size, width), nn.LayerNorm(width, elementwise_affine=False), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs), nn.Tanh())


def draw_small_weights(network: nn.Sequential, std: float, generator: torch.Generator) -> None:
    """Initialise all linear layers: weights normal, biases 0."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=std, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Mapping(nn.Module):
    """A network with everything the plug-in needs folded in: centring, damping, preset.

    ``forward``: ``(batch, 3)`` features in [0, 1] to ``(batch, parameters)`` modulations in normalised units, so that
    ``clip(preset + modulation, 0, 1)`` is what is played.
    """

    def __init__(self, network: nn.Sequential, preset: Tensor, damping: Tensor, centre: Tensor | None = None):
        """``preset``, ``damping``: ``(parameters,)``. ``centre``: ``(3,)``, subtracted from the features; 0 if None."""
        super().__init__()
        self.network = network
        self.register_buffer("preset", preset.detach().clone())
        self.register_buffer("damping", damping.detach().clone())
        self.register_buffer("centre", torch.zeros(NUM_INPUTS) if centre is None else centre.detach().clone())

    def forward(self, features: Tensor) -> Tensor:
        return self.network(features - self.centre) * self.damping

    def parameters_and_penalty(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What is played, and a penalty on it.

        The penalty is ``mean(output^2) + 3 mean |unclipped - clipped|``, of the network's output before damping. The
        first term keeps with the preset what need not move. The second lets a parameter come back that was pushed past
        the end of its range, where the clipping has no gradient.

        Returns:
            ``(batch, parameters)`` normalised synthesiser parameters, clipped to [0, 1] as the plug-in does; the
            penalty, a scalar.
        """
        modulation = self.network(features - self.centre)
        wanted = self.preset + modulation * self.damping
        parameters = wanted.clamp(0, 1)
        excess = (wanted - parameters).abs().mean()
        return parameters, modulation.square().mean() + EXCESS_WEIGHT * excess

    def parameters_for(self, features: Tensor) -> Tensor:
        """``(batch, parameters)`` normalised synthesiser parameters, clipped to [0, 1] as the plug-in does."""
        return self.parameters_and_penalty(features)[0]


def count_weights(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())
