"""A drum's voice in the page: node plays what rehearsal plays."""

import json

import numpy as np
import pytest
from drum_support import drum_mapping, drum_metadata, full_drum, preset_of, small_drum, update_rows
from page_support import node_core
from takes import varied_strokes

from timbrekit.export.live_page import page_model
from timbrekit.export.torchdrum import write_model
from timbrekit.plugin.rehearse import rehearse
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth.drum_blend import blend_drums

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


DRUMS = {"one": full_drum, "blend": lambda: blend_drums(small_drum(), full_drum())}


@pytest.mark.parametrize(
    ("drum", "rate"),
    [("one", 48_000), ("one", 44_100), ("one", 96_000), ("blend", 48_000), ("blend", 44_100)],
)
def test_a_drum_plays_in_the_page_as_in_rehearsal(core, tmp_path, drum, rate):
    live, promised, result = played(core, preset_of(DRUMS[drum]()), tmp_path, rate)
    assert len(promised.triggers) >= 10 and np.abs(promised.audio).max() > 0.05
    assert [hit["position"] for hit in result["hits"]] == promised.triggers.tolist()
    physical = np.array([hit["physical"] for hit in result["hits"]])
    np.testing.assert_allclose(physical, promised.parameters, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(live, promised.audio, atol=1e-4)


@pytest.mark.parametrize(("drum", "rate"), [("one", 48_000), ("blend", 96_000)])
def test_updates_while_it_rings_are_those_of_rehearsal(core, drum, rate):
    preset = preset_of(DRUMS[drum]())
    synth, rows = preset.instrument(), update_rows(preset)
    triggers, starts, length = np.array([100, 30_000]), [0, 400, 2000], 60_000
    expected = synth.stream_updates(rows, [3, 3], triggers, starts, length, rate, noise=np.full(length, 0.3))
    events = [
        [int(trigger) + start, "update" if start else "trigger", 3 * hit + number]
        for hit, trigger in enumerate(triggers)
        for number, start in enumerate(starts)
    ]
    task = {"task": "voice", "rate": rate, "drum": dict(preset.drum), "events": events, "length": length}
    values = rows.reshape(6, -1).tolist()
    (result,) = core.run({**task, "values": values, "start": 0.3, "out": "updated"})
    assert "error" not in result and np.abs(expected).max() > 0.05
    np.testing.assert_allclose(core.read("updated"), expected, atol=1e-4)
