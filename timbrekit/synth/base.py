"""What a synthesiser is to the rest of timbrekit: a table of parameters, a differentiable sound, a stream.

Nothing here imports torch, so that presets can be read without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Parameter:
    """One synthesiser parameter. Normalised values 0..1 map linearly to ``minimum..maximum``."""

    key: str  # in presets and model files
    title: str  # for people
    unit: str
    minimum: float
    maximum: float
    damping: float = 1.0  # scaling of the modulation of this parameter, where a preset names no other
    # a level, in dB, that a harder stroke raises where nothing but loudness is followed
    velocity: bool = False

    def to_physical(self, normalized: float) -> float:
        return self.minimum + normalized * (self.maximum - self.minimum)

    def to_normalized(self, physical: float) -> float:
        return (physical - self.minimum) / (self.maximum - self.minimum)


class Synth(Protocol):
    """A synthesiser that a mapping can play. ``timbrekit.synth.snare808.Snare808`` is the first one.

    It holds no state: what it plays depends on the arguments alone. It can be pickled. Only a mapping over looks needs
    ``render_updates`` and ``stream_updates``.
    """

    name: str  # in presets, model files and fingerprints
    parameters: tuple[Parameter, ...]  # the one source of truth: keys, units, ranges, order
    # the host rounds parameters to multiples of this, in physical units; None: it does not
    step: float | None

    def draw(self, batch: int, samples: int, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """What is random in a batch of hits, on the CPU.

        Args:
            batch: hits.
            samples: that will be rendered.
            generator: source of it; None draws the same every time, as the published training code does.

        Returns:
            Tensors whose first dimension is 1 (one draw for the whole batch) or ``batch``.
        """

    def render(
        self, rate: int, samples: int, parameters: Tensor, draws: tuple[Tensor, ...], carry_state: int = 0
    ) -> Tensor:
        """One trigger for each row, from rest, differentiable.

        Args:
            rate: Hz.
            samples: to render.
            parameters: ``(batch, parameters)`` normalised, 0..1, in the table's order.
            draws: from :meth:`draw`, where ``parameters`` are; each ``(1, …)`` or ``(batch, …)``.
            carry_state: so many rows at a time are hits in a row; whatever the host keeps from hit to hit is carried
                from each row to the next, from the last to the first. 0: every row is a hit on its own.

        Returns:
            ``(batch, samples)``, full scale 1.
        """

    def stream(
        self,
        physical: ArrayLike,
        triggers: ArrayLike,
        num_samples: int,
        sample_rate: int,
        noise: ArrayLike | None = None,
        seed: int = 0,
        idle: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """A whole take as the host plays it, each hit cutting into what still rings.

        Args:
            physical: ``(n, parameters)`` in physical units, row i from trigger i on; ``(parameters,)`` for all.
            triggers: ``(n,)`` ascending sample indices.
            num_samples: length of the result.
            sample_rate: Hz.
            noise: ``(num_samples,)`` in [-1, 1] for what is random in it; drawn from ``seed`` if None.
            seed: of the noise.
            idle: ``(parameters,)`` what holds before the first trigger; the first row if None.

        Returns:
            ``(num_samples,)`` float32, full scale 1.
        """

    def render_updates(
        self, rate: int, samples: int, parameters: Tensor, starts: tuple[int, ...], draws: tuple[Tensor, ...]
    ) -> Tensor:
        """One trigger for each row, from rest, with updates while it rings (``timbrekit.synth.updates``).

        Args:
            rate, samples, draws: as in :meth:`render`.
            parameters: ``(batch, sets, parameters)`` normalised.
            starts: ``(sets,)`` samples after the trigger at which each set comes, 0 first.

        Returns:
            ``(batch, samples)``, full scale 1, differentiable.
        """

    def stream_updates(
        self,
        physical: ArrayLike,
        heard: ArrayLike,
        triggers: ArrayLike,
        starts: ArrayLike,
        num_samples: int,
        sample_rate: int,
        noise: ArrayLike | None = None,
        seed: int = 0,
        idle: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """A whole take with updates, as a host plays it.

        Args:
            physical: ``(n, sets, parameters)`` in physical units.
            heard: ``(n,)`` how many sets each hit gets before the next one ends it, from 1.
            starts: as in :meth:`render_updates`.
            triggers, num_samples, sample_rate, noise, seed, idle: as in :meth:`stream`.

        Returns:
            ``(num_samples,)`` float32, full scale 1.
        """


def check_triggers(triggers: NDArray[np.int64]) -> None:
    """Raises ValueError where triggers ``(n,)`` are not ascending sample indices from 0 on."""
    if len(triggers) and (triggers[0] < 0 or (triggers[1:] <= triggers[:-1]).any()):
        raise ValueError("triggers must be ascending sample indices from 0 on")
