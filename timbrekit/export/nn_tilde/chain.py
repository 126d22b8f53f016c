"""The whole instrument as one TorchScript module for nn~: audio in, the 808 and its triggers out.

The same steps as :func:`timbrekit.plugin.rehearse.rehearse`, block by block, with blocks of any length.
"""

import math
from typing import Final

import torch
from torch import Tensor

from timbrekit.export.nn_tilde.attributes import NnAttributes
from timbrekit.export.nn_tilde.dsp import (
    envelope,
    filtered,
    gain,
    high_pass,
    level_db,
    onset_features,
    onset_signal,
    oscillator,
    rounded,
    scaled,
    snapped,
)
from timbrekit.recording.onsets import (
    FLOOR_DB,
    HIGH_PASS_HZ,
    HIGH_PASS_Q,
    ONSET_WINDOW,
    TRIGGER_DELAY,
    DetectorSettings,
)
from timbrekit.synth.parameters import ATTACK_MS, DECAY_LOG, NYQUIST_MARGIN_HZ, PARAMETERS

LOUDEST_INPUT = 1e4  # samples beyond this are no sound, and nor is NaN; either would stick in the filter


class NnChain(NnAttributes):
    """Everything that nn~ calls. One instance is one instrument with a state of its own.

    Args:
        network: the model file's module, ``(1, 3)`` in [0, 1] to ``(2, 14)``.
        preset: ``(14,)`` physical units, in the plug-in's steps.
        ranges: ``(2, 3)`` lowest and highest onset features of the training take.
        sample_rate: Hz.
        settings: of the onset detector.
    """

    # What TorchScript may read: it sees no names from outside its class.
    WINDOW: Final[int] = ONSET_WINDOW
    DELAY: Final[int] = TRIGGER_DELAY
    HIGH_PASS: Final[tuple[float, float]] = (HIGH_PASS_HZ, HIGH_PASS_Q)
    FLOOR: Final[float] = float(FLOOR_DB)
    ATTACK: Final[float] = ATTACK_MS / 1000
    DECAY: Final[float] = DECAY_LOG
    MARGIN: Final[float] = NYQUIST_MARGIN_HZ
    LOUDEST: Final[float] = LOUDEST_INPUT

    def __init__(
        self,
        network: torch.jit.ScriptModule,
        preset: Tensor,
        ranges: Tensor,
        sample_rate: int,
        settings: DetectorSettings,
    ):
        super().__init__(sample_rate, settings)
        self.network = network
        # Lists and not buffers: a host that moves the module to a graphics card leaves them where they are.
        self.preset = preset.tolist()
        self.lowest = [p.minimum for p in PARAMETERS]
        self.highest = [p.maximum for p in PARAMETERS]
        self.trained = ranges.tolist()
        self.cold = True
        self.forget_ranges()
        self.restart()

    @torch.jit.export
    def forget_ranges(self) -> None:
        """Let the ranges grow anew from the next hit on, as the plug-in's reset button does."""
        self.met = torch.tensor([[math.inf] * 3, [-math.inf] * 3])  # (2, 3) lowest, highest features so far

    @torch.jit.export
    def restart(self) -> None:
        """Forget all sound, tune the filters to the sample rate, play the preset unmodulated."""
        self.past = torch.zeros(self.WINDOW - 1)  # the last samples heard
        self.detector_tuning = high_pass(self.HIGH_PASS[0], self.HIGH_PASS[1], float(self.sample_rate))
        self.detector_filter = [0.0, 0.0]
        self.followers = [self.FLOOR, self.FLOOR]
        self.previous = 0.0
        self.countdown = 0
        self.triggered = False
        self.window_end = -1  # the sample of this block, or a later one, that completes the window; else -1
        self.phases = [0.0, 0.0]
        self.noise_filter = [0.0, 0.0]
        self.levels = [0.0, 0.0, 0.0, 0.0]  # envelopes: pitch, oscillator 1, oscillator 2, noise
        self.rising = [False, False, False, False]
        self.attack = rounded(1.0 / float(int(self.sample_rate * self.ATTACK)))
        self.set_parameters(self.preset)

    @torch.jit.export
    def set_parameters(self, values: list[float]) -> None:
        """Tune the synthesiser: 14 values in physical units."""
        rate = float(self.sample_rate)
        self.steps = [
            rounded(2.0 * math.pi * values[0] / rate),
            rounded(2.0 * math.pi * values[2] / rate),
        ]
        self.sweeps = [values[1], values[3]]
        self.decays = [rounded(1.0 - self.DECAY / (ms * rate / 1000.0)) for ms in values[4:8]]
        cutoff = min(values[8], 0.5 * rate - self.MARGIN)
        self.noise_tuning = high_pass(cutoff, values[9], rate)
        self.gains = [gain(decibels) for decibels in values[10:14]]

    def forward(self, audio: Tensor) -> Tensor:
        """``(batch, 1, n)`` samples to ``(batch, 2, n)``: the 808, and a 1 at each trigger."""
        noise = torch.zeros(audio.shape[-1])
        if self.noise != 0:
            noise = torch.rand(audio.shape[-1]) * 2.0 - 1.0
        return self.play(audio, noise)

    @torch.jit.export
    def play(self, audio: Tensor, noise: Tensor) -> Tensor:
        """As ``forward``, with the synthesiser's noise ``(n,)`` in [-1, 1] given."""
        count = audio.shape[-1]
        if count == 0:
            return torch.zeros([audio.shape[0], 2, 0]).to(audio.device)
        if self.cold:  # libtorch sets up its Fourier transform at the first use: not at the first hit
            self.network(onset_features(torch.zeros(self.WINDOW), 1.0).unsqueeze(0))
            self.cold = False
        dry = audio.to("cpu").to(torch.float32).mean([0, 1])
        dry = torch.where(dry.abs() < self.LOUDEST, dry, torch.zeros_like(dry))
        heard = torch.cat([self.past, dry])
        self.past = heard[count:]
        pulses = torch.zeros(count)
        parts: list[Tensor] = []
        start = 0
        for trigger in self.detect(dry):
            parts.append(self.synthesize(noise[start:trigger]))
            self.respond(heard[trigger : trigger + self.WINDOW])
            pulses[trigger] = 1.0
            start = trigger
        parts.append(self.synthesize(noise[start:]))
        wet = torch.cat(parts)
        if self.dry_wet < 1.0:
            wet = wet * self.dry_wet + dry * (1.0 - self.dry_wet)
        return torch.stack([wet, pulses]).expand([audio.shape[0], 2, count]).to(audio.device)

    def detect(self, dry: Tensor) -> list[int]:
        """Samples of this block at which the synthesiser is triggered."""
        samples: list[float] = dry.tolist()  # TorchScript evaluates what stands before .tolist() twice:
        decibels = level_db(filtered(samples, self.detector_tuning, self.detector_filter))
        levels: list[float] = decibels.tolist()  # so no expression there
        signal = onset_signal(levels, self.followers)
        ends = [self.window_end]
        if max(signal) >= self.on_threshold:
            for i, value in enumerate(signal):
                if (
                    value >= self.on_threshold
                    and self.previous < self.on_threshold
                    and not self.triggered
                    and self.countdown == 0
                ):
                    self.triggered = True
                    self.countdown = self.hold
                    if i > self.window_end:  # else it is dropped: a window is being collected
                        self.window_end = i + self.DELAY
                        ends.append(self.window_end)
                else:
                    if self.countdown > 0:
                        self.countdown -= 1
                    if value < self.off_threshold:
                        self.triggered = False
                    self.previous = value
        else:  # it cannot fire, and this is quicker
            self.countdown = max(self.countdown - len(signal), 0)
            if min(signal) < self.off_threshold:
                self.triggered = False
            self.previous = signal[-1]
        self.window_end = max(self.window_end - len(signal), -1)
        triggers: list[int] = []
        for end in ends:
            if 0 <= end and end < len(signal):
                triggers.append(end)
        return triggers

    def respond(self, window: Tensor) -> None:
        """Set the parameters by what is heard in ``window`` (256,), and start the envelopes."""
        raw = onset_features(window, float(self.sample_rate))
        self.met = torch.stack([torch.minimum(self.met[0], raw), torch.maximum(self.met[1], raw)])
        ranges = self.met
        if self.fixed_ranges != 0:
            ranges = torch.tensor(self.trained)
        modulation = self.network(scaled(raw, ranges).unsqueeze(0))[0]
        low, high = torch.tensor(self.lowest), torch.tensor(self.highest)
        preset = ((torch.tensor(self.preset) - low) / (high - low)).clamp(0, 1)
        parameters = snapped(preset + modulation * self.sensitivity, low, high)
        values: list[float] = parameters.tolist()
        self.set_parameters(values)
        self.rising = [True, True, True, True]

    def synthesize(self, noise: Tensor) -> Tensor:
        """As many samples of the 808 as there are of noise."""
        count = noise.shape[0]
        if count == 0:
            return noise
        samples: list[float] = noise.tolist()
        hiss = filtered(samples, self.noise_tuning, self.noise_filter)
        levels: list[Tensor] = []
        for e in range(4):
            values, rising = envelope(self.levels[e], self.rising[e], count, self.attack, self.decays[e])
            self.levels[e] = values[-1]
            self.rising[e] = rising
            levels.append(torch.tensor(values))
        total = torch.zeros(count)
        for o in range(2):
            tone, after = oscillator(self.phases[o], self.steps[o], self.sweeps[o], levels[0])
            self.phases[o] = after
            total = total + tone * levels[o + 1] * self.gains[o]
        total = total + hiss * levels[3] * self.gains[2]
        return torch.tanh(total * self.gains[3])
