"""A drum of one's own: the hits that it is made of, and how it sounds, whole and in parts."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets
import numpy as np

from timbrekit.drums import STEMS, MadeDrum, make_drum
from timbrekit.errors import TimbrekitError
from timbrekit.notebook.colab import Upload
from timbrekit.notebook.player import player_html
from timbrekit.notebook.plots import plot_spectrogram
from timbrekit.notebook.widgets import NOTHING, paragraphs, picture_widget, show_panel, upload_button
from timbrekit.results.plots import new_figure, to_png
from timbrekit.session import safe_name
from timbrekit.synth.drum import ONSET_RATE

TITLES = {"modes": "Its ringing", "noise": "Its noise", "onset": "Its onset", "sum": "The drum"}
RECORDED = "Your hit"
BLENDS = {"The drum": 0, "Half way": 50, "The other drum": 100}  # per cent


def drum_picture(made: MadeDrum) -> bytes:
    """PNG: spectrograms of the hit as recorded, of the drum, and of its parts or of its way to another drum."""
    sounds = {
        RECORDED: made.hit,
        **(_way(made) if made.drum.other else _parts(made, "sum", "modes", "noise")),
    }
    figure, axes = new_figure(9.5, 5.2, 2, 2, sharex=True, sharey=True)
    darkest = None  # the hit's loudest, in all four
    for ax, (title, sound) in zip(axes.flat, sounds.items(), strict=True):
        darkest = plot_spectrogram(ax, sound, ONSET_RATE, title=title, darkest=darkest)
        ax.label_outer()
    return to_png(figure)


def drum_player(made: MadeDrum) -> str:
    """A player of the hit as recorded, the drum and each of its parts, or its way to another drum, as HTML."""
    if made.drum.other:
        return player_html(_way(made), ONSET_RATE)
    return player_html({RECORDED: made.hit, **_parts(made, "sum", "modes", "noise", "onset")}, ONSET_RATE)


def _parts(made: MadeDrum, *stems: str) -> dict[str, np.ndarray]:
    return {TITLES[stem]: made.render(parts=STEMS[stem]) for stem in stems}


def _way(made: MadeDrum) -> dict[str, np.ndarray]:
    """From the one drum to the other."""
    return {title: made.render(blend=blend) for title, blend in BLENDS.items()}


def drum_words(made: MadeDrum) -> list[str]:
    """What was found, and how near it comes, a sentence each."""
    drum, figures = made.drum, made.figures()
    count = len(drum.loudness)
    of_hits = "one hit" if count == 1 else f"{count} hits, soft to hard"
    beyond = figures["mss"] / figures["mss_floor"] - 1
    near = "as near as its noise allows" if beyond < 0.1 else f"{beyond:.0%} farther than its noise alone"
    sentences = [
        f'"{made.preset.title}", of {of_hits}: {len(drum.frequency)} ringing modes, the lowest of them '
        f"{min(drum.frequency, default=0):.0f} Hz, noise in {len(drum.noise_slope)} bands, and the first "
        f"{1000 * drum.onset.shape[1] / ONSET_RATE:.0f} ms as recorded.",
        f"The drum lies {figures['mss']:.2f} from the hit, {near} (two noises of the same drum lie "
        f"{figures['mss_floor']:.2f} apart).",
    ]
    if count == 1:
        sentences.append(
            "With one hit, harder is only louder. Two to eight, soft to hard, tell what else it means on your drum."
        )
    if drum.other:
        sentences.append(
            f"It is blended with a {drum.other.kind}: a knob, Blend, leads from the one to the other, and the network "
            "turns it too. Training starts half way."
        )
    return sentences


class DrumPanel:
    """Shows a drum, and a way to hand over hits.

    Args:
        on_made: gets every drum that is made, the files that it was made of, and those of the drum that it is blended
            with.
    """

    def __init__(self, on_made: Callable[[MadeDrum, Sequence[Upload], Sequence[Upload]], None]):
        self._on_made = on_made
        self._files: Sequence[Upload] = ()
        self._others: Sequence[Upload] = ()
        self._name = ""
        self.made: MadeDrum | None = None
        self.png, self.text = NOTHING, ""
        self._words, self._sound = ipywidgets.HTML(), ipywidgets.HTML()
        self._picture = picture_widget(NOTHING)
        self._above, self._below = ipywidgets.VBox([]), ipywidgets.VBox([])
        self.box = ipywidgets.VBox([self._above, self._words, self._below])

    def ask(self, other: bool = False) -> None:
        """Offer a button for one to eight files, of the drum or of the one that it is blended with."""
        words = "Choose hits of the other drum" if other else "Choose one to eight hits"
        button = upload_button(self.blend if other else self.take, words, multiple=True)
        self._above.children = [*self._above.children, button]
        self._say(["Choose the hits above: each file one stroke of the same drum, from soft to hard."])

    def blend(self, others: Sequence[Upload]) -> None:
        """Blend the drum with that of other hits, from now on."""
        self._others = others
        self.take(self._files, self._name)

    def take(self, files: Sequence[Upload], name: str = "") -> None:
        """Make a drum of these and show it, or say why not."""
        if not files:
            return
        self._files, self._name = files, name
        name = name or Path(files[0].name).stem
        parts = {"hits": files, "others": self._others}
        with tempfile.TemporaryDirectory() as folder:
            paths, others = (_written(given, Path(folder) / part) for part, given in parts.items())
            try:
                made = make_drum(paths, name, lambda words: self._say([f"{words} …"]), others)
            except TimbrekitError as error:
                self._say([str(error)])
                return
        self.made, self.png = made, drum_picture(made)
        self._picture.value, self._sound.value = self.png, drum_player(made)
        self._below.children = [self._sound, self._picture]
        self._say(drum_words(made))
        self._on_made(made, files, self._others)

    def show(self) -> None:
        show_panel(self.box, self.png, self.text)

    def _say(self, sentences: Sequence[str]) -> None:
        self.text = "\n".join(sentences)
        self._words.value = paragraphs(sentences)


def _written(files: Sequence[Upload], folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / safe_name(file.name) for file in files]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file.content)
    return paths
