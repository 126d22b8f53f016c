"""Shared by the tests of timbrekit.tone: an instrument that was not trained, and the one that timbrekit synthesises."""

import torch

from timbrekit.tone.instrument import Instrument, Ranges
from timbrekit.tone.sample import SCALE, note, reed

__all__ = ["SCALE", "lively_instrument", "note", "reed"]


def lively_instrument(ranges: Ranges) -> Instrument:
    """Untrained, but with a room and a sound that depends on pitch and loudness as much as a trained one's."""
    torch.manual_seed(3)
    made = Instrument(ranges).eval()
    with torch.no_grad():
        made.room_taps.copy_(0.02 * torch.randn(made.room_taps.shape))
        made.decoder.strengths.weight.mul_(10)
    return made
