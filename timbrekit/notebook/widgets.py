"""Small parts of the panels: pictures, tables, sliders, an upload button. For ipywidgets 7.7 and 8 alike.

Pictures are PNG images, so no notebook needs matplotlib's own interactive parts. Sounds: ``timbrekit.notebook.player``.
"""

import base64
import functools
import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets
from IPython.display import HTML, display
from numpy.typing import ArrayLike

from timbrekit.errors import TimbrekitError
from timbrekit.notebook.colab import Upload, in_colab
from timbrekit.notebook.player import PLAY_HIT, player_html
from timbrekit.notebook.words import say
from timbrekit.recording.formats import AUDIO_ENDINGS
from timbrekit.synth.base import Parameter

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

NOTHING = b""  # no picture
LOGARITHMIC = {"Hz": 24, "ms": 8}  # steps an octave


def hits_html(rows: Sequence[Mapping[str, str]], player: str) -> str:
    """A scrolling table of hits, each with a button that plays it.

    Args:
        rows: cells by column title, one mapping a hit.
        player: id of the player that has them.
    """
    if not rows:
        return "<p>No hits.</p>"
    body = []
    for number, row in enumerate(rows):
        button = f'<button data-hit="{number}" title="Play this hit">▶</button>'
        body.append(f"<tr><td>{button}</td>{_cells('td', row.values(), 'right')}</tr>")
    head = _cells("th", rows[0], "right")
    return (
        f'<div style="max-height: 15em; overflow-y: auto; width: fit-content" data-sound="{html.escape(player)}"'
        f' onclick="{html.escape(PLAY_HIT)}"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def table_html(rows: Sequence[Mapping[str, str]]) -> str:
    """A plain table; the first column is the label."""
    body = "".join(f"<tr>{_cells('td', row.values(), 'left')}</tr>" for row in rows)
    return f"<table><thead><tr>{_cells('th', rows[0], 'left')}</tr></thead><tbody>{body}</tbody></table>"


def _cells(kind: str, texts: Iterable[str], side: str) -> str:
    return "".join(f"<{kind} style='text-align: {side}'>{html.escape(text)}</{kind}>" for text in texts)


def paragraphs(sentences: Sequence[str]) -> str:
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)


def show_html(content: str) -> None:
    display(HTML(content))


def show_picture(png: bytes, words: str) -> None:
    """Show a PNG; ``words`` is what stands there where pictures cannot."""
    display({"image/png": base64.b64encode(png).decode("ascii"), "text/plain": words}, raw=True)


def show_sounds(sounds: Mapping[str, ArrayLike], sample_rate: int) -> None:
    """Show a player with these versions."""
    show_html(player_html(sounds, sample_rate))


def picture_widget(png: bytes) -> ipywidgets.Image:
    return ipywidgets.Image(value=png, format="png", layout=ipywidgets.Layout(max_width="100%"))


def show_panel(box: ipywidgets.Widget, png: bytes, words: str) -> Callable[[bytes, str], None]:
    """Show a widget, with a picture for where widgets cannot be shown: on GitHub, in a saved notebook.

    Colab gets the widget alone: which of several forms it prefers is not documented. Without a picture (``NOTHING``)
    the words alone stand there.

    Returns:
        To be called with another picture and words where they have changed by the end of the cell.
    """

    def bundle(png: bytes, words: str) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
        fallback = {} if in_colab() or not png else {"image/png": base64.b64encode(png).decode("ascii")}
        return {WIDGET_VIEW: view, "text/plain": words, **fallback}

    handle = display(bundle(png, words), raw=True, display_id=True)

    def update(png: bytes, words: str) -> None:
        if handle is not None and not in_colab():
            handle.update(bundle(png, words), raw=True)

    return update


class PicturePanel:
    """A picture on its own, with the words that stand there where pictures cannot."""

    def __init__(self, png: bytes, text: str):
        self.png, self.text = png, text
        self.box = picture_widget(png)


def slider(
    kind: type[ipywidgets.Widget], words: str, limits: tuple[float, float], step: float, value: float
) -> ipywidgets.Widget:
    """A labelled ``IntSlider`` or ``FloatSlider`` that reports when it is let go: what follows takes a moment."""
    return kind(
        min=limits[0],
        max=limits[1],
        step=step,
        value=value,
        description=words,
        style={"description_width": "initial"},
        layout=ipywidgets.Layout(width="50em"),
        continuous_update=False,
    )


def knob(words: str, parameter: Parameter, value: float) -> ipywidgets.Widget:
    """A slider of a synthesiser's parameter whose every step, also by arrow key, can be heard.

    Frequencies and times are on a logarithmic scale, a quarter tone and 9 % of the time a step.
    """
    low, high = parameter.minimum, parameter.maximum
    if parameter.unit in LOGARITHMIC and low > 0:
        limits, step = (math.log10(low), math.log10(high)), math.log10(2) / LOGARITHMIC[parameter.unit]
        made = slider(ipywidgets.FloatLogSlider, words, limits, step, value)
        made.readout_format = ".1f"
        return made
    return slider(ipywidgets.FloatSlider, words, (low, high), 1.0 if parameter.unit == "dB" else 0.05, value)


def uploaded_files(value: Any) -> list[Upload]:
    """What a ``FileUpload`` holds: a dict by name in ipywidgets 7, a tuple of dicts in 8."""
    if isinstance(value, Mapping):
        return [Upload(name, bytes(item["content"])) for name, item in value.items()]
    return [Upload(item["name"], bytes(item["content"])) for item in value]


def upload_button(
    on_upload: Callable[[list[Upload]], None], words: str = "Choose a sound file", multiple: bool = False
) -> ipywidgets.FileUpload:
    """A button that takes one sound file, or several, and hands them on."""
    button = ipywidgets.FileUpload(
        accept=",".join(AUDIO_ENDINGS),
        multiple=multiple,
        description=words,
        layout=ipywidgets.Layout(width="20em" if multiple else "16em"),
    )

    def changed(change: Any) -> None:
        if files := uploaded_files(change["new"]):
            on_upload(files)

    button.observe(changed, names="value")
    return button


def in_words(step: Callable[..., Any]) -> Callable[..., Any]:
    """Say what is wrong instead of a traceback."""

    @functools.wraps(step)
    def said(*args: Any, **options: Any) -> Any:
        try:
            return step(*args, **options)
        except TimbrekitError as error:
            say(f"This step did not work. {error}")
            return None

    return said


def path_field(on_upload: Callable[[Upload], None], on_error: Callable[[str], None]) -> ipywidgets.Text:
    """A line for the path of a file on the computer that runs the notebook; Enter hands the file on.

    What an upload button sends goes through the notebook's connection in one message, and JupyterLab drops those above
    10 MB without a word. A path has no such limit.
    """
    field = ipywidgets.Text(
        placeholder="or the path of a file on this computer, then Enter",
        continuous_update=False,
        layout=ipywidgets.Layout(width="32em"),
    )

    def changed(change: Any) -> None:
        words = change["new"].strip().strip("\"'")
        if not words:
            return
        path = Path(words).expanduser()
        try:
            handed = Upload(path.name, path.read_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            on_error(
                f"{path} cannot be read: {reason}. Check the path, from the first slash or drive letter on."
            )
            return
        on_upload(handed)

    field.observe(changed, names="value")
    return field
