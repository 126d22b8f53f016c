"""The user's own drum as a differentiable instrument: modes, noise and an onset part, under 16 knobs; or two of them,
blended by one more.

Everything is a closed form in time. Steady modes are products of small matrices, as a power z^(256 a + b) is z^(256 a)
times z^b; so are the noise bands, whose levels are straight lines between every 64th sample; only modes with a pitch
glide need a sine for each sample. In the first 20 ms the onset part, a recorded waveform in three bands, plays in the
noise's place.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from timbrekit.synth.base import Parameter, check_triggers
from timbrekit.synth.drum import Drum
from timbrekit.synth.drum_blend import between
from timbrekit.synth.drum_parts import (
    DB,
    LATENESS,
    at_rate,
    at_strike,
    noise,
    onset,
    onset_window,
    ringing,
    three_bands,
)
from timbrekit.synth.noise_bands import BANDS, NODES, PERIOD, band_centres, noise_table
from timbrekit.synth.updates import crossfaded, glide_samples

END_FADE = 0.005  # s; of the whole sound where the recording ended, and of a sound that the next hit cuts
NOISE_PIVOT = 1000.0  # Hz at which the noise's colour changes nothing


@dataclass(frozen=True, eq=False)
class DrumModel:
    """A ``timbrekit.synth.base.Synth`` made of one drum."""

    drum: Drum
    parts: tuple[str, ...] = ("modes", "noise", "onset")  # that are heard
    parameters: tuple[Parameter, ...] = field(init=False)
    _tables: dict = field(init=False, repr=False, default_factory=dict)

    name: ClassVar[str] = "drum"
    step: ClassVar[None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", self.drum.parameters())

    def __reduce__(self) -> tuple:
        return DrumModel, (self.drum, self.parts)

    def draw(self, batch: int, samples: int, generator: torch.Generator | None = None) -> tuple[Tensor]:
        """As ``Synth.draw``: the sample ``(1,)`` of the noise at which the batch begins; 0 without a generator."""
        if generator is None:
            return (torch.zeros(1, dtype=torch.int64),)
        return (torch.randint(PERIOD, (1,), generator=generator),)

    def render(
        self, rate: int, samples: int, parameters: Tensor, draws: tuple[Tensor, ...], carry_state: int = 0
    ) -> Tensor:
        """As ``Synth.render``. Nothing is carried from hit to hit.

        Args:
            rate, samples: Hz, and how many samples to render.
            parameters: ``(batch, 16)`` normalised; 17 of a blend.
            draws: from :meth:`draw`, ``(1,)`` or ``(batch,)``.
            carry_state: has no effect.

        Raises:
            ValueError: a shape does not fit.
        """
        if parameters.ndim != 2 or parameters.shape[-1] != len(self.parameters):
            raise ValueError(
                f"parameters must be (batch, {len(self.parameters)}), not {tuple(parameters.shape)}"
            )
        t = self._at(rate, parameters.device)
        physical = t["low"] + parameters.double() * t["span"]
        return self._played(rate, samples, physical, draws, parameters.dtype)

    def _played(
        self, rate: int, samples: int, physical: Tensor, draws: tuple[Tensor, ...], dtype: torch.dtype
    ) -> Tensor:
        """As :meth:`render`, of parameters ``(batch, …)`` in physical units and 64 bits."""
        t = self._at(rate, physical.device)
        knobs = {p.key: physical[:, i : i + 1] for i, p in enumerate(self.parameters)}
        struck = at_strike(t, knobs["strike"])
        if self.drum.other:
            t = between(t | struck | at_strike(t, knobs["strike"], "other_"), knobs["blend"] / 100)
            knobs["glide.amount"] = (knobs["glide.amount"] + t["glide_amount"]).clamp_min(0)
            knobs["glide.time"] = knobs["glide.time"] * torch.exp(t["glide_log_time"])
        else:
            t = t | struck
        sound = torch.zeros(len(physical), samples, dtype=dtype, device=physical.device)
        if "modes" in self.parts and len(self.drum.frequency):
            sound = sound + ringing(t, knobs, rate, samples, sound.dtype)
        if "noise" in self.parts:
            sound = sound + noise(
                t, knobs, rate, samples, draws[0].long(), "onset" in self.parts, sound.dtype
            )
        if "onset" in self.parts:
            beginning = onset(t, knobs, sound.dtype)[:, :samples]
            sound = sound + torch.nn.functional.pad(beginning, (0, samples - beginning.shape[1]))
        longer = torch.maximum(knobs["modes.decay"], knobs["noise.decay"]).clamp_min(100) / 100
        times = torch.arange(samples, dtype=torch.float64, device=sound.device) / rate
        fade = ((t["seconds"] * longer - times) / END_FADE).clamp(0, 1).to(sound.dtype)
        drive, level = (torch.exp(DB * knobs[name]).to(sound.dtype) for name in ("drive", "level"))
        return torch.tanh(sound * fade * drive) / drive * level

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
        """As ``Synth.stream``: the noise runs on through the take; a hit fades what still rings within 5 ms.

        ``noise`` says where the noise begins, by its first sample; ``idle`` has no effect: nothing sounds before the
        first hit.
        """
        physical = np.broadcast_to(np.asarray(physical, float), (len(triggers), len(self.parameters)))
        one = np.ones(len(triggers), int)
        return self.stream_updates(
            physical[:, None], one, triggers, [0], num_samples, sample_rate, noise, seed, idle
        )

    def render_updates(
        self, rate: int, samples: int, parameters: Tensor, starts: tuple[int, ...], draws: tuple[Tensor, ...]
    ) -> Tensor:
        """As ``Synth.render_updates``: from the sound with the old parameters to the sound with the new ones."""
        return crossfaded(
            lambda values, end: self.render(rate, end, values, draws),
            samples,
            parameters,
            starts,
            glide_samples(rate),
        )

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
        """As ``Synth.stream_updates``, and else as :meth:`stream`."""
        triggers = np.asarray(triggers, np.int64)
        starts = tuple(int(start) for start in starts)
        check_triggers(triggers)
        start = seed * 7919 if noise is None else int((float(np.asarray(noise)[0]) + 1) / 2 * (PERIOD - 1))
        rows = torch.from_numpy(np.array(physical, float))
        cut = int(END_FADE * sample_rate)
        longest = int(max(drum.seconds for drum in self._drums) * 2.5 * sample_rate) + 1
        audio = np.zeros(num_samples, np.float32)
        for row, trigger in enumerate(triggers[triggers < num_samples]):
            following = triggers[row + 1] if row + 1 < len(triggers) else num_samples + longest
            length = int(min(longest, following - trigger + cut, num_samples - trigger))
            draws = (torch.tensor([(start + trigger) % PERIOD]),)
            sets = int(np.asarray(heard)[row])
            with torch.no_grad():
                sound = crossfaded(
                    lambda values, end, draws=draws: self._played(
                        sample_rate, end, values, draws, torch.float32
                    ),
                    length,
                    rows[row : row + 1, :sets],
                    starts[:sets],
                    glide_samples(sample_rate),
                )[0].numpy()
            since = np.arange(length) - (following - trigger)
            audio[trigger : trigger + length] += sound * np.clip(1 - since / cut, 0, 1).astype(np.float32)
        return audio

    def _at(self, rate: int, device: torch.device) -> dict[str, Tensor]:
        """What a render at this rate needs of the drum, where it is computed."""
        key = rate, str(device)
        if key not in self._tables:
            tables = {name: torch.as_tensor(value) for name, value in self._prepared(rate).items()}
            self._tables[key] = {name: value.to(device) for name, value in tables.items()}
        return self._tables[key]

    @property
    def _drums(self) -> tuple[Drum, ...]:
        return (self.drum, self.drum.other) if self.drum.other else (self.drum,)

    def _prepared(self, rate: int) -> dict[str, NDArray]:
        low, high = np.array([(p.minimum, p.maximum) for p in self.parameters]).T
        order = np.argsort(self.drum.gliding < 0.5, kind="stable")  # modes that glide first
        prepared = _numbers(self.drum, order)
        waves = [_waves(drum, rate) for drum in self._drums]
        longest = max(wave.shape[-1] for wave in waves)
        if self.drum.other:
            other = _numbers(self.drum.other, order)
            prepared |= {f"other_{name}": value for name, value in other.items()}
            (amount, time), (there, its_time) = self.drum.glide, self.drum.other.glide
            prepared |= {"glide_amount": 0.0, "other_glide_amount": there - amount}
            prepared |= {"glide_log_time": 0.0, "other_glide_log_time": np.log(its_time / time)}
        joined = [np.pad(wave, ((0, 0), (0, 0), (0, longest - wave.shape[-1]))) for wave in waves]
        return {name: np.atleast_1d(value) for name, value in prepared.items()} | {
            "low": low,
            "span": high - low,
            "gliding": np.arange(int((self.drum.gliding > 0.5).sum())),
            "onset": np.concatenate(joined),
            "room": np.concatenate([_room(wave.shape[-1], longest, rate) for wave in waves]),
            "table": np.concatenate([noise_table(rate, drum.noise_shape) for drum in self._drums]),
            "nodes": NODES,
            "lateness": LATENESS,
            "octaves": np.log2(band_centres() / NOISE_PIVOT),
        }


def _numbers(drum: Drum, order: NDArray) -> dict[str, NDArray]:
    """Those of one drum, its modes in that order, its hits from soft to hard; ``(1 or hits, modes or bands, …)``."""
    rows = np.argsort(drum.loudness, kind="stable")
    return (
        {name: getattr(drum, name)[None, order] for name in ("frequency", "decay", "level_slope")}
        | {name: getattr(drum, name)[rows][:, order] for name in ("level", "phase")}
        | {name: getattr(drum, name)[None] for name in ("noise_slope", "late_slope")}
        | {
            "noise_level": drum.noise_level[rows],
            "main_frequency": np.array(drum.main_frequency),
            "seconds": np.array(drum.seconds),
            "loudness": drum.loudness[rows] + np.arange(len(rows)) * 1e-6,  # no two alike
        }
    )


def _waves(drum: Drum, rate: int) -> NDArray:
    """``(hits, 3, samples)``: the onset of each hit at the same loudness, in bands, the softest first."""
    order = np.argsort(drum.loudness, kind="stable")
    waves = drum.onset[order] / 10 ** (drum.loudness[order, None] / 20)
    return three_bands(at_rate(waves, rate), rate)


def _room(samples: int, longest: int, rate: int) -> NDArray:
    """``(20, longest)``: what an onset of so many samples leaves to each band."""
    room = np.sqrt(1 - np.square(onset_window(samples, rate)))
    return np.tile(np.pad(room, (0, longest - samples), constant_values=1.0), (BANDS, 1))
