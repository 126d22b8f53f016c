"""The whole instrument as one TorchScript module for nn~: audio in, a synthesiser and its triggers out.

The same steps as rehearsal (``timbrekit.plugin.rehearse``, ``rehearse_looks``), block by block, with blocks of any
length.
"""

from typing import Final

import torch
from torch import Tensor

from timbrekit.export.nn_tilde.attributes import NnAttributes
from timbrekit.export.nn_tilde.dsp import filtered, high_pass, level_db, onset_signal, snapped
from timbrekit.export.nn_tilde.listener import NnListener
from timbrekit.export.nn_tilde.voice import NnVoice
from timbrekit.recording.onsets import FLOOR_DB, HIGH_PASS_HZ, HIGH_PASS_Q, TRIGGER_DELAY, DetectorSettings
from timbrekit.synth.base import Synth

LOUDEST_INPUT = 1e4  # samples beyond this are no sound, and nor is NaN; either would stick in the filter


class NnChain(NnAttributes):
    """Everything that nn~ calls. One instance is one instrument with a state of its own.

    Args:
        listener: that hears hits and answers with modulations (``timbrekit.export.nn_tilde.listener``).
        voice: that plays the synthesiser (``timbrekit.export.nn_tilde.voice``).
        synth: whose parameters the network moves.
        preset: ``(parameters,)`` physical units, in the synthesiser's steps.
        sample_rate: Hz.
        settings: of the onset detector.
        attributes: that its user may set, as in ``timbrekit.export.nn_tilde.attributes``.
    """

    # What TorchScript may read: it sees no names from outside its class.
    DELAY: Final[int] = TRIGGER_DELAY
    HIGH_PASS: Final[tuple[float, float]] = (HIGH_PASS_HZ, HIGH_PASS_Q)
    FLOOR: Final[float] = float(FLOOR_DB)
    LOUDEST: Final[float] = LOUDEST_INPUT

    def __init__(
        self,
        listener: NnListener,
        voice: NnVoice,
        synth: Synth,
        preset: Tensor,
        sample_rate: int,
        settings: DetectorSettings,
        attributes: dict[str, int],
    ):
        super().__init__(sample_rate, settings, voice.title, attributes)
        self.listener = listener
        self.voice = voice
        # Lists and not buffers: a host that moves the module to a graphics card leaves them where they are.
        self.preset = preset.tolist()
        self.lowest = [p.minimum for p in synth.parameters]
        self.highest = [p.maximum for p in synth.parameters]
        self.step = synth.step or 0.0
        self.cold = True
        self.restart()

    @torch.jit.export
    def forget_ranges(self) -> None:
        """Let the ranges grow anew from the next hit on, as the plug-in's reset button does."""
        self.listener.forget()

    @torch.jit.export
    def restart(self) -> None:
        """Forget all sound, tune the filters to the sample rate, play the preset unmodulated."""
        self.listener.restart(self.sample_rate)
        self.past = torch.zeros(max(self.listener.lengths) - 1)  # the last samples heard
        self.detector_tuning = high_pass(self.HIGH_PASS[0], self.HIGH_PASS[1], float(self.sample_rate))
        self.detector_filter = [0.0, 0.0]
        self.followers = [self.FLOOR, self.FLOOR]
        self.previous = 0.0
        self.countdown = 0
        self.triggered = False
        # the sample, of this block or a later one, up to which detections are dropped; else -1
        self.window_end = -1
        self.origin = 0  # sample of the last detection that counts; of this block, or negative
        self.look = len(self.listener.delays)  # number of the answer to it that comes next
        self.voice.restart(self.sample_rate)
        self.voice.set(self.preset)

    def forward(self, audio: Tensor) -> Tensor:
        """``(batch, 1, n)`` samples to ``(batch, 2, n)``: the synthesiser, and a 1 at each trigger."""
        self.voice.noisy = self.noise != 0
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
            for look, length in enumerate(self.listener.lengths):
                self.listener.answer(look, torch.zeros(length), True)
            self.listener.forget()
            self.cold = False
        dry = audio.to("cpu").to(torch.float32).mean([0, 1])
        dry = torch.where(dry.abs() < self.LOUDEST, dry, torch.zeros_like(dry))
        heard = torch.cat([self.past, dry])
        self.past = heard[count:]
        pulses = torch.zeros(count)
        parts: list[Tensor] = []
        start = 0
        for look, at in self.answers(self.detect(dry), count):
            parts.append(self.voice.next(noise[start:at]))
            end = at + heard.shape[0] - count + 1
            self.respond(look, heard[end - self.listener.lengths[look] : end])
            if look == 0:
                pulses[at] = 1.0
            start = at
        parts.append(self.voice.next(noise[start:]))
        wet = torch.cat(parts)
        if self.dry_wet < 1.0:
            wet = wet * self.dry_wet + dry * (1.0 - self.dry_wet)
        return torch.stack([wet, pulses]).expand([audio.shape[0], 2, count]).to(audio.device)

    def detect(self, dry: Tensor) -> list[int]:
        """Samples of this block at which the detector fires, but for those that are dropped."""
        samples: list[float] = dry.tolist()  # TorchScript evaluates what stands before .tolist() twice:
        decibels = level_db(filtered(samples, self.detector_tuning, self.detector_filter))
        levels: list[float] = decibels.tolist()  # so no expression there
        signal = onset_signal(levels, self.followers)
        found: list[int] = []
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
                        found.append(i)
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
        return found

    def answers(self, detections: list[int], count: int) -> list[tuple[int, int]]:
        """Number and sample of each of the listener's answers in this block of ``count``.

        A detection ends what is still to be answered of the one before.
        """
        found: list[tuple[int, int]] = []
        delays = self.listener.delays
        detections.append(count)  # as far as this block goes
        for limit in detections:
            while self.look < len(delays) and self.origin + delays[self.look] < limit:
                found.append((self.look, self.origin + delays[self.look]))
                self.look += 1
            if limit < count:
                self.origin = limit
                self.look = 0
        self.origin -= count
        return found

    def respond(self, look: int, window: Tensor) -> None:
        """Set the parameters by what is heard in ``window``, and strike or correct what sounds."""
        modulation = self.listener.answer(look, window, self.fixed_ranges != 0)
        low, high = torch.tensor(self.lowest), torch.tensor(self.highest)
        preset = ((torch.tensor(self.preset) - low) / (high - low)).clamp(0, 1)
        parameters = snapped(preset + modulation * self.sensitivity, low, high, self.step)
        values: list[float] = parameters.tolist()
        if look == 0:
            self.voice.set(values)
            self.voice.trigger()
        else:
            self.voice.update(values)
