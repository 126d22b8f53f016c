"""Networks so small that autograd costs more than their arithmetic: gradients and steps written out.

A step of Adam on some thousand weights takes half as long so (measured on one core: 1.0 ms to 0.5 ms for 256 rows
through two hidden layers of 64). Results are those of autograd and ``torch.optim.Adam`` up to rounding (tested).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from timbrekit.training.fast.cuda_graph import Replayed
from timbrekit.training.fast.stacked import Adam, one_cycle

aten = torch.ops.aten


class SmallNetwork:
    """An ``nn.Sequential`` and one vector of its weights, which both look at. Gradients are never recorded."""

    def __init__(self, network: nn.Sequential):
        self.layers = list(network)
        weights = [values for layer in self.layers for values in layer.parameters()]
        self.weights = torch.cat([values.detach().flatten() for values in weights])[None]
        self.gradient = torch.zeros_like(self.weights)
        self.gradients: dict[nn.Parameter, Tensor] = {}
        at = 0
        for values in weights:
            part = slice(at, at + values.numel())
            values.data = self.weights[0, part].view_as(values)
            self.gradients[values] = self.gradient[0, part].view_as(values)
            at = part.stop
        self.heard: list[Tensor] = []
        self.scales: dict[nn.Module, list[Tensor]] = {}

    def __call__(self, rows: Tensor) -> Tensor:
        """``(batch, inputs)`` to ``(batch, outputs)``; :meth:`backward` is about the latest call."""
        self.heard, self.scales = [rows], {}
        for layer in self.layers:
            if isinstance(layer, nn.LayerNorm) and not layer.elementwise_affine:
                rows, *self.scales[layer] = torch.native_layer_norm(
                    rows, layer.normalized_shape, None, None, layer.eps
                )
            elif isinstance(layer, nn.Linear) and layer.bias is not None:
                rows = _linear(layer, rows)
            else:
                rows = layer(rows)
            self.heard.append(rows)
        return rows

    def backward(self, gradient: Tensor, to_weights: bool = True, to_inputs: bool = True) -> Tensor | None:
        """Gradients of a loss.

        Args:
            gradient: ``(batch, outputs)`` by the outputs.
            to_weights: also set ``self.gradient``, those by the weights.
            to_inputs: also find out those by the inputs.

        Returns:
            ``(batch, inputs)``, those by the inputs, or None.
        """
        for number in reversed(range(len(self.layers))):
            layer, rows, played = self.layers[number], self.heard[number], self.heard[number + 1]
            if isinstance(layer, nn.Linear) and to_weights:
                torch.mm(gradient.T, rows, out=self.gradients[layer.weight])
                if layer.bias is not None:
                    torch.sum(gradient, 0, out=self.gradients[layer.bias])
            if number == 0 and not to_inputs:
                return None
            gradient = _through(layer, rows, played, self.scales.get(layer), gradient)
        return gradient


class Fit:
    """Steps of Adam on a network, time and again.

    Args:
        network: whose weights change.
        backward: sets the network's gradient from the tensors of a batch.
        rate: learning rate at its highest, of the cosine over all steps.
        together: steps that are captured as one graph on a GPU, where starting each would take longer than the step.
    """

    def __init__(self, network: SmallNetwork, backward: Callable[..., None], rate: float, together: int = 10):
        self.network, self._backward, self._rate, self._together = network, backward, rate, together
        if network.weights.is_cuda:
            self._adam, self._stream = Adam(network.weights), torch.cuda.Stream()
            state = [network.weights, network.gradient, self._adam.mean, self._adam.square]
            self._captured = Replayed(self._steps, state)

    def run(self, batches: Sequence[Tensor]) -> None:
        """A step for each batch, with an optimiser that is fresh.

        Args:
            batches: ``(steps, …)`` each, where the network is: what ``backward`` is given. A multiple of ``together``,
                on a CPU too, so that what works there works on a GPU.
        """
        self._need_whole_parts(batches)
        if self.network.weights.is_cuda:
            for _ in self.in_parts(batches):
                pass
            return
        optimizer = Adam(self.network.weights)
        for *batch, rate in zip(*batches, self._rates(len(batches[0])), strict=True):
            self._backward(*batch)
            optimizer.step(self.network.weights, self.network.gradient, rate)

    def in_parts(self, batches: Sequence[Tensor]) -> Iterator[None]:
        """:meth:`run` on a GPU, which is not waited for: starts a part of the steps at each turn.

        Several fits go on at once where their parts are started by turns.
        """
        self._need_whole_parts(batches)
        steps, device = len(batches[0]), self.network.weights.device
        shares = torch.tensor([Adam.shares(number + 1) for number in range(steps)], device=device)
        parts = zip(
            *(each.split(self._together) for each in (*batches, self._rates(steps).to(device), shares)),
            strict=True,
        )
        self._adam.mean.zero_()
        self._adam.square.zero_()
        now = torch.cuda.current_stream()
        self._stream.wait_stream(now)
        try:
            for part in parts:
                with torch.cuda.stream(self._stream):
                    self._captured(*part)
                yield
        finally:  # also where nobody asks for the rest: what it works on must not be given away before
            now.wait_stream(self._stream)

    def _need_whole_parts(self, batches: Sequence[Tensor]) -> None:
        if len(batches[0]) % self._together:
            raise ValueError(f"{len(batches[0])} steps are no multiple of {self._together}")

    def _rates(self, steps: int) -> Tensor:
        return torch.tensor([[one_cycle(number, steps + 1, self._rate)] for number in range(steps)])

    def _steps(self, *part: Tensor) -> None:
        for *batch, rate, shares in zip(*part, strict=True):
            self._backward(*batch)
            self._adam.change(self.network.weights, self.network.gradient, rate, *shares)


@contextmanager
def one_thread() -> Iterator[None]:
    """So small products are slower on several threads, which wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _linear(layer: nn.Linear, rows: Tensor) -> Tensor:
    """What the layer plays. Calling it takes twice as long."""
    if rows.is_cuda:
        # A product with a transposed matrix takes longer there than all of this (measured on an H100).
        return (rows @ layer.weight.T.contiguous()).add_(layer.bias)
    return torch.addmm(layer.bias, rows, layer.weight.T)


def _through(
    layer: nn.Module, rows: Tensor, played: Tensor, scales: list[Tensor] | None, gradient: Tensor
) -> Tensor:
    """The gradient by what a layer heard, of the gradient by what it played.

    ``scales``: mean and inverse spread of each row, which a layer norm without weights found.
    """
    match layer:
        case nn.Linear():
            return gradient @ layer.weight
        case nn.SiLU():
            return aten.silu_backward(gradient, rows)
        case nn.ReLU():
            return aten.threshold_backward(gradient, rows, 0)
        case nn.Tanh():
            return aten.tanh_backward(gradient, played)
        case nn.Hardtanh():
            return aten.hardtanh_backward(gradient, rows, layer.min_val, layer.max_val)
        case nn.LayerNorm() if scales:
            wanted = [True, False, False]  # by the rows; there are no weights
            return aten.native_layer_norm_backward(
                gradient, rows, layer.normalized_shape, *scales, None, None, wanted
            )[0]
    raise TypeError(f"no gradient is written out for {type(layer).__name__}")
