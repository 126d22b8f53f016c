"""What a synthesiser brings to nn~: its voice, a TorchScript module that plays it block by block."""

from torch import Tensor, nn


class NnVoice(nn.Module):
    """One instrument's voice, with a state of its own. All methods have to be in what TorchScript can compile.

    ``noisy`` says whether what is random in it may be heard: nn~'s attribute ``noise``.
    """

    title = "synthesiser"  # what people call it

    def restart(self, rate: int) -> None:
        """Forget all sound, and play at ``rate`` (Hz) from here on."""
        raise NotImplementedError

    def set(self, values: list[float]) -> None:
        """Parameters in physical units, in the table's order, from the next sample on."""
        raise NotImplementedError

    def trigger(self) -> None:
        """A stroke at the next sample, with the parameters set last."""
        raise NotImplementedError

    def update(self, values: list[float]) -> None:
        """New parameters for what rings, taken over as ``timbrekit.synth.updates`` says. Only where a model looks."""
        raise NotImplementedError

    def next(self, noise: Tensor) -> Tensor:
        """``(n,)`` samples, out of as many values of white noise in [-1, 1]."""
        raise NotImplementedError
