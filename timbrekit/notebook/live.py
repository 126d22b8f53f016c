"""The live page inside a notebook: the model as an instrument, below the cell."""

import html
from pathlib import Path

import ipywidgets

from timbrekit.export.live_page import render_page
from timbrekit.export.model_file import read_metadata
from timbrekit.notebook.colab import in_colab
from timbrekit.notebook.widgets import NOTHING

HEIGHT = 820  # pixels; the page scrolls inside
JUPYTER = (
    "Below is your instrument. Drop a recording on it or hit its pads; with headphones on, allow the microphone and "
    "play. If your browser refuses the microphone here, open play.html from the download: a double click is enough."
)
COLAB = (
    "Below is your instrument, for recordings and pads. Colab does not always let a page inside it hear the "
    "microphone: to play live, open play.html from the download with a double click."
)


def page_in_frame(model: str | Path) -> str:
    """The model's live page as HTML for a notebook's output.

    A frame with ``srcdoc``: Jupyter serves files with a policy that keeps the sound from starting.

    Raises:
        ModelFileError: not a model file that timbrekit wrote.
    """
    page = html.escape(render_page(read_metadata(model)))
    return (
        f'<iframe srcdoc="{page}" allow="microphone; autoplay" title="Live instrument" '
        f'style="width: 100%; height: {HEIGHT}px; border: 1px solid #ccc; border-radius: 6px"></iframe>'
    )


class PagePanel:
    """The instrument, and how live it can be played from here.

    Raises:
        ModelFileError: not a model file that timbrekit wrote.
    """

    text = "The instrument: it plays here in a live notebook, and anywhere in play.html of the download."

    def __init__(self, model: str | Path):
        words = html.escape(COLAB if in_colab() else JUPYTER)
        self.png = NOTHING
        self.box = ipywidgets.VBox(
            [ipywidgets.HTML(f"<p>{words}</p>"), ipywidgets.HTML(page_in_frame(model))]
        )
