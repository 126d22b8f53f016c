"""Shared by the live page's tests: a model made of the golden vectors, and the audio core run in node."""

import atexit
import base64
import json
import shutil
import subprocess
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from timbrekit.export.live_page import DRUM_PAGE
from timbrekit.export.metadata import build_metadata
from timbrekit.export.page_file import PageKind
from timbrekit.mapping import Mapping, build_network
from timbrekit.presets import load_preset
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth.parameters import PARAMETERS

PARAMETER_TABLE = [
    {"key": p.key, "title": p.title, "unit": p.unit, "min": p.minimum, "max": p.maximum} for p in PARAMETERS
]
DETECTOR = {"on_threshold": 16.0, "off_threshold": 4.66, "hold": 1000}


def base64_floats(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def linear(weight: np.ndarray, bias: np.ndarray | None = None) -> dict[str, Any]:
    """A linear layer of the metadata's network; ``weight`` of shape (out, in)."""
    out, inputs = weight.shape
    encoded = None if bias is None else base64_floats(bias)
    return {
        "type": "linear",
        "rows": inputs,
        "cols": out,
        "weight": base64_floats(weight),
        "bias": encoded,
    }


def golden_metadata(golden: Any) -> dict[str, Any]:
    """Model metadata with the network and the preset that the golden vectors were made with."""
    patch = golden["model_patch"][0].astype(float)
    values = {p.key: p.to_physical(value) for p, value in zip(PARAMETERS, patch, strict=True)}
    return {
        "schema": 1,
        "name": "golden",
        "date": "2026-11-01",
        "sample_rate": 48_000,
        "preset": {"name": "golden", "title": "Golden patch", "values": values},
        "parameters": PARAMETER_TABLE,
        "damping": [1.0] * len(PARAMETERS),
        "network": {
            "layers": [
                linear(golden["model_model_net_0_weight"], golden["model_model_net_0_bias"]),
                {"type": "layer_norm", "eps": 1e-5},
                {"type": "relu"},
                linear(golden["model_model_net_3_weight"], golden["model_model_net_3_bias"]),
                {"type": "tanh"},
                {"type": "scale", "weight": base64_floats(golden["model_damp"][0])},
                {"type": "clamp", "min": -1, "max": 1},
            ]
        },
        "onset_features": {
            "order": ["loudness", "centroid", "flatness"],
            "units": ["dB", "semitones", "dB"],
            "minimum": [-38.0, 84.0, -32.0],
            "maximum": [-8.0, 123.0, -3.0],
        },
        "detector": dict(DETECTOR),
    }


def wide_mapping(model: str = "mlp", spread: float = 0.5) -> Mapping:
    """A mapping on snare-1 that modulates as widely as a trained one, centred on a reference hit."""
    network = build_network(model)
    generator = torch.Generator().manual_seed(7)
    for layer in network:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=spread, generator=generator)
    preset = load_preset("snare-1")
    normalized = torch.as_tensor(preset.normalized(), dtype=torch.float32)
    damping = torch.as_tensor(preset.damping_vector(), dtype=torch.float32)
    return Mapping(network, normalized, damping, centre=torch.tensor([0.4, 0.6, 0.5]))


def mapping_metadata(mapping: Mapping, settings: DetectorSettings | None = None) -> dict[str, Any]:
    """What a model file with this mapping would say of itself."""
    lowest, highest = torch.tensor([-38.0, 84.0, -32.0]), torch.tensor([-8.0, 123.0, -3.0])
    preset = load_preset("snare-1")
    return build_metadata(
        mapping, preset, 48_000, settings or DetectorSettings(), lowest, highest, name="Kitchen snare"
    )


class GoldenNetwork(torch.nn.Module):
    """The network of `golden_metadata` as a module such as the plug-in loads."""

    def __init__(self, golden: Any):
        super().__init__()
        arrays = {name: torch.from_numpy(golden[name]) for name in golden if name.startswith("model_")}
        self.hidden = torch.nn.Linear(3, 32)
        self.norm = torch.nn.LayerNorm(32, eps=1e-5, elementwise_affine=False)
        self.output = torch.nn.Linear(32, 14)
        for layer, index in ((self.hidden, 0), (self.output, 3)):
            layer.weight.data = arrays[f"model_model_net_{index}_weight"]
            layer.bias.data = arrays[f"model_model_net_{index}_bias"]
        self.register_buffer("damping", arrays["model_damp"])
        self.register_buffer("patch", arrays["model_patch"])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        modulation = torch.tanh(self.output(torch.relu(self.norm(self.hidden(features))))) * self.damping
        return torch.cat([modulation.clip(-1.0, 1.0), self.patch])


class NodeCore:
    """The audio core in node: write arrays, run tasks, read arrays back."""

    def __init__(self, folder: Path, node: str, kind: PageKind):
        self.folder = folder
        self.node = node
        (folder / "core.mjs").write_text(kind.core_source(), encoding="utf-8")

    def write(self, name: str, values: np.ndarray) -> str:
        np.asarray(values, dtype="<f4").tofile(self.folder / name)
        return name

    def read(self, name: str) -> np.ndarray:
        return np.fromfile(self.folder / name, dtype="<f4")

    def run(self, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
        process = _running(self.node)
        job = {"core": str(self.folder / "core.mjs"), "folder": str(self.folder), "tasks": tasks}
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        limit = threading.Timer(120, process.kill)
        limit.start()
        answer = process.stdout.readline()
        limit.cancel()
        assert answer, "node has ended; what it said stands above"
        return json.loads(answer)


@cache
def _running(node: str) -> "subprocess.Popen[str]":
    """One node for all tests: starting it takes longer than most of what it is asked. It ends with this process."""
    runner = Path(__file__).with_name("page_core_runner.mjs")
    process = subprocess.Popen(
        [node, str(runner)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    atexit.register(_end, process)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    process.stdin.close()
    process.wait()
    process.stdout.close()


def node_core(folder: Path, kind: PageKind | None = None) -> NodeCore:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node (nodejs.org) to run the live page's audio core outside a browser")
    return NodeCore(folder, node, kind or DRUM_PAGE)
