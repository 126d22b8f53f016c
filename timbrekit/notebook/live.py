"""The live page inside a notebook: the model as an instrument, below the cell."""

import html
from collections.abc import Callable

import ipywidgets

from timbrekit.errors import TimbrekitError
from timbrekit.notebook.colab import in_colab
from timbrekit.notebook.widgets import NOTHING

HEIGHT = 820  # pixels; the page scrolls inside
JUPYTER = (
    "Below is your instrument. Drop a recording on it or play it with keys and mouse; with headphones on, allow the "
    "microphone and play. If your browser refuses the microphone here, open the page from the download: a double click "
    "is enough."
)
COLAB = (
    "Below is your instrument, for recordings, keys and mouse. Colab does not always let a page inside it hear the "
    "microphone: to play live, open the page from the download with a double click."
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
        page: makes the whole page, as HTML.
        name: of the instrument, in a field where it can be changed; None where it has none.
        rename: called with another name; what is wrong with one is said.
    """

    text = "The instrument: it plays here in a live notebook, and anywhere as the page of the download."

    def __init__(
        self,
        page: Callable[[], str],
        name: str | None = None,
        rename: Callable[[str], None] = lambda name: None,
    ):
        self._page, self._rename = page, rename
        words = html.escape(COLAB if in_colab() else JUPYTER)
        self.png = NOTHING
        self.frame, self.reply = ipywidgets.HTML(page_in_frame(page())), ipywidgets.HTML()
        parts = [ipywidgets.HTML(f"<p>{words}</p>"), self.frame]
        if name is not None:
            self.name = ipywidgets.Text(
                value=name,
                description="Its name",
                continuous_update=False,
                layout=ipywidgets.Layout(width="32em"),
            )
            self.name.observe(self._named, names="value")
            parts.insert(0, ipywidgets.HBox([self.name, self.reply]))
        self.box = ipywidgets.VBox(parts)

    def _named(self, change: dict) -> None:
        try:
            self._rename(change["new"])
        except TimbrekitError as error:
            self.reply.value = html.escape(str(error))
            return
        self.reply.value = "It is on the page, the card and every file of the download."
        self.frame.value = page_in_frame(self._page())
