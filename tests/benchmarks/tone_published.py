"""The published architecture beside timbrekit's own, on the same stretch held out by time, after the same CPU time.

    python -m tests.benchmarks.tone_published RECORDING --cpu-seconds 480

Both train on one thread for as much CPU time. ``--model`` measures an instrument that was trained before instead of
training one.

What is published (DDSP, ICLR 2020, as in the PyTorch version that runs in Pure Data): pitch in Hz and loudness joined
in one network, a GRU of 512 units, 3.8 million weights, 100 partials, 65 linear bands of noise, a second of room, the
multi-scale spectral loss. Here at 48 kHz, with timbrekit's listener, oscillator, crops and optimiser, which favour it:
what is compared is the network, its inputs and what it says of loudness.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from timbrekit.recording import read_recording
from timbrekit.tone.instrument import load_instrument
from timbrekit.tone.loss import SCALES, spectral_loss
from timbrekit.tone.measure import measure_held_out
from timbrekit.tone.pitch import HOP, RATE, Heard, hear
from timbrekit.tone.synth import NOISE_FRAME, glide, harmonics, noise, noise_window, room, white_noise
from timbrekit.tone.train import Dataset, Settings, Trained, draw_starts, part_loss, prepare, train

PARTIALS, BANDS, UNITS = 100, 65, 512
TRIED = 20  # steps, for a guess of how many fit


class Published(nn.Module):
    """From pitch and loudness to sound, with the call of :class:`timbrekit.tone.instrument.Instrument`."""

    def __init__(self, heard: Heard):
        super().__init__()
        self.mean, self.std = float(heard.loudness.mean()), float(heard.loudness.std())
        self.read = nn.Sequential(*_layer(2, UNITS), *_layer(UNITS, UNITS), *_layer(UNITS, 2 * UNITS))
        self.gru = nn.GRU(2 * UNITS, UNITS, batch_first=True)
        self.mix = nn.Sequential(*_layer(UNITS + 2, UNITS), *_layer(UNITS, UNITS))
        self.strengths = nn.Linear(UNITS, PARTIALS + 1 + BANDS)
        self.register_buffer("room_noise", torch.rand(RATE) * 2 - 1)
        self.room_decay, self.room_wet = nn.Parameter(torch.tensor(5.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, pitch: Tensor, voiced: Tensor, loudness: Tensor, white: Tensor) -> Tensor:
        hertz = 440 * torch.exp2((pitch - 69) / 12)
        told = torch.stack([hertz, (loudness - self.mean) / self.std], -1)
        remembered, _ = self.gru(self.read(told))
        made = self.strengths(self.mix(torch.cat([remembered, told], -1)))
        level, shares = _scaled(made[..., :1]), _scaled(made[..., 1 : PARTIALS + 1])
        order = torch.arange(1, PARTIALS + 1)
        shares = shares * (hertz.unsqueeze(-1) * order < RATE / 2)
        amplitudes = level * shares / shares.sum(-1, keepdim=True) * voiced.unsqueeze(-1)
        bands = _scaled(made[..., PARTIALS + 1 :] - 5)
        bins = torch.nn.functional.interpolate(bands, NOISE_FRAME // 2 + 1, mode="linear", align_corners=True)
        first = torch.cat([torch.zeros_like(amplitudes[:, :1]), amplitudes], 1)
        tone, _ = harmonics(
            torch.cat([hertz[:, :1], hertz], 1).to(torch.float64),
            first,
            torch.zeros(len(pitch), dtype=torch.float64),
            glide(PARTIALS),
        )
        hiss, _ = noise(bins, white, torch.zeros(len(pitch), HOP), noise_window())
        time_s = torch.arange(RATE) / RATE
        response = self.room_noise * torch.exp(-nn.functional.softplus(-self.room_decay) * time_s * 500)
        response = response * torch.sigmoid(self.room_wet)
        return room(tone + hiss, torch.cat([torch.ones(1), response[1:]]))

    def play(self, heard: Heard, seed: int = 0) -> Tensor:
        with torch.inference_mode():
            white = white_noise(1, len(heard), torch.Generator().manual_seed(seed))
            return self(heard.pitch[None], heard.voiced[None], heard.loudness[None], white)[0]


def train_published(data: Dataset, cpu_seconds: float) -> tuple[Published, int]:
    """Train for so long with timbrekit's crops. Returns the network and the steps it took."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    network, settings = Published(data.heard), Settings()
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    length, skipped = settings.warm_up + settings.hops, settings.warm_up * HOP
    best, best_loss, steps, began = None, math.inf, 0, time.process_time()
    while (spent := time.process_time() - began) < cpu_seconds:
        share = 0.5 + 0.5 * math.cos(math.pi * spent / cpu_seconds)
        optimiser.param_groups[0]["lr"] = 1e-3 * (0.05 + 0.95 * share)
        starts = draw_starts(data.parts["train"], length, settings.batch, draw)
        places = starts.unsqueeze(1) + torch.arange(length)
        heard = (values[places] for values in (data.heard.pitch, data.heard.voiced, data.heard.loudness))
        sound = network(*heard, white_noise(settings.batch, length, draw))
        target = torch.stack([data.samples[s * HOP + skipped : (s + length) * HOP] for s in starts.tolist()])
        chosen = torch.randperm(len(SCALES), generator=draw)[: settings.scales_a_step].tolist()
        loss = 2 * spectral_loss(sound[:, skipped:], target, tuple(SCALES[i] for i in chosen))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_norm)
        optimiser.step()
        steps += 1
        if steps % 100 == 0:
            validation = part_loss(network, data, "validation")
            print(f"  step {steps}, {spent:.0f} CPU s, loss {validation:.3f}", flush=True)
            if validation < best_loss:
                best_loss, best = validation, {k: v.clone() for k, v in network.state_dict().items()}
    if best and best_loss < part_loss(network, data, "validation"):
        network.load_state_dict(best)
    return network.eval(), steps


def train_ours(data: Dataset, cpu_seconds: float) -> Trained:
    """Train timbrekit's instrument for about so long: as many steps as fit, by the time that the first ones take."""
    began = time.process_time()
    train(data, Settings(steps=TRIED, validate_every=TRIED))
    steps = int(TRIED * cpu_seconds / (time.process_time() - began))
    return train(data, Settings(steps=max(steps, 1)))


def _layer(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.LeakyReLU()


def _scaled(x: Tensor) -> Tensor:
    return 2 * torch.sigmoid(x) ** math.log(10) + 1e-7


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--cpu-seconds", type=float, default=480)
    parser.add_argument("--model", type=Path, help="of timbrekit tone train, instead of training one here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = read_recording(options.recording).samples
    data = prepare(samples, hear(samples))
    network, steps = train_published(data, options.cpu_seconds)
    weights = sum(values.numel() for values in network.parameters())
    print(f"published: {weights} weights, {steps} steps, {measure_held_out(network, data)}", flush=True)
    if options.model:
        ours, words = load_instrument(options.model)[0], str(options.model)
    else:
        began = time.process_time()
        trained = train_ours(data, options.cpu_seconds)
        ours = trained.instrument
        words = f"{trained.history[-1].number} steps, {time.process_time() - began:.0f} CPU s with finding out how many"
    weights = sum(values.numel() for values in ours.decoder.parameters())
    print(f"timbrekit: {weights} weights, {words}, {measure_held_out(ours, data)}")


if __name__ == "__main__":
    main()
