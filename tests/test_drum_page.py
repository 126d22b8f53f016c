"""A drum's voice in the page: node plays what rehearsal plays."""

import json

import numpy as np
import pytest
from drum_support import drum_mapping, drum_metadata, full_drum, preset_of
from page_support import node_core
from takes import varied_strokes

from timbrekit.export.live_page import page_model
from timbrekit.export.torchdrum import write_model
from timbrekit.plugin.rehearse import rehearse
from timbrekit.recording.onsets import DetectorSettings

GROWING = {"fixed": False}


@pytest.fixture
def core(tmp_path):
    return node_core(tmp_path)


def played(core, preset, folder, rate=48_000, samples=None, **settings):
    """What the page plays of a take and what rehearsal does, and what the page says."""
    mapping = drum_mapping(preset)
    file = write_model(mapping, drum_metadata(mapping, preset), folder / "model.pt")
    samples = varied_strokes(12) if samples is None else samples
    noise = np.random.default_rng(9).uniform(-1, 1, len(samples)).astype(np.float32)
    promised = rehearse(
        file.module, samples, rate, DetectorSettings(), noise=noise, synth=preset.instrument()
    )
    task = {"task": "play", "model": json.loads(json.dumps(page_model(file.metadata))), "rate": rate}
    files = {"samples": core.write("take", samples), "noise": core.write("noise", noise)}
    (result,) = core.run({**task, **files, "configure": GROWING, "out": "live", **settings})
    return core.read("live"), promised, result


@pytest.mark.parametrize("rate", [48_000, 44_100, 96_000])
def test_a_drum_plays_in_the_page_as_in_rehearsal(core, tmp_path, rate):
    live, promised, result = played(core, preset_of(full_drum()), tmp_path, rate)
    assert len(promised.triggers) >= 10 and np.abs(promised.audio).max() > 0.05
    assert [hit["position"] for hit in result["hits"]] == promised.triggers.tolist()
    physical = np.array([hit["physical"] for hit in result["hits"]])
    np.testing.assert_allclose(physical, promised.parameters, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(live, promised.audio, atol=1e-4)
