"""The network: from pitch and loudness to the strengths of partials and noise, hop by hop, causal."""

import math

import torch
from torch import Tensor, nn

from timbrekit.tone.pitch import FLOOR, k_weighting
from timbrekit.tone.synth import BANDS, PARTIALS, band_matrix, bin_power

UNITS = 64  # of what reads pitch, and of what reads loudness
HIDDEN = 128
WIDEST_CORRECTION = math.log(2.0)  # 6 dB, by which the network may be louder or softer than asked
LEAST = 1e-7  # amplitude, before all are brought to the loudness asked for


class Decoder(nn.Module):
    """Strengths of partials and noise bands, as loud as asked.

    Pitch and loudness are read by networks of their own before a GRU joins them: fed together and in Hz, as published,
    pitch hardly counts. The network says how the sound is made up; how loud it is follows from the loudness asked for
    and the K-weighting, up to a correction of 6 dB.

    Args:
        pitch_range: lowest and highest pitch of the instrument, semitones.
        loudness_range: soft and loud playing of the instrument, LKFS.
        hidden: units of the GRU.
    """

    def __init__(
        self, pitch_range: tuple[float, float], loudness_range: tuple[float, float], hidden: int = HIDDEN
    ):
        super().__init__()
        self.pitch_range = (float(pitch_range[0]), float(pitch_range[1]))
        self.loudness_range = (float(loudness_range[0]), float(loudness_range[1]))
        self.hidden, self.partials, self.bands = hidden, PARTIALS, BANDS
        self.floor, self.least, self.widest = FLOOR, LEAST, WIDEST_CORRECTION
        self.read_pitch, self.read_loudness = _reader(), _reader()
        self.gru = nn.GRU(2 * UNITS + 1, hidden, batch_first=True)
        self.mix = nn.Sequential(
            nn.Linear(hidden + 2 * UNITS + 1, hidden), nn.LayerNorm(hidden), nn.LeakyReLU()
        )
        self.strengths = nn.Linear(hidden, PARTIALS + BANDS + 1)
        with torch.no_grad():  # a mellow tone with little noise to begin with
            self.strengths.weight.mul_(0.1)
            self.strengths.bias[:PARTIALS] = torch.linspace(1.0, -4.0, PARTIALS)
            self.strengths.bias[PARTIALS : PARTIALS + BANDS] = -4.0
            self.strengths.bias[-1] = 0.0
        self.register_buffer("spread", band_matrix(), persistent=False)
        self.register_buffer("bin_power", bin_power(), persistent=False)

    def forward(
        self, pitch: Tensor, voiced: Tensor, loudness: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode hops.

        Args:
            pitch: ``(batch, hops)`` semitones.
            voiced: ``(batch, hops)`` 0 to 1, the share of the harmonics that sounds.
            loudness: ``(batch, hops)`` LKFS.
            state: ``(1, batch, hidden)`` of the GRU; zeros to begin with.

        Returns:
            Amplitudes of partials ``(batch, hops, 64)``, magnitudes of noise bins ``(batch, hops, 257)``, state.
        """
        low, high = self.pitch_range
        soft, loud = self.loudness_range
        height = ((pitch - 0.5 * (low + high)) / (0.5 * (high - low) + 1.0)).clamp(-1.5, 1.5).unsqueeze(-1)
        force = (
            ((loudness - 0.5 * (soft + loud)) / (0.5 * (loud - soft) + 1.0)).clamp(-4.0, 2.0).unsqueeze(-1)
        )
        share = voiced.unsqueeze(-1)
        read = torch.cat([self.read_pitch(height), self.read_loudness(force), share], -1)
        gru = self.gru
        weights = [gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0]
        # As gru(read, state), without the checks that would go into TorchScript: hops are short.
        remembered, state = torch.gru(read, state, weights, True, 1, 0.0, False, False, True)
        made = self.strengths(self.mix(torch.cat([remembered, read], -1)))
        strengths = 2.0 * torch.sigmoid(made[..., :-1]).pow(math.log(10.0)) + self.least
        amplitudes = strengths[..., : self.partials]
        magnitudes = torch.matmul(strengths[..., self.partials :], self.spread)
        order = torch.arange(1, self.partials + 1, dtype=torch.float32, device=pitch.device)
        hertz = 440.0 * torch.exp2((pitch - 69.0) / 12.0).unsqueeze(-1) * order
        heard = k_weighting(hertz) * ((22_000.0 - hertz) / 2_000.0).clamp(0.0, 1.0).square()
        power = 0.5 * (amplitudes.square() * heard).sum(-1) + (magnitudes.square() * self.bin_power).sum(-1)
        asked = torch.pow(10.0, (loudness + 0.691) / 10.0) - math.pow(10.0, (self.floor + 0.691) / 10.0)
        gain = torch.sqrt(asked.clamp_min(0.0) / power) * torch.exp(self.widest * torch.tanh(made[..., -1]))
        return amplitudes * (gain.unsqueeze(-1) * share), magnitudes * gain.unsqueeze(-1), state


def _reader() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(1, UNITS), nn.LayerNorm(UNITS), nn.LeakyReLU(), nn.Linear(UNITS, UNITS), nn.LeakyReLU()
    )
