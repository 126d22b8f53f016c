"""The live page inside a notebook."""

import re
from html import unescape

import pytest

pytest.importorskip("ipywidgets", reason="needs the notebooks extra")
from timbrekit.errors import TimbrekitError
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
    said, page = PagePanel(lambda: PAGE).box.children
    assert words in said.value and "the page from the download" in said.value
    assert page.value == page_in_frame(PAGE)


def test_another_name_is_passed_on_and_the_page_is_made_anew():
    given = []

    def rename(name):
        if not name.strip():
            raise TimbrekitError("Give your instrument a name of 1 to 60 letters.")
        given.append(name)

    panel = PagePanel(lambda: f"<title>{(given or ['first'])[-1]}</title>", "first", rename)
    panel.name.value = "My <snare>"
    assert given == ["My <snare>"] and panel.frame.value == page_in_frame("<title>My <snare></title>")
    panel.name.value = " "
    assert "1 to 60 letters" in panel.reply.value and given == ["My <snare>"]
