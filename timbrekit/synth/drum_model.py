"""The user's own drum as a differentiable instrument: modes, noise and an onset part, under 16 knobs.

Everything is a closed form in time. Steady modes are products of small matrices, as a power z^(256 a + b) is z^(256 a)
times z^b; so are the noise bands, whose levels are straight lines between every 64th sample; only modes with a pitch
glide need a sine for each sample. In the first 20 ms the onset part, a recorded waveform in three bands, plays in the
noise's place.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.signal import resample_poly
from torch import Tensor

from timbrekit.synth.base import Parameter
from timbrekit.synth.drum import ONSET_RATE, Drum
from timbrekit.synth.modes import ATTACK, BLOCK
from timbrekit.synth.noise_bands import PERIOD, STEP, band_centres, noise_table

ONSET_FADE = 0.010  # s at the end of the onset part in which the noise takes over
END_FADE = 0.005  # s; of the whole sound where the recording ended, and of a sound that the next hit cuts
CROSSOVERS = (500.0, 3000.0)  # Hz, between the onset part's three bands
COLOUR_OCTAVES = (-2.0, 0.0, 2.0)  # of those bands, from the middle one
NOISE_PIVOT = 1000.0  # Hz at which the noise's colour changes nothing
HIGHEST = 0.48  # of the sample rate: modes above are silent
DB = math.log(10) / 20
TINY = -40.0  # exponents below are this: e^-40 is nothing, and smaller numbers are slow


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
            parameters: ``(batch, 16)`` normalised.
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
        knobs = {p.key: physical[:, i : i + 1] for i, p in enumerate(self.parameters)}
        harder = knobs["strike"] - t["reference_loudness"]  # dB
        sound = parameters.new_zeros(len(parameters), samples)
        if "modes" in self.parts and len(self.drum.frequency):
            sound = sound + _modes(t, knobs, harder, rate, samples, sound.dtype)
        if "noise" in self.parts:
            sound = sound + _noise(
                t, knobs, harder, rate, samples, draws[0].long(), "onset" in self.parts, sound.dtype
            )
        if "onset" in self.parts:
            onset = _onset(t, knobs, sound.dtype)[:, :samples]
            sound = sound + torch.nn.functional.pad(onset, (0, samples - onset.shape[1]))
        longer = torch.maximum(knobs["modes.decay"], knobs["noise.decay"]).clamp_min(100) / 100
        times = torch.arange(samples, dtype=torch.float64, device=sound.device) / rate
        fade = ((self.drum.seconds * longer - times) / END_FADE).clamp(0, 1).to(sound.dtype)
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
        triggers = np.asarray(triggers, np.int64)
        physical = np.asarray(physical, float)
        physical = np.broadcast_to(physical, (len(triggers), len(self.parameters)))
        if len(triggers) and (triggers[0] < 0 or np.any(np.diff(triggers) <= 0)):
            raise ValueError("triggers must be ascending sample indices from 0 on")
        start = seed * 7919 if noise is None else int((float(np.asarray(noise)[0]) + 1) / 2 * (PERIOD - 1))
        low, high = np.array([(p.minimum, p.maximum) for p in self.parameters]).T
        normalized = torch.from_numpy((physical - low) / (high - low))
        cut = int(END_FADE * sample_rate)
        longest = int(self.drum.seconds * 2.5 * sample_rate) + 1
        audio = np.zeros(num_samples, np.float32)
        for row, trigger in enumerate(triggers[triggers < num_samples]):
            following = triggers[row + 1] if row + 1 < len(triggers) else num_samples + longest
            length = int(min(longest, following - trigger + cut, num_samples - trigger))
            draws = (torch.tensor([(start + trigger) % PERIOD]),)
            with torch.no_grad():
                sound = self.render(sample_rate, length, normalized[row : row + 1].float(), draws)[0].numpy()
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

    def _prepared(self, rate: int) -> dict[str, NDArray]:
        drum = self.drum
        low, high = np.array([(p.minimum, p.maximum) for p in self.parameters]).T
        gliding = drum.gliding > 0.5
        order = np.argsort(~gliding, kind="stable")  # those that glide first
        modes = {
            name: np.asarray(getattr(drum, name), float)[order]
            for name in ("frequency", "level", "phase", "decay", "level_slope", "decay_slope")
        }
        noise = ("noise_level", "noise_decay", "late_level", "late_decay", "noise_slope", "late_slope")
        sorted_hits = np.argsort(drum.loudness, kind="stable")
        loudness = drum.loudness[sorted_hits] + np.arange(len(sorted_hits)) * 1e-6  # no two alike
        waves = drum.onset[sorted_hits] / 10 ** (drum.loudness[sorted_hits, None] / 20)
        return (
            modes
            | {name: getattr(drum, name) for name in noise}
            | {
                "low": low,
                "span": high - low,
                "reference_loudness": np.array(drum.loudness[drum.reference]),
                "main_frequency": np.array(drum.main_frequency),
                "gliding": np.arange(int(gliding.sum())),
                "loudness": loudness,
                "onset": _three_bands(_at_rate(waves, rate), rate),
                "onset_window": onset_window(len(_at_rate(waves[0], rate)), rate),
                "table": noise_table(rate, drum.noise_shape),
                "octaves": np.log2(band_centres() / NOISE_PIVOT),
            }
        )


def onset_window(samples: int, rate: float) -> NDArray:
    """``(samples,)``: 1, then a half cosine down to 0 over the last 10 ms."""
    fade = min(samples, int(ONSET_FADE * rate))
    down = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 1) / fade)
    return np.concatenate([np.ones(samples - fade), down])


def _modes(
    t: dict[str, Tensor],
    knobs: dict[str, Tensor],
    harder: Tensor,
    rate: int,
    samples: int,
    dtype: torch.dtype,
) -> Tensor:
    frequency = t["frequency"] * torch.exp2(knobs["pitch"] / 12)  # (batch, modes)
    octaves = torch.log2(t["frequency"] / t["main_frequency"])
    level = (
        t["level"] + t["level_slope"] * harder + knobs["modes.level"] + knobs["modes.brightness"] * octaves
    )
    amplitude = torch.exp(DB * level) * (frequency < HIGHEST * rate)
    decay = t["decay"] * torch.exp(t["decay_slope"] * harder + knobs["modes.tilt"] * octaves * math.log(2))
    decay = decay * (100 / knobs["modes.decay"])
    count = len(t["gliding"])
    sound = _steady(
        *(each[:, count:] for each in (frequency, amplitude, decay)), t["phase"][count:], rate, samples, dtype
    )
    if count:
        times = torch.arange(samples, dtype=torch.float64, device=frequency.device) / rate
        amount, time = torch.exp2(knobs["glide.amount"] / 12) - 1, knobs["glide.time"] / 1000
        warped = times - amount * time * torch.expm1(-times / time)  # (batch, samples)
        turns = frequency[:, :count, None] * warped[:, None]
        turns = (turns - turns.detach().floor()).to(dtype) * (2 * math.pi)
        envelopes = torch.exp((-decay[:, :count, None] * times).clamp_min(TINY).to(dtype))
        waves = torch.cos(turns + t["phase"][:count, None].to(dtype)) * envelopes
        sound = sound + torch.einsum("bm,bmt->bt", amplitude[:, :count].to(dtype), waves)
    rise = torch.arange(samples, device=sound.device) / (ATTACK * rate)
    return sound * rise.clamp_max(1).to(sound.dtype)


def _steady(
    frequency: Tensor,
    amplitude: Tensor,
    decay: Tensor,
    phase: Tensor,
    rate: int,
    samples: int,
    dtype: torch.dtype,
) -> Tensor:
    """``(batch, samples)``: sum over modes of ``amplitude cos(2 pi frequency t + phase) exp(-decay t)``."""
    device = frequency.device
    coarse = torch.arange(0, samples, BLOCK, dtype=torch.float64, device=device) / rate
    fine = torch.arange(BLOCK, dtype=torch.float64, device=device) / rate

    def powers(times: Tensor, start: Tensor | float) -> tuple[Tensor, Tensor]:
        turns = frequency[..., None] * times
        angle = ((turns - turns.detach().floor()) * (2 * math.pi) + start).to(dtype)
        size = torch.exp((-decay[..., None] * times).clamp_min(TINY).to(dtype))
        return size * torch.cos(angle), size * torch.sin(angle)

    real, imaginary = powers(coarse, phase[:, None])
    scale = amplitude[..., None].to(dtype)
    left = torch.cat([real * scale, -imaginary * scale], 1)
    right = torch.cat(powers(fine, 0.0), 1)
    return torch.bmm(left.mT, right).flatten(1)[:, :samples]


def _noise(
    t: dict[str, Tensor],
    knobs: dict[str, Tensor],
    harder: Tensor,
    rate: int,
    samples: int,
    start: Tensor,
    makes_room: bool,
    dtype: torch.dtype,
) -> Tensor:
    """The bands, from sample ``start`` of the table on; with ``makes_room`` they leave the onset to its own part."""
    steps = samples // STEP + 1
    grid = torch.arange(steps + 1, dtype=torch.float64, device=harder.device) * (STEP / rate)
    coloured = knobs["noise.level"] + knobs["noise.colour"] * t["octaves"]
    faster = 100 / knobs["noise.decay"]
    levels = 0
    for level, slope, decay, more in (
        ("noise_level", "noise_slope", "noise_decay", 0.0),
        ("late_level", "late_slope", "late_decay", knobs["noise.late"]),
    ):
        at_onset = DB * (t[level] + t[slope] * harder + coloured + more)
        levels = levels + torch.exp(
            (at_onset[..., None] - (t[decay] * faster)[..., None] * grid).clamp_min(TINY)
        )
    levels = levels.to(dtype).permute(2, 0, 1)  # (steps + 1, batch, bands)
    part = torch.arange(STEP, device=levels.device, dtype=dtype) / STEP
    sounds = []
    starts = start.expand(1) if start.ndim == 0 else start
    for first in starts.unique() if len(starts) > 1 else starts:
        rows = slice(None) if len(starts) == 1 else torch.nonzero(starts == first)[:, 0]
        index = (first + torch.arange(steps * STEP, device=levels.device)) % PERIOD
        table = t["table"][:, index].to(dtype).view(-1, steps, STEP).transpose(0, 1)  # (steps, bands, 64)
        lines = torch.bmm(levels[:-1, rows], table * (1 - part)) + torch.bmm(levels[1:, rows], table * part)
        sounds.append((rows, lines.transpose(0, 1).flatten(1)[:, :samples]))
    if len(sounds) == 1:
        sound = sounds[0][1]
    else:
        order = torch.cat([rows for rows, _ in sounds]).argsort()
        sound = torch.cat([each for _, each in sounds])[order]
    if not makes_room:
        return sound
    window = t["onset_window"][:samples]
    room = torch.nn.functional.pad(
        (1 - window.square()).sqrt(), (0, max(0, samples - len(window))), value=1.0
    )
    return sound * room.to(dtype)


def _onset(t: dict[str, Tensor], knobs: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """``(batch, onset samples)``: recorded waveforms of the two nearest strokes, mixed, in three bands."""
    octaves = torch.tensor(COLOUR_OCTAVES, dtype=torch.float64, device=knobs["strike"].device)
    gains = torch.exp(
        DB * (knobs["onset.level"] + knobs["strike"] + knobs["onset.colour"] * octaves)
    )  # (batch, 3)
    shares = _nearest(knobs["strike"], t["loudness"])
    return torch.einsum("bh,bk,hkt->bt", shares.to(dtype), gains.to(dtype), t["onset"].to(dtype))


def _nearest(strike: Tensor, loudness: Tensor) -> Tensor:
    """``(batch, hits)`` shares of the hits on both sides of each strike; of the outermost beyond them."""
    if len(loudness) == 1:
        return torch.ones_like(strike)
    within = strike.clamp(float(loudness[0]), float(loudness[-1]))
    gaps = loudness.diff()
    rising = ((within - loudness[:-1]) / gaps).clamp(0, 1)  # (batch, hits - 1)
    one = torch.ones_like(strike)
    return torch.cat([one, rising], 1) - torch.cat([rising, 0 * one], 1)


def _at_rate(waves: NDArray, rate: int) -> NDArray:
    """Waveforms at 48 kHz, at another rate."""
    if rate == ONSET_RATE:
        return waves
    common = math.gcd(rate, ONSET_RATE)
    return resample_poly(waves, rate // common, ONSET_RATE // common, axis=-1)


def _three_bands(waves: NDArray, rate: int) -> NDArray:
    """``(hits, 3, samples)`` that add up to the waves ``(hits, samples)``."""
    samples = waves.shape[-1]
    spectrum = np.fft.rfft(waves, 4 * samples)
    frequency = np.fft.rfftfreq(4 * samples, 1 / rate)
    edges = [1 / (1 + (frequency / crossover) ** 4) for crossover in CROSSOVERS]
    low = np.fft.irfft(spectrum * edges[0])[:, :samples]
    middle = np.fft.irfft(spectrum * (edges[1] - edges[0]))[:, :samples]
    return np.stack([low, middle, waves - low - middle], 1)
