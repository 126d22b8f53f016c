"""Networks so small that autograd costs more than their arithmetic: slopes and steps written out.

A step of Adam on some thousand weights takes half as long so (measured on one core: 1.0 ms to 0.5 ms for 256 rows
through two hidden layers of 64). Results are those of autograd and ``torch.optim.Adam`` up to rounding (tested).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from timbrekit.stack import Adam

aten = torch.ops.aten


class SmallNetwork:
    """An ``nn.Sequential`` and one vector of its weights, which both look at. Gradients are never recorded."""

    def __init__(self, network: nn.Sequential):
        self.layers = list(network)
        weights = [values for layer in self.layers for values in layer.parameters()]
        self.weights = torch.cat([values.detach().flatten() for values in weights])[None]
        self.slope = torch.zeros_like(self.weights)
        self.slopes: dict[nn.Parameter, Tensor] = {}
        at = 0
        for values in weights:
            part = slice(at, at + values.numel())
            values.data = self.weights[0, part].view_as(values)
            self.slopes[values] = self.slope[0, part].view_as(values)
            at = part.stop
        self.heard: list[Tensor] = []
        self.scales: dict[nn.Module, list[Tensor]] = {}

    def __call__(self, rows: Tensor) -> Tensor:
        """``(batch, inputs)`` to ``(batch, outputs)``; :meth:`lead_back` is about the latest call."""
        self.heard, self.scales = [rows], {}
        for layer in self.layers:
            if isinstance(layer, nn.LayerNorm) and not layer.elementwise_affine:
                rows, *self.scales[layer] = torch.native_layer_norm(
                    rows, layer.normalized_shape, None, None, layer.eps
                )
            elif isinstance(layer, nn.Linear) and layer.bias is not None:
                rows = torch.addmm(layer.bias, rows, layer.weight.T)  # calling the layer takes twice as long
            else:
                rows = layer(rows)
            self.heard.append(rows)
        return rows

    def lead_back(self, slope: Tensor, to_weights: bool = True) -> Tensor:
        """Slopes of a loss.

        Args:
            slope: ``(batch, outputs)`` by the outputs.
            to_weights: also set ``self.slope``, those by the weights.

        Returns:
            ``(batch, inputs)``, those by the inputs.
        """
        for number in reversed(range(len(self.layers))):
            layer, rows, played = self.layers[number], self.heard[number], self.heard[number + 1]
            if isinstance(layer, nn.Linear) and to_weights:
                torch.mm(slope.T, rows, out=self.slopes[layer.weight])
                if layer.bias is not None:
                    torch.sum(slope, 0, out=self.slopes[layer.bias])
            slope = _through(layer, rows, played, self.scales.get(layer), slope)
        return slope

    def new_optimizer(self) -> Adam:
        return Adam(self.weights)

    def step(self, optimizer: Adam, rate: float) -> None:
        """One step down the slopes that :meth:`lead_back` left."""
        optimizer.step(self.weights, self.slope, torch.tensor([rate]))


@contextmanager
def one_thread() -> Iterator[None]:
    """So small products are slower on several threads, which wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _through(
    layer: nn.Module, rows: Tensor, played: Tensor, scales: list[Tensor] | None, slope: Tensor
) -> Tensor:
    """The slope by what a layer heard, of the slope by what it played.

    ``scales``: mean and inverse spread of each row, which a layer norm without weights found.
    """
    match layer:
        case nn.Linear():
            return slope @ layer.weight
        case nn.SiLU():
            return aten.silu_backward(slope, rows)
        case nn.ReLU():
            return aten.threshold_backward(slope, rows, 0)
        case nn.Tanh():
            return aten.tanh_backward(slope, played)
        case nn.Hardtanh():
            return aten.hardtanh_backward(slope, rows, layer.min_val, layer.max_val)
        case nn.LayerNorm() if scales:
            wanted = [True, False, False]  # by the rows; there are no weights
            return aten.native_layer_norm_backward(
                slope, rows, layer.normalized_shape, *scales, None, None, wanted
            )[0]
    raise TypeError(f"no slope is written out for {type(layer).__name__}")
