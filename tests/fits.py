"""Fits of small networks, to be run on any device."""

import torch
from torch import Tensor, nn

from timbrekit.training.fast.small_network import Fit, SmallNetwork


def fits(device: str, count: int) -> list[tuple[Fit, list[Tensor]]]:
    """Fits that differ, and sixty batches for each."""
    made = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        network = nn.Sequential(nn.Linear(15, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 7))
        for values in network.parameters():
            nn.init.normal_(values, std=0.2, generator=generator)
        small = SmallNetwork(network.to(device))

        def backward(rows, wanted, small=small):
            small.backward((small(rows) - wanted) / len(rows), to_inputs=False)

        rows = torch.randn(60, 256, 15, generator=generator)
        made.append((Fit(small, backward, 3e-3), [rows.to(device), rows[..., :7].sin().to(device)]))
    return made
