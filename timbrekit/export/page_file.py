"""An instrument as one HTML file that plays in a browser: what the pages of all instruments have in common.

The file holds everything: the instrument, its audio-thread wrapper, the page around it and the model's numbers. It
opens with a double click, offline, and asks for nothing from the network; its content policy forbids it to. What all
pages share is in ``page/``; what a kind of instrument adds to it is in a folder of its own.
"""

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbrekit.files import atomic_path

FURNITURE = Path(__file__).parent / "page"
COMMON = ("common.js", "ensemble.js")  # what the cores of all instruments begin with
SCRIPTS = tuple(
    f"{name}.js"
    for name in "instrument output wav sound view messages inputs midi instruments stage controls".split()
)
OUTPUT = "@@output@@"  # in below.html: where recording and latency stand


@dataclass(frozen=True)
class PageKind:
    """The page of a kind of instrument."""

    folder: Path  # with its own scripts, page.css, and try.html and below.html: a card, and what stands below
    # scripts without browser globals: the same text runs on the audio thread and in node
    core: tuple[str, ...]
    names: tuple[str, ...]  # of the core's that the page uses
    scripts: tuple[str, ...]  # of the page, after those that all share
    headphones: str  # why to wear them
    save: str  # label of the button that saves what a recording becomes

    def core_source(self) -> str:
        """The audio core, one JavaScript module: what the page, its audio thread and the tests run."""
        common = (FURNITURE / name for name in COMMON)
        return "\n".join(map(_script, (*common, *map(self._find, self.core))))

    def _find(self, name: str) -> Path:
        """A script of its own, or of those that pages share."""
        own = self.folder / name
        return own if own.exists() else FURNITURE / name

    def render(self, title: str, model: dict[str, Any]) -> str:
        """The page's HTML.

        Args:
            title: the instrument's name.
            model: what its scripts find under the name ``model``.

        Raises:
            ValueError: the model holds a number that is not finite.
        """
        core = f"\n{self.core_source()}\nglobalThis.timbrekitCore = {{ {', '.join(self.names)} }};\n"
        shared = (FURNITURE / name for name in SCRIPTS)
        page = "\n" + "\n".join(map(_script, (*shared, *(self.folder / name for name in self.scripts))))
        worklet = "\n" + _script(FURNITURE / "worklet.js")
        style = "\n" + _read(FURNITURE / "page.css") + _read(self.folder / "page.css")
        for script in (core, page, worklet):
            if "</script" in script.lower():
                raise AssertionError("a page asset holds a closing script tag")
        policy = "; ".join(
            (
                "default-src 'none'",  # no image, font, frame or request from anywhere
                f"script-src {_hash(core)} {_hash(page)} data: blob:",  # data:, blob: for the audio-thread module
                f"style-src {_hash(style)}",
                "img-src data:",
                "media-src blob:",
                "base-uri 'none'",
                "form-action 'none'",
            )
        )
        blocks = {
            "policy": policy,
            "title": html.escape(title),
            "style": style,
            "headphones": html.escape(self.headphones),
            "save": html.escape(self.save),
            "try": _read(self.folder / "try.html"),
            "below": _read(self.folder / "below.html").replace(OUTPUT, _read(FURNITURE / "output.html")),
            "model": script_json(model),
            "core": core,
            "worklet": worklet,
            "page": page,
        }
        pieces = _read(FURNITURE / "page.html").split("@@")  # text, name, text, name, ... text
        return "".join(blocks[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def write_page(page: str, out: str | Path) -> Path:
    """Write a page, whole or not at all. Raises `OutputError` where that fails."""
    out = Path(out)
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return out


def script_json(value: Any) -> str:
    """JSON that is safe between script tags: no "<" is left, so nothing in it can close the element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _script(path: Path) -> str:
    """Without the lines that are comments alone: a tenth of a page, which is read where it was written."""
    lines = _read(path).splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith("//"))


def _hash(block: str) -> str:
    """Content-policy source of an inline block: browsers hash the text between the tags, byte for byte."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(block.encode('utf-8')).digest()).decode()}'"
