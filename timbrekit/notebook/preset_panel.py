"""Choosing the sound: hear and see every preset, change any of its parameters, keep it as one's own."""

import html
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ipywidgets
import numpy as np
from numpy.typing import NDArray

from timbrekit import SAMPLE_RATE
from timbrekit.errors import PresetError
from timbrekit.notebook.audition_panel import audition_player, drum_title
from timbrekit.notebook.player import player_html
from timbrekit.notebook.plots import plot_sound, plot_spectrum
from timbrekit.notebook.widgets import knob, picture_widget, show_panel
from timbrekit.presets import Preset, load_preset, preset_names, save_preset
from timbrekit.results.audition import Audition
from timbrekit.results.plots import new_figure, set_title, to_png
from timbrekit.session import safe_name

ADJUSTED = "-adjusted"  # ends the name of a preset with turned knobs
FOLLOWING = (
    "Your own playing. So far the preset follows it by loudness alone, as an ordinary drum trigger would."
)


def preset_sound(preset: Preset) -> NDArray[np.float32]:
    """A second of one hit of the unmodulated preset, ``(48000,)``, as the plug-in plays it."""
    return preset.instrument().stream(preset.physical(), [0], SAMPLE_RATE, SAMPLE_RATE)


def preset_picture(preset: Preset) -> bytes:
    """PNG of a preset's waveform and spectrum."""
    sound = preset_sound(preset)
    figure, axes = new_figure(9.5, 2.7, 1, 2)
    plot_sound(axes[0], sound, SAMPLE_RATE)
    set_title(axes[0], f"One hit of {preset.title}")
    plot_spectrum(axes[1], {preset.title: sound}, SAMPLE_RATE)
    set_title(axes[1], "Its spectrum")
    return to_png(figure)


