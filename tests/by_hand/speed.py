"""``python -m tests.by_hand.speed [RECORDING]``: how long listening and playing take, apart from training.

Prints a table: the best of five runs, one thread, after machine code has been compiled. ``python -m tests.benchmarks``
times training.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from timbrekit import SAMPLE_RATE
from timbrekit.export.metadata import build_metadata
from timbrekit.export.nn_tilde.write import write_nn_tilde
from timbrekit.export.torchdrum import write_model
from timbrekit.mapping import Mapping, build_network
from timbrekit.plugin.rehearse import rehearse
from timbrekit.presets import load_preset
from timbrekit.recording import read_recording
from timbrekit.recording.onsets import DetectorSettings, detect
from timbrekit.recording.suggest import suggest_settings
from timbrekit.synth.snare808_stream import play
from timbrekit.training.settings import Settings

SAMPLE = Path(__file__).resolve().parents[2] / "sample_audio" / "snare_minute.flac"
RUNS = 5
BLOCK = 256


def main(recording: str) -> None:
    torch.set_num_threads(1)
    samples = read_recording(recording, SAMPLE_RATE).samples
    preset, settings = load_preset("snare-1"), DetectorSettings()
    mapping = Mapping(
        build_network(Settings.model, 0),
        torch.from_numpy(preset.normalized()),
        torch.from_numpy(preset.damping_vector()),
    ).eval()
    ranges = torch.tensor([-60.0, 60.0, -40.0]), torch.tensor([0.0, 120.0, 0.0])
    about = build_metadata(mapping, preset, SAMPLE_RATE, settings, *ranges)
    fading = samples.copy()
    fading[len(fading) // 2 :] = 0  # a filter dying away into digital silence must not crawl
    triggers = detect(samples, SAMPLE_RATE, settings).triggers
    print(
        f"{len(samples) / SAMPLE_RATE:.1f} s of recording, {len(triggers)} hits\n\n| what | time |\n|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(mapping, about, Path(folder) / "model.pt")
        write_nn_tilde(model, Path(folder) / "model.ts")
        tell("finding the hits", lambda: detect(samples, SAMPLE_RATE, settings))
        tell("the same, the second half silent", lambda: detect(fading, SAMPLE_RATE, settings))
        tell("suggesting detector settings", lambda: suggest_settings(samples, SAMPLE_RATE))
        tell(
            "playing a preset at each hit",
            lambda: play(preset.normalized(), triggers, len(samples), SAMPLE_RATE),
        )
        tell("rehearsing a model on it", lambda: rehearse(model.module, samples, SAMPLE_RATE))
        blocks = _block_seconds(Path(folder) / "model.ts", samples)
    lasts = f"{BLOCK} samples in nn~ ({1000 * BLOCK / SAMPLE_RATE:.1f} ms)"
    print(f"| a block of {lasts}, median | {1000 * np.median(blocks):.2f} ms |")
    print(f"| … the longest of {len(blocks)} | {1000 * blocks.max():.2f} ms |")


def tell(what: str, done: Callable[[], object]) -> None:
    done()  # compiles
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        done()
        times.append(time.perf_counter() - began)
    print(f"| {what} | {min(times):.3f} s |", flush=True)


def _block_seconds(path: Path, samples: np.ndarray) -> np.ndarray:
    """Of each block, the shortest of five passes over ten seconds: only computing."""
    passes = []
    for _ in range(RUNS):
        module, times = torch.jit.load(str(path)), []
        with torch.inference_mode():
            for start in range(0, 10 * SAMPLE_RATE, BLOCK):
                block = torch.from_numpy(samples[start : start + BLOCK])[None, None]
                began = time.perf_counter()
                module.forward(block)
                times.append(time.perf_counter() - began)
        passes.append(times)
    return np.min(passes, axis=0)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(SAMPLE))
