"""The live page inside a notebook: the model as an instrument, below the cell."""

import html

import ipywidgets

from timbrekit.notebook.colab import in_colab
from timbrekit.notebook.widgets import NOTHING

HEIGHT = 820  # pixels; the page scrolls inside
JUPYTER = (
    "Below is your instrument. Drop a recording on it or play it with keys and mouse; with headphones on, allow the "
    "microphone and play. If your browser refuses the microphone here, open play.html from the download: a double "
    "click is enough."
)
COLAB = (
    "Below is your instrument, for recordings, keys and mouse. Colab does not always let a page inside it hear the "
    "microphone: to play live, open play.html from the download with a double click."
)


def page_in_frame(page: str) -> str:
    """A live page as HTML for a notebook's output.

    A frame with ``srcdoc``: Jupyter serves files with a policy that keeps the sound from starting.
    """
    return (
        f'<iframe srcdoc="{html.escape(page)}" allow="microphone; autoplay; midi" title="Live instrument" '
        f'style="width: 100%; height: {HEIGHT}px; border: 1px solid #ccc; border-radius: 6px"></iframe>'
    )


class PagePanel:
    """An instrument, and how live it can be played from here.

    Args:
        page: the whole page, as HTML.
    """

    text = "The instrument: it plays here in a live notebook, and anywhere in play.html of the download."

    def __init__(self, page: str):
        words = html.escape(COLAB if in_colab() else JUPYTER)
        self.png = NOTHING
        self.box = ipywidgets.VBox([ipywidgets.HTML(f"<p>{words}</p>"), ipywidgets.HTML(page_in_frame(page))])
