"""The page of a model that plays the user's own drum, in a browser."""

import numpy as np
import pytest
from browser_support import assert_pads_and_file_play, render_in_page, until
from drum_support import drum_mapping, drum_metadata, full_drum, preset_of

from timbrekit.export.live_page import build_page
from timbrekit.export.torchdrum import write_model
from timbrekit.plugin.rehearse import rehearse


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file of a full drum, with its page beside it."""
    preset = preset_of(full_drum())
    mapping = drum_mapping(preset, 0.2)
    folder = tmp_path_factory.mktemp("drum")
    file = write_model(mapping, drum_metadata(mapping, preset), folder / "model.pt")
    build_page(file.metadata, folder / "drum.html")
    return file


def test_the_audio_thread_plays_a_drum_as_rehearsal_does(visit, take, model):
    page = visit((model.path.parent / "drum.html").as_uri())
    samples = take.astype(np.float32) / 32768
    silent = np.zeros(len(samples), np.float32)
    synth = preset_of(full_drum()).instrument()
    for rate in (48_000, 44_100):
        promised = rehearse(model.module, samples, rate, noise=silent, synth=synth)
        found, audio = render_in_page(page, take, rate, len(promised.triggers))
        assert found == promised.triggers.tolist() and len(found) > 8
        assert np.abs(promised.audio).max() > 0.05
        np.testing.assert_allclose(audio, promised.audio, atol=1e-4)
    assert page.complaints == []


def test_the_page_of_a_drum_plays_and_shows_every_knob(visit, site, model):
    page = visit((model.path.parent / "drum.html").as_uri())
    assert_pads_and_file_play(page, site)
    assert page.locator(".knob").count() == 16
    assert page.complaints == []


def test_a_drum_opened_on_the_page_of_an_808_plays_beside_it(visit, address, site, model):
    page = visit(address["file"])
    assert page.locator(".knob").count() == 14
    page.set_input_files("#open-instrument", model.path)
    until(page, "document.querySelectorAll('.knob').length === 16")
    assert_pads_and_file_play(page, site)
    assert page.locator("#name").inner_text() == "Kitchen drum"
    assert page.complaints == []
