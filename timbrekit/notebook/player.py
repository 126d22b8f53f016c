"""One player for everything that sounds: versions of a take, switched while it plays, and its hits to click on.

It stands in a frame of its own with the sounds inside: nothing is fetched, so it works in Jupyter, Colab and VS Code,
and where scripts in a cell's output are kept from the rest of the page. Sounds are FLAC of 16 bits at the take's rate:
every browser's decoder knows it, and hits stay at their sample. A minute takes 2.0 to 2.6 MB of it, and 0.46 MB as
Opus, which Safari reads since 2025 only; MP3 smears the attacks that one wants to compare.
"""

import base64
import html
import io
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import ArrayLike

from timbrekit.recording import resample

HIGHEST_RATE = 48_000  # Hz; more is not heard, and doubles the notebook
HEIGHT = 232  # pixels; the frame takes what it needs where it may
TAKE = "/*TAKE*/null"  # in the page, where the data go


@dataclass(frozen=True)
class Marks:
    """Where the hits are, in s from the beginning."""

    hits: Sequence[float] = ()
    dropped: Sequence[float] = ()  # heard, but too close to another
    missed: Sequence[float] = ()  # not heard by the plug-in

    def to_json(self) -> dict[str, list[float]]:
        lists = {"hits": self.hits, "dropped": self.dropped, "missed": self.missed}
        return {name: [round(float(at), 4) for at in places] for name, places in lists.items()}


def new_id() -> str:
    return f"timbrekit-{uuid.uuid4().hex[:10]}"


def flac(samples: ArrayLike, sample_rate: int, bits: int = 16) -> bytes:
    """The sound ``(samples,)`` as a FLAC file, clipped at full scale."""
    content = io.BytesIO()
    samples = np.clip(np.asarray(samples, np.float32), -1, 1)
    soundfile.write(content, samples, sample_rate, format="FLAC", subtype=f"PCM_{bits}")
    return content.getvalue()


def player_html(
    sounds: Mapping[str, ArrayLike],
    sample_rate: int,
    marks: Marks | None = None,
    together: Mapping[str, Mapping[str, float]] | None = None,
    name: str = "",
    first: str | None = None,
    autoplay: bool = False,
) -> str:
    """A player, as HTML for a cell's output or a widget.

    Args:
        sounds: samples ``(samples,)`` by title; they begin together.
        sample_rate: Hz.
        marks: hits to be clicked on.
        together: more versions that the browser adds up of those: level of each sound by title.
        name: id of the player, for :func:`marks_html`; where it is given, the player follows those marks.
        first: title of the version that is heard at the start; the first one if None.
        autoplay: start it, as far as the browser lets it.
    """
    if sample_rate > HIGHEST_RATE:
        sounds = {
            title: resample(np.asarray(sound), sample_rate, HIGHEST_RATE) for title, sound in sounds.items()
        }
        sample_rate = HIGHEST_RATE
    place = {title: index for index, title in enumerate(sounds)}
    versions = [{"title": title, "parts": [[index, 1.0]]} for title, index in place.items()]
    for title, levels in (together or {}).items():
        versions.append({"title": title, "parts": [[place[sound], level] for sound, level in levels.items()]})
    titles = [version["title"] for version in versions]
    take = {
        "id": name or new_id(),
        "rate": sample_rate,
        "sounds": [base64.b64encode(flac(sound, sample_rate)).decode("ascii") for sound in sounds.values()],
        "versions": versions,
        "marks": (marks or Marks()).to_json(),
        "first": titles.index(first) if first in titles else 0,
        "autoplay": autoplay,
        "follows": bool(name),
    }
    page = Path(__file__).with_name("player.html").read_text(encoding="utf-8")
    page = page.replace(TAKE, json.dumps(take).replace("<", "\\u003c"))  # no title can end the script
    return (  # in a div: IPython warns of an iframe alone, and its warning names paths of the machine
        f'<div><iframe id="{html.escape(take["id"])}" class="timbrekit-player" title="Player" allow="autoplay" '
        f'srcdoc="{html.escape(page)}" style="width: 100%; max-width: 960px; height: {HEIGHT}px; '
        'border: 1px solid #ccc; border-radius: 6px"></iframe></div>'
    )


def marks_html(name: str, marks: Marks) -> str:
    """What the player of that id shows from now on, invisible itself: the sound is not sent again."""
    data = html.escape(json.dumps(marks.to_json()))
    return f'<span hidden data-player="{html.escape(name)}" data-marks="{data}"></span>'


PLAY_HIT = (  # of a table whose buttons have a data-hit, 0 for the first
    "const part = event.target.closest('button[data-hit]'); if (!part) return;"
    " document.getElementById(this.dataset.sound).contentWindow"
    ".postMessage({timbrekitHit: Number(part.dataset.hit)}, '*');"
)
