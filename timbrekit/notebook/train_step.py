"""Training as a step of a notebook: with what was chosen, to be watched and stopped."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import ipywidgets

from timbrekit.errors import TimbrekitError
from timbrekit.notebook.step import Step
from timbrekit.notebook.training_panel import FAST_EPOCHS, FAST_WORDS, TrainingPanel, is_fast
from timbrekit.notebook.widgets import NOTHING, show_panel
from timbrekit.notebook.words import say
from timbrekit.notebook.work import Work
from timbrekit.recording.prepare import Prepared, prepare
from timbrekit.results.naming import read_report
from timbrekit.results.report import name_of
from timbrekit.synth import SNARE808
from timbrekit.training.names import MEL, TORCHDRUM
from timbrekit.training.recipes import make_settings
from timbrekit.workflow import train_model

LAST_PLACE, EVERYWHERE, CLOSER, BOTH = PLACES = (
    "my last choice, or everywhere",
    "everywhere, in TorchDrum too",
    "page, Max and Pd only: follows closer",
    "both, one after the other",
)
LISTENERS_FOR = {EVERYWHERE: (TORCHDRUM,), CLOSER: (MEL,), BOTH: (TORCHDRUM, MEL)}
OF_A_DRUM = ("hears each hit once", "listens on while it rings: follows closer", BOTH)  # TorchDrum plays none
SETTING = {"end of take": "On the end of your take", "second take": "On the other recording"}


def ask_where(place: str, work: Work, on_choice: Callable[[], None]) -> ipywidgets.RadioButtons:
    """Show buttons for where the instrument is to be played. Their value is what it hears with, one or both listeners.

    Args:
        place: to begin with, one of ``PLACES``.
        work: with the session's last choice and its preset.
        on_choice: called when another is chosen.
    """
    if place == LAST_PLACE:
        place = CLOSER if work.session.listener == MEL else EVERYWHERE
    words = LISTENERS_FOR if work.preset().synth == SNARE808 else OF_A_DRUM
    places = ipywidgets.RadioButtons(
        options=list(zip(words, LISTENERS_FOR.values(), strict=True)),
        value=LISTENERS_FOR[place],
        description="To play",
        layout=ipywidgets.Layout(width="max-content"),
    )

    def chosen(change: dict) -> None:
        work.session.keep_listener(change["new"][-1])
        on_choice()

    places.observe(chosen, names="value")
    show_panel(places, NOTHING, f"To play: {places.label}")
    return places


def train_in(
    step: Step,
    work: Work,
    sample_rate: int,
    listeners: tuple[str, ...],
    model: str | None = None,
    epochs: int | None = None,
) -> TrainingPanel | None:
    """Train with the session's choices and show it in a step's place; None where all was done before.

    Args:
        listeners: one after the other; the last one's model is played.
        model: size of the network that TorchDrum's listener has; None is the default.
        epochs: of each; None is the default.

    Raises:
        TimbrekitError: it cannot be trained, or was stopped before there was anything to keep.
    """
    session, preset = work.session, work.preset()
    session.keep_preset(preset.to_json())
    recording, detector = work.recording(sample_rate), work.detector()
    prepared = replace(prepare(recording, sample_rate, detector), suggestion=work.suggestion())
    session.keep_detector(detector, len(prepared.hits))
    panel = None
    for listener in listeners:
        before = session.listener
        session.keep_listener(listener)
        try:
            shown = _train(step, work, prepared, model if listener == TORCHDRUM else None, epochs)
        except TimbrekitError:
            if listener != listeners[0]:
                session.keep_listener(before)  # its model is there
            raise
        panel = shown or panel
        if shown is not None and listener != listeners[-1]:
            say(f"First {_names(work)[listener]}. {shown.text}")
        if work.report()["training"]["interrupted"] and shown is not None:
            break
    if len(session.trained_dirs) == len(LISTENERS_FOR[BOTH]):
        say(_compared(work))
    return panel


def _train(
    step: Step, work: Work, prepared: Prepared, model: str | None, epochs: int | None
) -> TrainingPanel | None:
    """Train with the session's listener."""
    session, preset = work.session, work.preset()
    settings = make_settings(model=model, epochs=epochs, listener=session.listener)
    if is_fast():
        settings = replace(settings, epochs=FAST_EPOCHS, warm_start=False)
    if work.is_trained_as(prepared.recording.sample_rate, settings):
        say(f"You have trained {preset.title}{session.how} on this recording before; that model is used.")
        return None
    if is_fast():
        say(FAST_WORDS)
    name = name_of(work.report(), preset) if session.is_trained else None  # trained anew, it keeps its name
    panel = TrainingPanel(mel=session.listener == MEL)
    step.put(panel)
    checkpoint = session.checkpoint_path
    try:
        train = partial(train_model, prepared, preset, session.model_dir, settings)
        outcome = panel.watch(partial(train, checkpoint=checkpoint, name=name))
    except KeyboardInterrupt:
        how = "What was reached is kept: it goes on from there" if checkpoint.is_file() else "It begins anew"
        raise TimbrekitError(f"Stopped before there was a model. {how} when you run this again.") from None
    early = "stopped early, what was reached is kept" if outcome.trained.interrupted else "done"
    panel.done(
        f"Training is {early}: {len(panel.history)} epochs, {outcome.trained.seconds:.0f} s. "
        f"{outcome.report['verdict'].partition('. ')[0]}."
    )
    work.keep_model(None if outcome.trained.interrupted else outcome.whole)
    return panel


def _compared(work: Work) -> str:
    """Both models of the present choices beside each other, and which of them is played."""
    once, on = (read_report(work.session.trained_dirs[name]).get("unseen") for name in (TORCHDRUM, MEL))
    words, names = "", _names(work)
    if once and on and once["source"] == on["source"] in SETTING:
        missed = [f"{report['error_ratio']:.0%}" for report in (once, on)]
        words = f"{SETTING[on['source']]} {names[TORCHDRUM]} misses {missed[0]} of how your hits differ, "
        words += f"{names[MEL]} {missed[1]}. "
        if on["error_ratio"] >= once["error_ratio"]:
            words += "So with this playing it follows no closer. "
    return f"{words}Both are kept, and {names[work.session.listener]} plays from here on: choose above to change."


def _names(work: Work) -> dict[str, str]:
    """What the models of the listeners are called."""
    if work.preset().synth == SNARE808:
        return {TORCHDRUM: "the one for everywhere", MEL: "the one for page, Max and Pd"}
    return {TORCHDRUM: "the one that hears each hit once", MEL: "the one that listens on"}
