"""The zip holds what a player needs, whole or not at all."""

import html
import json
import zipfile
from io import BytesIO

import numpy as np
import pytest
import soundfile
import torch
from looks_support import looks_mapping, looks_metadata
from matplotlib.image import imread

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.check import check_model
from timbrekit.export.looks_model import write_looks_model
from timbrekit.export.metadata import build_metadata
from timbrekit.export.torchdrum import write_model
from timbrekit.mapping import Mapping, build_network
from timbrekit.presets import load_preset, parse_preset
from timbrekit.recording import write_wav
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.results.bundle import PREVIEW_SECONDS, bundle_contents, write_bundle

RATE = 48_000
NAME, STEM = 'My "2/4" snare 🥁', "My _2-4_ snare 🥁"  # for people, and where files are


@pytest.fixture
def trained_folder(tmp_path):
    """What training leaves, with an untrained network."""
    folder = tmp_path / "my model"
    folder.mkdir()
    preset = load_preset("snare-2")
    mapping = Mapping(
        build_network("mlp"), torch.from_numpy(preset.normalized()), torch.from_numpy(preset.damping_vector())
    )
    mapping = mapping.eval().requires_grad_(False)
    ranges = torch.tensor([-60.0, 50, -60]), torch.tensor([-10.0, 110, 0])
    metadata = build_metadata(mapping, preset, RATE, DetectorSettings(), *ranges, NAME)
    write_model(mapping, metadata, folder / "model.pt")
    (folder / "card.txt").write_text("card\n", encoding="utf-8")
    report = {
        "name": NAME,
        "detector": {"on_threshold": 16.0, "off_threshold": 4.66, "hold": 1000},
        "seed": 0,
    }
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (folder / "report.png").write_bytes(b"\x89PNG")
    write_wav(folder / "primer.wav", np.full(RATE, 0.1), RATE)
    write_wav(folder / "rehearsal.wav", np.full(20 * RATE, 0.25), RATE)
    return folder


@pytest.mark.usefixtures("forked_guard")
def test_the_zip_of_a_model_with_the_mel_listener_has_page_and_nn_and_says_why_torchdrum_has_none(
    trained_folder,
):
    preset = load_preset("snare-2")
    mapping = looks_mapping(preset)
    write_looks_model(mapping, looks_metadata(mapping, preset), trained_folder / "model.pt")
    report = json.loads((trained_folder / "report.json").read_text())
    (trained_folder / "report.json").write_text(json.dumps(report | {"listener": "mel"}))
    with zipfile.ZipFile(write_bundle(trained_folder, preset)) as archive:
        names, page = archive.namelist(), archive.read(f"{STEM}.html").decode()
        played = torch.jit.load(BytesIO(archive.read(f"{STEM}.ts")))
    contents = bundle_contents(STEM, listener="mel")
    assert sorted(names) == sorted(contents) and "TorchDrum cannot play it" in contents[f"{STEM}.pt"]
    assert "card.png" not in names and f"{STEM} primer.wav" not in names
    assert '"listener":"mel"' in page and "forward" in played.get_methods()


def test_the_zip_holds_everything_and_each_part_works(trained_folder, tmp_path):
    path = write_bundle(trained_folder, load_preset("snare-2"))
    assert path == trained_folder / f"{STEM}.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(bundle_contents(STEM))
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
        assert modes["preset.json"] == 0o644  # not for its owner alone, as zipfile would have it
        archive.extract(f"{STEM}.pt", tmp_path / "out")
        preset = parse_preset(json.loads(archive.read("preset.json")), "preset.json", "snare-2")
        preview, rate = soundfile.read(BytesIO(archive.read(f"{STEM} preview.wav")))
        page = archive.read(f"{STEM}.html").decode()
        panel = imread(BytesIO(archive.read("card.png")))
    assert check_model(tmp_path / "out" / f"{STEM}.pt").ready
    assert preset == load_preset("snare-2")
    assert (len(preview) / rate, rate) == (PREVIEW_SECONDS, RATE)
    assert preview[0] == pytest.approx(0.25) and preview[-1] == 0
    assert page.lstrip().lower().startswith("<!doctype html")
    assert f"<title>{html.escape(NAME)}" in page and panel.shape[1] > 900


@pytest.mark.parametrize("missing", ["model.pt", "report.json", "card.txt", "primer.wav", "rehearsal.wav"])
def test_without_a_part_there_is_no_zip_and_the_part_is_named(trained_folder, missing):
    (trained_folder / missing).unlink()
    with pytest.raises(ModelFileError, match=missing):
        write_bundle(trained_folder, load_preset("snare-2"))
    assert not list(trained_folder.glob("*.zip"))


def test_a_failure_leaves_the_earlier_zip_untouched(trained_folder, monkeypatch):
    path = trained_folder / f"{STEM}.zip"
    path.write_bytes(b"earlier")

    def disk_full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", disk_full)
    with pytest.raises(OutputError, match="No space left"):
        write_bundle(trained_folder, load_preset("snare-2"))
    assert path.read_bytes() == b"earlier"
    assert not [file for file in trained_folder.iterdir() if file.name.startswith(".")]
