"""The network: from pitch and loudness to the strengths of partials and noise, hop by hop, causal."""

import math

import torch
from torch import Tensor, nn

from timbrekit.tone.pitch import FLOOR, RATE, Ranges, k_gain, k_table
from timbrekit.tone.synth import BANDS, PARTIALS, audible, band_matrix, bin_power

UNITS = 64  # of what reads pitch, and of what reads loudness
HIDDEN = 128
WIDEST_CORRECTION = math.log(2.0)  # 6 dB, by which the network may be louder or softer than asked
LEAST = 5e-8  # amplitude, before all are brought to the loudness asked for


class Decoder(nn.Module):
    """Strengths of partials and noise bands, as loud as asked.

    Pitch and loudness are read by networks of their own before a GRU joins them: fed together and in Hz, as published,
    pitch hardly counts. The network says how the sound is made up; how loud it is follows from the loudness asked for
    and the K-weighting, up to a correction of 6 dB.

    Args:
        ranges: of the instrument.
        hidden: units of the GRU.
    """

    def __init__(self, ranges: Ranges, hidden: int = HIDDEN):
        super().__init__()
        self.hidden, self.made = hidden, [PARTIALS, BANDS]
        self.least, self.widest, self.half_turn = LEAST, WIDEST_CORRECTION, math.pi / RATE
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
        low, high = torch.tensor([ranges.pitch, ranges.loudness]).T
        tables = {
            "middle": 0.5 * (low + high),
            "width": 0.5 * (high - low) + 1.0,
            "lowest": torch.tensor([-1.5, -4.0]),
            "highest": torch.tensor([1.5, 2.0]),
            "order": torch.arange(1.0, PARTIALS + 1),
            "spread": band_matrix(),
            "bin_power": bin_power(),
            "k_table": k_table().to(torch.float32)
            * torch.tensor([0.5, 1.0, 1.0]),  # a sine has half its square
            "octaves": torch.tensor([math.log2(440.0) - 69.0 / 12.0], dtype=torch.float64),
            "lkfs": torch.tensor(0.0691 * math.log(10.0)),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        self.silence = 10.0 ** ((FLOOR + 0.691) / 10.0)  # mean square

    def forward(
        self, pitch: Tensor, voiced: Tensor, loudness: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode hops.

        Args:
            pitch: ``(batch, hops)`` semitones.
            voiced: ``(batch, hops)`` 0 to 1, the share of the harmonics that sounds.
            loudness: ``(batch, hops)`` LKFS.
            state: ``(1, batch, hidden)`` of the GRU; zeros to begin with.

        Returns:
            The pitch in Hz ``(batch, hops)`` float64, amplitudes of partials ``(batch, hops, 64)``, magnitudes of noise
            bins ``(batch, hops, 257)``, state.
        """
        place = (torch.stack([pitch, loudness], -1) - self.middle) / self.width
        height, force = torch.clamp(place, self.lowest, self.highest).split(1, -1)
        share = voiced.unsqueeze(-1)
        read = torch.cat([self.read_pitch(height), self.read_loudness(force), share], -1)
        gru = self.gru
        weights = [gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0]
        # As gru(read, state), without the checks that would go into TorchScript: hops are short. A GPU gives no
        # gradient unless it is told that this is training.
        remembered, state = torch.gru(read, state, weights, True, 1, 0.0, self.training, False, True)
        made = self.strengths(self.mix(torch.cat([remembered, read], -1)))
        correction = torch.exp(self.widest * torch.tanh(made[..., -1]))
        strengths = torch.sigmoid(made[..., :-1]).pow(math.log(10.0)) + self.least
        amplitudes, bands = strengths.split(self.made, -1)
        hertz = torch.exp2(torch.add(self.octaves, pitch, alpha=1.0 / 12.0))
        partials = hertz.to(torch.float32).unsqueeze(-1) * self.order
        amplitudes = amplitudes * audible(partials)
        magnitudes = torch.matmul(bands, self.spread)
        heard = k_gain(torch.sin(partials * self.half_turn).square(), self.k_table)
        power = (amplitudes.square() * heard).sum(-1) + (magnitudes.square() * self.bin_power).sum(-1)
        asked = torch.exp(torch.add(self.lkfs, loudness, alpha=0.1 * math.log(10.0))) - self.silence
        gain = (torch.sqrt(asked.clamp_min(0.0) / power) * correction).unsqueeze(-1)
        return hertz, amplitudes * (gain * share), magnitudes * gain, state


def _reader() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(1, UNITS), nn.LayerNorm(UNITS), nn.LeakyReLU(), nn.Linear(UNITS, UNITS), nn.LeakyReLU()
    )
