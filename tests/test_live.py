"""The live page inside a notebook."""

import re
from html import unescape

import pytest
from model_files import metadata_of, trained_mapping

from timbrekit.errors import ModelFileError
from timbrekit.export.live_page import render_page
from timbrekit.export.torchdrum import write_model

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")
from timbrekit.notebook.live import PagePanel, page_in_frame


@pytest.fixture
def model(tmp_path):
    mapping = trained_mapping()
    return write_model(mapping, metadata_of(mapping), tmp_path / "model.pt").path


def test_the_frame_holds_the_whole_page_and_may_use_the_microphone(model):
    frame = page_in_frame(model)
    assert 'allow="microphone' in frame and "sandbox" not in frame
    content = unescape(re.search(r'srcdoc="([^"]*)"', frame).group(1))
    mapping = trained_mapping()
    assert content == render_page(metadata_of(mapping))


@pytest.mark.parametrize(
    ("colab", "words"), [(False, "allow the microphone"), (True, "Colab does not always")]
)
def test_the_words_say_how_live_it_can_be_played(model, monkeypatch, colab, words):
    monkeypatch.setattr("timbrekit.notebook.live.in_colab", lambda: colab)
    said, page = PagePanel(model).box.children
    assert words in said.value and "play.html" in said.value
    assert page.value == page_in_frame(model)


def test_a_file_that_is_no_model_is_refused_in_words(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ModelFileError, match=r"notes\.txt"):
        page_in_frame(tmp_path / "notes.txt")
