"""``python -m tests.by_hand.full_disk``: every kind of file is written to a disk that is really full.

A small file system is mounted (needs Linux and root) and filled up to the last bytes, with an older version of each
file on it. Writing has to end in one clear line, with the older version untouched and nothing else left behind.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import model_files
import numpy as np
import pandas as pd
import torch

from timbrekit.errors import OutputError
from timbrekit.experiment.results import write_csv
from timbrekit.export.flucoma import write_flucoma
from timbrekit.export.live_page import build_page
from timbrekit.export.nn_tilde.write import write_nn_tilde
from timbrekit.export.torchdrum import write_model
from timbrekit.files import write_json
from timbrekit.presets import load_preset, save_preset
from timbrekit.recording import write_wav
from timbrekit.session import Session
from timbrekit.training.checkpoint import save_checkpoint

DISK_BYTES = 32 << 20
GOOD = ("kept, and said so", "written, as it fitted")
SPARE_BYTES = (0, 4096, 8192)  # left free: some writes fail at once, some half way


def main() -> int:
    faults = 0
    print("| what is written | with 0, 4 and 8 KiB free |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        writers = make_writers(Path(folder))
        for what, write in writers.items():
            verdicts = []
            for spare in SPARE_BYTES:
                with small_disk(Path(folder) / "disk") as disk:
                    write(disk, 0)
                    verdicts.append(try_on_full(disk, lambda disk=disk, write=write: write(disk, 1), spare))
            faults += sum(verdict not in GOOD for verdict in verdicts)
            print(f"| {what} | {'; '.join(dict.fromkeys(verdicts))} |", flush=True)
    return 1 if faults else 0


@contextmanager
def small_disk(folder: Path):
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def try_on_full(disk: Path, write: Callable[[], object], spare: int) -> str:
    """What happens when it is written again with so many bytes free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(file.tell() - spare)
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    try:
        write()
    except OutputError as error:
        verdict = (
            "kept, and said so" if "space" in str(error) or "room" in str(error) else f"unclear: {error}"
        )
    except Exception as error:
        verdict = f"{type(error).__name__}: {error}"
    else:
        return GOOD[1] if spare else "no word of a full disk"
    after = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    return verdict if after == before else "the disk holds something else than before"


def make_writers(folder: Path) -> dict[str, Callable[[Path, int], object]]:
    """By what is written: ``write(disk, version)``."""
    mappings = [model_files.trained_mapping("mlp-plain", seed) for seed in (0, 1)]
    models = [
        write_model(mapping, model_files.metadata_of(mapping), folder / f"{number}.pt")
        for number, mapping in enumerate(mappings)
    ]
    facts = [model.metadata for model in models]
    sounds = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 48_000))
    lines = [pd.DataFrame([{"drum": "x" * 5000, "number": number}] * 10) for number in (0, 1)]
    states = [{"weights": torch.full((50_000,), float(number))} for number in (0, 1)]
    presets = [load_preset("snare-1"), load_preset("kick")]

    def keep_in_session(disk: Path, version: int) -> None:
        session = Session.open(disk / "session")
        session.keep_recording("take.wav", bytes([version]) * 100_000)

    def keep_choice(disk: Path, version: int) -> None:
        long = {f"parameter {number}": version for number in range(2000)}
        Session.open(disk / "session").keep_preset({"name": f"preset {version}", "values": long})

    return {
        "a model for the plug-in": lambda disk, v: write_model(mappings[v], facts[v], disk / "model.pt"),
        "a page": lambda disk, v: build_page(facts[v], disk / "play.html"),
        "a model for nn~": lambda disk, v: write_nn_tilde(models[v], disk / "drum.ts"),
        "a model for FluCoMa": lambda disk, v: write_flucoma(models[v], disk / "drum.json"),
        "sound": lambda disk, v: write_wav(disk / "sound.wav", sounds[v], 48_000),
        "JSON": lambda disk, v: write_json(disk / "report.json", [v] * 5000),
        "a preset": lambda disk, v: save_preset(presets[v], disk / "mine.json"),
        "a table of results": lambda disk, v: write_csv(disk / "results.csv", lines[v]),
        "a checkpoint": lambda disk, v: save_checkpoint(disk / "unfinished.pt", "print", states[v]),
        "a recording in a session": keep_in_session,
        "a choice in a session": keep_choice,
    }


if __name__ == "__main__":
    if sys.platform != "linux":
        raise SystemExit("Mounting a small file system needs Linux.")
    raise SystemExit(main())
