"""The page of a model with the mel listener, in a browser."""

import numpy as np
import pytest
from browser_support import assert_pads_and_file_play, render_in_page, until
from drum_support import full_drum, preset_of
from looks_support import looks_mapping, looks_metadata

from timbrekit.export.live_page import build_page
from timbrekit.export.looks_model import write_looks_model
from timbrekit.plugin.rehearse_looks import rehearse_looks
from timbrekit.presets import load_preset

PRESETS = {"808": load_preset("snare-1"), "drum": preset_of(full_drum())}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model file of each, with its page beside it."""
    folder, files = tmp_path_factory.mktemp("looks"), {}
    for name, preset in PRESETS.items():
        mapping = looks_mapping(preset, spread=0.2)
        file = write_looks_model(mapping, looks_metadata(mapping, preset), folder / f"{name}.pt")
        build_page(file.metadata, folder / f"{name}.html")
        files[name] = file
    return files


@pytest.mark.parametrize("name", list(PRESETS))
def test_the_audio_thread_plays_and_corrects_as_rehearsal_does(visit, take, models, name):
    page = visit(models[name].path.with_suffix(".html").as_uri())
    samples = take.astype(np.float32) / 32768
    silent = np.zeros(len(samples), np.float32)
    synth = PRESETS[name].instrument()
    for rate in (48_000, 44_100):
        promised = rehearse_looks(models[name].module, samples, rate, noise=silent, synth=synth)
        found, audio = render_in_page(page, take, rate, len(promised.triggers))
        assert found == promised.triggers.tolist() and len(found) > 8
        assert np.abs(promised.audio).max() > 0.02
        np.testing.assert_allclose(audio, promised.audio, atol=1e-4)
    assert page.complaints == []


def test_the_page_plays_and_says_when_it_looks(visit, site, models):
    page = visit(models["808"].path.with_suffix(".html").as_uri())
    assert_pads_and_file_play(page, site)
    until(page, "document.getElementById('count').textContent.includes('looks')")
    assert "corrects what rings 4, 15, 31 and 84 ms later" in page.inner_text("#ranges-help")
    assert "65 samples" in page.inner_text("#latency")
    assert not page.locator("#ranges-choice").is_visible()
    assert page.complaints == []


def test_one_that_looks_opened_on_the_page_of_an_808_plays_beside_it(visit, address, site, models):
    page = visit(address["file"])
    page.set_input_files("#open-instrument", models["drum"].path)
    until(page, "document.querySelectorAll('.knob').length === 16")
    assert_pads_and_file_play(page, site)
    page.evaluate("timbrekit.hits.length = 0; timbrekit.receiveMidi([0x99, 38, 100])")
    until(page, "timbrekit.hits.length === 1 && timbrekit.hits[0].told")
    page.keyboard.press("1")
    assert page.locator("#ranges-choice").is_visible()
    assert_pads_and_file_play(page, site)
    assert page.complaints == []
