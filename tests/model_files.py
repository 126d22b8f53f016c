"""Model files to test with: ours, other people's, broken and hostile ones."""

import io
import os
import warnings
import zipfile

import torch
from torch import nn

from timbrekit.export.metadata import build_metadata
from timbrekit.mapping import Mapping, build_network
from timbrekit.presets import load_preset
from timbrekit.recording.onsets import DetectorSettings

PROBES = torch.cartesian_prod(*[torch.linspace(0, 1, 5)] * 3)


def trained_mapping(model="mlp", seed=0, centred=False):
    """A mapping whose weights are as large as those of a trained one."""
    network = build_network(model, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator) * 0.4)
    preset = load_preset("snare-1")
    return Mapping(
        network,
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
        torch.tensor([0.6, 0.3, 0.8]) if centred else None,
    ).eval()


def metadata_of(mapping, date="2026-01-02T03:04:05+00:00"):
    minimum, maximum = torch.tensor([-40.0, 60.0, -50.0]), torch.tensor([-6.0, 110.0, -3.0])
    preset = load_preset("snare-1")
    metadata = build_metadata(
        mapping, preset, 48_000, DetectorSettings(), minimum, maximum, training={"seed": 0, "hits": 171}
    )
    return {**metadata, "date": date}


class Published(nn.Module):
    """As the published training code would write it: scripted, not frozen, gradients on."""

    def __init__(self, *middle):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, 32),
            nn.LayerNorm(32, elementwise_affine=False),
            nn.ReLU(),
            *middle,
            nn.Linear(32, 14),
        )
        self.register_buffer("damp", torch.linspace(0, 1, 14))
        self.register_buffer("patch", torch.linspace(0.1, 0.9, 14)[None])

    def forward(self, features):
        modulation = torch.clip(torch.tanh(self.net(features)) * self.damp, -1.0, 1.0)
        return torch.cat([modulation, self.patch], dim=0)


class Answer(nn.Module):
    """Two rows of 14 that a subclass spoils."""

    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.linspace(0, 1, 28).reshape(2, 14))

    def forward(self, features):
        return self.rows + features.sum() * 0


class Wide(Answer):
    def forward(self, features):
        return torch.cat([self.rows, self.rows], dim=1)


class ThreeDimensional(Answer):
    def forward(self, features):
        return self.rows[None]


class Pair(Answer):
    def forward(self, features):
        return self.rows[:1], self.rows[1:]


class Double(Answer):
    def forward(self, features):
        return self.rows.double()


class InfiniteAtZero(Answer):
    def forward(self, features):
        return self.rows + torch.log(features[0, 0])


class TwoInputs(Answer):
    def forward(self, features, more):
        return self.rows + features.sum() + more.sum()


class FourFeatures(Answer):
    def forward(self, features):
        return self.rows + features[:, 3]


class Random(Answer):
    def forward(self, features):
        return self.rows + torch.rand(2, 14)


class RmsNorm(Answer):
    def forward(self, features):
        return torch.rms_norm(self.rows, [14])


class Loop(Answer):
    def forward(self, features):
        rows = self.rows
        while bool(rows.sum() < 1e9):
            rows = rows + 1
        return rows


class Print(Answer):
    def forward(self, features):
        print("hello")
        return self.rows


class ReadFile(Answer):
    def forward(self, features):
        return self.rows + torch.from_file("/etc/hostname", False, 28, dtype=torch.float32).reshape(2, 14)


class SaveFile(Answer):
    def forward(self, features):
        torch.save(self.rows, "stolen.pt")
        return self.rows


class OnLoad(Answer):
    """Runs code of its own when it is loaded."""

    @torch.jit.export
    def __getstate__(self):
        return self.rows, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.rows = state[0] + 1
        self.training = state[1]


class Long(Answer):
    """A few lines, more than a thousand operations."""

    def ten(self, rows):
        return rows.tanh().tanh().tanh().tanh().tanh().tanh().tanh().tanh().tanh().tanh()

    def hundred(self, rows):
        ten = self.ten(self.ten(self.ten(self.ten(self.ten(rows)))))
        return self.ten(self.ten(self.ten(self.ten(self.ten(ten)))))

    def forward(self, features):
        rows = self.hundred(self.hundred(self.hundred(self.hundred(self.hundred(self.rows)))))
        return self.hundred(self.hundred(self.hundred(self.hundred(self.hundred(rows)))))


class NoForward(nn.Module):
    @torch.jit.export
    def backward_only(self, features):
        return features


class Malicious:
    """Pickled, it writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def scripted(module):
    """TorchScript bytes, as ``torch.jit.save`` writes them."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def rezipped(content, change, compression=zipfile.ZIP_STORED):
    """The archive with ``change(name, data) -> (name, data) | None`` applied to each part."""
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(output, "w", compression) as target:
        for item in source.infolist():
            changed = change(item.filename, source.read(item))
            if changed:
                target.writestr(*changed)
    return output.getvalue()
