"""The live page inside a notebook."""

import re
from html import unescape

import pytest

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")
from timbrekit.notebook.live import PagePanel, page_in_frame

PAGE = '<!doctype html><title>"a" & b</title>'


def test_the_frame_holds_the_whole_page_and_may_use_the_microphone():
    frame = page_in_frame(PAGE)
    assert 'allow="microphone' in frame and "sandbox" not in frame
    assert unescape(re.search(r'srcdoc="([^"]*)"', frame).group(1)) == PAGE


@pytest.mark.parametrize(
    ("colab", "words"), [(False, "allow the microphone"), (True, "Colab does not always")]
)
def test_the_words_say_how_live_it_can_be_played(monkeypatch, colab, words):
    monkeypatch.setattr("timbrekit.notebook.live.in_colab", lambda: colab)
    said, page = PagePanel(PAGE).box.children
    assert words in said.value and "play.html" in said.value
    assert page.value == page_in_frame(PAGE)
