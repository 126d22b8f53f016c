"""The live page as a file: self-contained, safe, small, written whole or not at all."""

import copy
import json
import re

import numpy as np
import pytest
from page_support import PARAMETER_TABLE, base64_floats, linear

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.live_page import MAXIMUM_BYTES, build_page, render_page
from timbrekit.presets import load_preset


@pytest.fixture
def metadata():
    preset = load_preset("snare-1")
    random = np.random.default_rng(1)
    return {
        "schema": 1,
        "name": "my snare",
        "date": "2026-11-01",
        "sample_rate": 48_000,
        "preset": {"name": preset.name, "title": preset.title, "values": dict(preset.values)},
        "parameters": PARAMETER_TABLE,
        "network": {"layers": [linear(random.normal(size=(14, 3))), {"type": "clamp", "min": -1, "max": 1}]},
        "onset_features": {
            "order": ["loudness", "centroid", "flatness"],
            "units": ["dB", "semitones", "dB"],
            "minimum": [-40.0, 80.0, -30.0],
            "maximum": [-6.0, 120.0, -3.0],
        },
        "detector": {"on_threshold": 16.0, "off_threshold": 4.66, "hold": 1000},
        "provenance": {"recording": "private name.wav"},
    }


def embedded_model(page):
    return json.loads(re.search(r'<script type="application/json" id="model">(.*?)</script>', page, re.S)[1])


def test_a_page_is_one_small_file_that_names_no_other(metadata, tmp_path):
    out = build_page(metadata, tmp_path / "deep" / "play.html")
    page = out.read_text(encoding="utf-8")
    assert out.stat().st_size < MAXIMUM_BYTES == 200_000
    assert "@@" not in page
    addresses = set(re.findall(r"\b(?:https?|wss?|ftp)://[^\"'\s)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name of a vocabulary, never fetched
    assert re.findall(r"<(?:script|link|img|iframe|audio)[^>]*\b(?:src|href)=\"(?!data:)", page) == []
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|sendBeacon|importScripts|eval)\b", page)
    assert not re.search(r"@import|url\(", page)


def test_a_page_holds_what_it_plays_and_nothing_private(metadata):
    page = render_page(metadata)
    model = embedded_model(page)
    assert model["preset"] == metadata["preset"]
    assert model["network"] == metadata["network"]
    assert "provenance" not in model
    assert "private name.wav" not in page


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", "<!--<script>", 'a "b" & <i>', "@@page@@"]
)
def test_a_name_cannot_break_out_of_its_place(metadata, name):
    metadata["name"] = name
    page = render_page(metadata)
    plain = render_page({**metadata, "name": "plain"})
    assert embedded_model(page)["name"] == name
    assert page.count("<script") == plain.count("<script")
    assert page.count("</script") == plain.count("</script")
    assert page.count("<!--") == plain.count("<!--")


def test_the_largest_mapping_fits(metadata):
    random = np.random.default_rng(2)
    shapes = [(64, 3), (64, 64), (64, 64), (14, 64)]
    metadata["network"]["layers"] = [linear(random.normal(size=s), random.normal(size=s[0])) for s in shapes]
    assert len(render_page(metadata)) < MAXIMUM_BYTES


def test_a_network_too_large_for_a_page_is_refused(metadata, tmp_path):
    metadata["network"]["layers"].append(linear(np.zeros((200, 200))))
    with pytest.raises(OutputError, match="limit is 200000"):
        build_page(metadata, tmp_path / "play.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["name", "network", "detector", "onset_features"])
def test_metadata_without_what_the_page_needs_is_refused_by_name(metadata, tmp_path, key):
    del metadata[key]
    with pytest.raises(ModelFileError, match=key):
        build_page(metadata, tmp_path / "play.html")


@pytest.mark.parametrize(
    "damage",
    [
        {"detector": [1]}, {"detector": {}}, {"preset": None}, {"parameters": "x"}, {"sample_rate": 0},
        {"schema": 2, "listener": "mel"}, {"schema": 2, "listener": "mel", "looks": None},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_metadata_are_refused_in_words(metadata, tmp_path, damage):
    with pytest.raises(ModelFileError, match="cannot be written into a page"):
        build_page({**metadata, **damage}, tmp_path / "play.html")
    assert list(tmp_path.iterdir()) == []


def test_a_preset_with_a_hole_is_refused(metadata):
    del metadata["preset"]["values"]["tanh.in_gain"]
    with pytest.raises(ModelFileError, match=r"tanh\.in_gain"):
        render_page(metadata)


def test_numbers_that_would_silence_the_instrument_are_refused(metadata):
    broken = copy.deepcopy(metadata)
    broken["network"]["layers"][0]["weight"] = base64_floats(np.full((14, 3), np.nan))
    with pytest.raises(ModelFileError, match="linear layer holds a weight"):
        render_page(broken)
    broken = copy.deepcopy(metadata)
    broken["onset_features"]["maximum"][1] = float("inf")
    with pytest.raises(ModelFileError, match="cannot be written into a page"):
        render_page(broken)


def test_a_failed_build_leaves_the_page_that_was_there(metadata, tmp_path):
    out = build_page(metadata, tmp_path / "play.html")
    before = out.read_bytes()
    with pytest.raises(ModelFileError):
        build_page({"name": "nothing else"}, out)
    assert out.read_bytes() == before
    with pytest.raises(OutputError, match="Cannot write"):
        build_page(metadata, out / "play.html")  # a file stands where a folder is needed
    assert [path.name for path in tmp_path.iterdir()] == ["play.html"]