def own_presets(folder: Path) -> dict[str, Path]:
    """The user's own presets in a folder: file by title. Files that are no presets are left out."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[load_preset(path).title] = path
        except PresetError:  # something else that the user keeps there
            continue
    return found


def save_own(preset: Preset, title: str, folder: Path) -> Preset:
    """Save a preset under a title of the user's; what had that name before is replaced.

    Raises:
        PresetError: the title is empty, too long, or a shipped preset's name.
        OutputError: the folder cannot be written.
    """
    title = title.strip()
    name = safe_name("-".join(title.lower().split()), fallback="")
    if not name or len(title) > 60:
        raise PresetError("Give your sound a name of 1 to 60 letters.")
    if name in preset_names():
        raise PresetError(f'"{title}" is the name of a preset that comes with timbrekit. Choose another.')
    description = f"Your own, made from {preset.title}."
    path = save_preset(
        replace(preset, name=name, title=title, description=description), folder / f"{name}.json"
    )
    return load_preset(path)


class PresetPanel:
    """A chooser, sliders, sound and picture. ``preset`` is what is chosen.

    Args:
        start: the preset to begin with; others are offered if they have the same parameters.
        own_folder: where the user's own are kept.
        on_change: gets every preset that is chosen.
        by_loudness: how a preset sounds when it follows the user's playing by loudness alone; None where there is
            nothing to follow yet.
        train: called by a button that trains with the sound.
    """

    def __init__(
        self,
        start: Preset,
        own_folder: Path,
        on_change: Callable[[Preset], None] | None = None,
        by_loudness: Callable[[Preset], Audition | None] | None = None,
        train: Callable[[], None] | None = None,
    ) -> None:
        self.preset, self._own_folder, self._on_change = start, own_folder, on_change
        self._by_loudness, self._played = by_loudness, False
        self._base = start  # that the sliders began with, to go back to
        self._moving = False
        self._chooser = ipywidgets.Dropdown(description="Preset", layout=ipywidgets.Layout(width="24em"))
        self._sliders = {
            p.key: knob(f"{p.title} ({p.unit})", p, start.values[p.key]) for p in start.parameters
        }
        self._name = ipywidgets.Text(placeholder="a name for it", layout=ipywidgets.Layout(width="14em"))
        save = ipywidgets.Button(description="Save as my own")
        save.on_click(self._save)
        self._reply = ipywidgets.HTML()
        reset = ipywidgets.Button(description="Reset", tooltip="Back to the sound as it was chosen")
        reset.on_click(lambda _: self.use(self._base))
        knobs = ipywidgets.VBox([*self._sliders.values(), reset])
        adjust = ipywidgets.Accordion([knobs], selected_index=None)
        adjust.set_title(0, "Adjust it")
        self.words, self.sound, self.picture = ipywidgets.HTML(), ipywidgets.HTML(), picture_widget(b"")
        self._list_presets()
        self.box = ipywidgets.VBox(
            [
                self._chooser,
                self.words,
                self.sound,
                self.picture,
                adjust,
                ipywidgets.HBox([self._name, save, self._reply]),
                *([train_button(train)] if train else []),
            ]
        )
        self.use(start)
        self._base = unadjusted(start, own_folder)
        self._played = True  # from now on at every change
        self._chooser.observe(self._chosen, names="value")
        for key, control in self._sliders.items():
            control.observe(lambda change, key=key: self._moved(key, change["new"]), names="value")

    def use(self, preset: Preset) -> None:
        """Choose a preset and set all sliders to it."""
        self.preset = self._base = preset
        self._moving = True
        for key, control in self._sliders.items():
            control.value = preset.values[key]
        if preset.name in [value for _, value in self._chooser.options]:
            self._chooser.value = preset.name
        self._moving = False
        self._redraw()

    def follow(self) -> None:
        """Another recording has come: let the preset follow that."""
        self._draw_sound(autoplay=False)

    def show(self) -> None:
        show_panel(self.box, bytes(self.picture.value), f"Preset: {self.preset.title}")

    def _list_presets(self) -> None:
        own = {title: (load_preset(path), path) for title, path in own_presets(self._own_folder).items()}
        own = {preset.name: (title, path) for title, (preset, path) in own.items() if self._fits(preset)}
        self._files = {name: path for name, (_, path) in own.items()}
        shipped = [
            (preset.title, preset.name) for preset in map(load_preset, preset_names()) if self._fits(preset)
        ]
        self._moving = True
        self._chooser.options = [*shipped, *((f"{title} (my own)", name) for name, (title, _) in own.items())]
        self._moving = False

    def _fits(self, preset: Preset) -> bool:
        return preset.parameters == self.preset.parameters

    def _chosen(self, change: dict) -> None:
        if not self._moving and change["new"]:
            self.use(load_preset(self._files.get(change["new"], change["new"])))

    def _moved(self, key: str, value: float) -> None:
        if self._moving:
            return
        name, title = self.preset.name, self.preset.title
        if not name.endswith(ADJUSTED):
            name, title = f"{name}{ADJUSTED}", f"{title}, adjusted"
        (limits,) = [(p.minimum, p.maximum) for p in self.preset.parameters if p.key == key]
        values = {**self.preset.values, key: float(np.clip(value, *limits))}  # logarithms end a little beyond
        description = f"{self._base.title} with some knobs turned."
        self.preset = replace(self.preset, name=name, title=title, description=description, values=values)
        self._redraw()

    def _save(self, _button: object) -> None:
        try:
            saved = save_own(self.preset, self._name.value, self._own_folder)
        except PresetError as error:
            self._reply.value = html.escape(str(error))
            return
        self._list_presets()
        self.use(saved)
        self._reply.value = f"Saved as <b>{html.escape(saved.title)}</b>."

    def _redraw(self) -> None:
        preset = self.preset
        self.words.value = f"<p><b>{html.escape(preset.title)}</b>: {html.escape(preset.description)}</p>"
        self._draw_sound(autoplay=self._played)
        self.picture.value = preset_picture(preset)
        if self._on_change:
            self._on_change(preset)

    def _draw_sound(self, autoplay: bool) -> None:
        following = self._by_loudness(self.preset) if self._by_loudness else None
        if following is None:
            sound = player_html({"One hit": preset_sound(self.preset)}, SAMPLE_RATE, autoplay=autoplay)
        else:
            drum = drum_title(self.preset.instrument())
            sound = f"<p>{FOLLOWING}</p>{audition_player(following, drum, autoplay)}"
        self.sound.value = sound


def train_button(train: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(
        description="Train with this sound", button_style="primary", layout=ipywidgets.Layout(width="18em")
    )
    button.on_click(lambda _: train())
    return button


def unadjusted(preset: Preset, own_folder: Path) -> Preset:
    """The preset that one with turned knobs was made from; itself where that is not known any more."""
    name = preset.name.removesuffix(ADJUSTED)
    if name == preset.name:
        return preset
    source = name if name in preset_names() else own_folder / f"{name}.json"
    try:
        return load_preset(source)
    except PresetError:
        return preset
