"""The mel listener in the page: node hears, answers and plays as docs/listener.md has it."""

import json

import numpy as np
import pytest
from drum_support import full_drum, preset_of
from looks_golden import DETECTION, GOLDEN, signal, small_mapping
from looks_support import CLOSE, drumming, looks_mapping, looks_metadata
from page_support import node_core

from timbrekit.export.live_page import page_model
from timbrekit.mapping_looks import LooksModel
from timbrekit.plugin.rehearse_looks import rehearse_looks
from timbrekit.presets import load_preset

RATES = (48_000, 44_100, 96_000)
PRESETS = {"808": load_preset("snare-1"), "drum": preset_of(full_drum())}


@pytest.fixture
def core(tmp_path):
    return node_core(tmp_path)


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


def in_page(mapping, preset):
    """What a page would hold of the model."""
    return json.loads(json.dumps(page_model(looks_metadata(mapping, preset))))


@pytest.mark.parametrize("rate", RATES)
def test_looks_are_heard_and_answered_as_the_numbers_for_hosts_have_it(core, golden, rate):
    model = in_page(small_mapping(), load_preset("snare-1"))
    task = {"task": "looks", "model": model, "rate": rate, "detection": DETECTION}
    (result,) = core.run({**task, "samples": core.write("signal", signal(rate))})
    expected = golden["looks"][str(rate)]
    for name in ("delays", "features", "estimates", "aims", "modulation"):
        np.testing.assert_allclose(result[name], expected[name], atol=2e-5, err_msg=name)


def test_the_808_with_updates_is_that_of_the_numbers_for_hosts(core, golden):
    voice, starts = golden["voice"], golden["looks"]["48000"]["starts"]
    events = []
    for trigger, heard, sets in zip(voice["triggers"], voice["heard"], voice["parameters"], strict=True):
        kinds = ["trigger", *["update"] * (heard - 1)]
        events += [[trigger + starts[i], kind, sets[i]] for i, kind in enumerate(kinds)]
    task = {"task": "ringing", "rate": voice["rate"], "idle": voice["idle"], "seed": voice["noise_seed"]}
    core.run({**task, "events": events, "length": voice["samples"], "out": "voice"})
    np.testing.assert_allclose(core.read("voice")[:: voice["every"]], voice["audio"], atol=1e-6)


def flux(audio):
    """Rise of the magnitudes from frame to frame, as in test_updates."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, (512, 0)), 512)[::128] * np.hanning(512)
    return np.maximum(np.diff(np.abs(np.fft.rfft(frames)), axis=0), 0).sum(1)


@pytest.mark.parametrize("preset", list(PRESETS.values()), ids=list(PRESETS))
def test_no_late_update_clicks(core, preset):
    """Over random jumps of all parameters: never more flux than the strokes themselves have that it passes between."""
    at = 4032
    random, rows = np.random.default_rng(5), 12
    low, high = np.array([(p.minimum, p.maximum) for p in preset.parameters]).T
    sets = preset.physical() + 0.3 * (high - low) * random.uniform(-1, 1, (rows, 2, len(low)))
    sets = np.clip(sets, low, high).tolist()
    task = {"task": "ringing", "synth": preset.synth, "drum": preset.drum, "rate": 48_000, "length": 8000}
    task |= {"idle": preset.physical().tolist(), "seed": 7}
    tasks = []
    for row, (a, b) in enumerate(sets):
        plans = {"a": [[0, "trigger", a]], "b": [[0, "trigger", b]]}
        plans["both"] = [[0, "trigger", a], [at, "update", b]]
        tasks += [{**task, "events": events, "out": f"{name}{row}"} for name, events in plans.items()]
    assert not any("error" in result for result in core.run(*tasks))
    around = slice(at // 128, (at + 512 + 512) // 128 + 1)
    for row in range(rows):
        one, other, both = (flux(core.read(f"{name}{row}")) for name in ("a", "b", "both"))
        assert 0 < both[around].max() < max(one.max(), other.max()), row


def test_a_hit_that_is_told_is_a_hit_of_the_take_as_loud_as_asked_for(core):
    model = in_page(looks_mapping(PRESETS["808"]), PRESETS["808"])
    task = {
        "task": "looks",
        "model": model,
        "rate": 48_000,
        "detection": 9,
        "samples": core.write("x", np.zeros(9)),
    }
    asked = [[loudness, 0.3, 0.6] for loudness in (0.2, 0.5, 0.9)]
    (result,) = core.run({**task, "tell": asked})
    told = np.array(result["told"])
    parts = 10 * np.log10((10 ** (told[:, 28:32] / 10)).mean(1))  # of the second look
    steps = np.diff(parts) / np.diff([0.2, 0.5, 0.9])
    assert steps[0] == pytest.approx(steps[1], rel=1e-3) and steps[0] > 3


def played(core, preset, rate, block=None):
    mapping = looks_mapping(preset)
    samples = drumming(rate)
    noise = np.random.default_rng(9).uniform(-1, 1, len(samples)).astype(np.float32)
    promised = rehearse_looks(
        LooksModel(mapping).eval(), samples, rate, CLOSE, noise=noise, synth=preset.instrument()
    )
    files = {"samples": core.write("take", samples), "noise": core.write("noise", noise)}
    task = {"task": "play", "model": in_page(mapping, preset), "rate": rate, "out": "live", "block": block}
    (result,) = core.run({**task, **files, "configure": vars(CLOSE)})
    return core.read("live"), promised, result


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("preset", list(PRESETS.values()), ids=list(PRESETS))
def test_the_page_plays_and_corrects_as_rehearsal_does(core, preset, rate):
    live, promised, result = played(core, preset, rate)
    assert len(promised.triggers) > 20 and set(promised.looks) >= {2, 3, 4, 5}
    assert np.abs(promised.audio).max() > 0.05
    assert [hit["position"] for hit in result["hits"]] == promised.triggers.tolist()
    assert len(result["updates"]) == (promised.looks - 1).sum()
    np.testing.assert_allclose(live, promised.audio, atol=1e-4)


@pytest.mark.parametrize("block", [1, 128, 1000])
def test_the_block_size_changes_nothing(core, block):
    whole, _, _ = played(core, load_preset("snare-1"), 48_000)
    blocks, _, _ = played(core, load_preset("snare-1"), 48_000, block)
    np.testing.assert_array_equal(blocks, whole)
