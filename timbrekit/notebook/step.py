"""A step of a notebook: what it made stays in its place, and shows when it is no longer of what was chosen."""

import contextlib
import html
import io
import re
from collections.abc import Callable
from typing import Protocol

import ipywidgets

from timbrekit.errors import TimbrekitError
from timbrekit.notebook.widgets import NOTHING, paragraphs, show_panel

OUTDATED = "timbrekit-outdated"  # CSS class of what is greyed out
STYLE = f"<style>.{OUTDATED} {{ opacity: 0.4; pointer-events: none; }}</style>"
RUN_FROM_HERE = "Run from here"


class Panel(Protocol):
    """What a step shows."""

    box: ipywidgets.Widget
    text: str  # what stands there where widgets cannot be shown

    @property
    def png(self) -> bytes: ...  # likewise


class Step:
    """A place below a cell, filled by ``make``, now and whenever the user runs it from here.

    Args:
        make: does the work and returns what is to be shown; None where what it said is all. It is handed the step, to
            show something before it is done.
        made_of: fingerprint of what the work depends on; where it has changed, the place is greyed out.
        doing: what is said while it works.
        run_from_here: to be called by the button that stands there then.
    """

    def __init__(
        self,
        make: Callable[["Step"], Panel | None],
        made_of: Callable[[], str],
        doing: str,
        run_from_here: Callable[[], None],
    ):
        self._make, self._made_of, self._doing = make, made_of, doing
        self.panel: Panel | None = None
        self.text = ""  # all that it says
        self._key = ""
        self._said = ipywidgets.HTML()
        self._words, again = ipywidgets.HTML(), ipywidgets.Button(description=RUN_FROM_HERE, icon="play")
        again.on_click(lambda _: run_from_here())
        self._banner = ipywidgets.VBox([self._words, again])
        self._inner = ipywidgets.VBox([])
        self.box = ipywidgets.VBox([self._said, self._inner])
        self._update: Callable[[bytes, str], None] | None = None

    def show(self) -> None:
        """Fill the place below the running cell."""
        self._update = show_panel(self.box, NOTHING, self._doing)
        self.again()

    def again(self) -> bool:
        """Fill the place, from a cell or from a button's click. Whether it went well; what is wrong is said there."""
        self._say(f"{self._doing} …")
        said = io.StringIO()  # what a click prints is shown nowhere else
        try:
            with contextlib.redirect_stdout(said):
                self._fill()
            return True
        except TimbrekitError as error:
            print(f"This step did not work. {error}", file=said)
        except KeyboardInterrupt:
            print("Stopped. Run this step again.", file=said)
        finally:
            self._say(said.getvalue())
            self._tell(said.getvalue())
        return False

    def put(self, panel: Panel) -> None:
        """Show a panel of the present choices in the step's place."""
        self.panel, self._key = panel, self._made_of()
        self._inner.children = [panel.box]
        self.look("")

    def look(self, why: str) -> None:
        """Grey out what is of other choices, and say ``why``; show it as usual where it is of the present ones."""
        outdated = self.panel is not None and self._key != self._made_of()
        if not outdated:
            self.box.children = [self._said, self._inner]
            self._inner.remove_class(OUTDATED)
            return
        self._words.value = f"{STYLE}<p><b>{html.escape(why)}</b></p>"
        self._inner.add_class(OUTDATED)
        self.box.children = [self._said, self._banner, self._inner]

    def _fill(self) -> None:
        panel = self._make(self)
        self._key = self._made_of()
        if panel is not None:
            self.put(panel)
        self.look("")

    def _tell(self, said: str) -> None:
        """What stands there where widgets cannot be shown."""
        panel = self.panel
        self.text = "\n".join(filter(None, [said.strip(), panel.text if panel else ""]))
        if self._update is not None:
            self._update(panel.png if panel else NOTHING, self.text)

    def _say(self, words: str) -> None:
        sentences = re.split(r"(?<=[.…!?])\n", words)  # lines that were broken for print are whole again
        self._said.value = paragraphs([" ".join(each.split()) for each in sentences if each.strip()])


def in_order(steps: dict[str, Step], first: str, order: tuple[str, ...]) -> None:
    """Fill ``first`` and all steps after it that are shown, one after the other, until one does not go well."""
    for name in order[order.index(first) :]:
        if name in steps and not steps[name].again():
            return
