"""Training as a step of a notebook: with what was chosen, to be watched and stopped."""

from dataclasses import replace

from timbrekit.errors import TimbrekitError
from timbrekit.notebook.step import Step
from timbrekit.notebook.training_panel import FAST_EPOCHS, FAST_WORDS, TrainingPanel, is_fast
from timbrekit.notebook.words import say
from timbrekit.notebook.work import Work
from timbrekit.recording.prepare import prepare
from timbrekit.results.report import name_of
from timbrekit.training.recipes import make_settings
from timbrekit.workflow import train_model


def train_in(
    step: Step, work: Work, sample_rate: int, model: str | None, epochs: int | None
) -> TrainingPanel | None:
    """Train with the session's choices and show it in a step's place; None where it was done before.

    Raises:
        TimbrekitError: it cannot be trained, or was stopped before there was anything to keep.
    """
    session, preset = work.session, work.preset()
    session.keep_preset(preset.to_json())
    recording, detector = work.recording(sample_rate), work.detector()
    prepared = replace(prepare(recording, sample_rate, detector), suggestion=work.suggestion())
    session.keep_detector(detector, len(prepared.hits))
    settings = make_settings(model=model, epochs=epochs)
    if is_fast():
        settings = replace(settings, epochs=FAST_EPOCHS, warm_start=False)
    if work.is_trained_as(sample_rate, settings):
        say(f"You have trained {preset.title} on this recording before; that model is used.")
        return None
    if is_fast():
        say(FAST_WORDS)
    name = name_of(work.report(), preset) if session.is_trained else None  # trained anew, it keeps its name
    panel = TrainingPanel()
    step.put(panel)
    checkpoint = session.checkpoint_path
    try:
        outcome = panel.watch(
            lambda progress, stage: train_model(
                prepared,
                preset,
                session.model_dir,
                settings,
                progress,
                stage,
                checkpoint=checkpoint,
                name=name,
            )
        )
    except KeyboardInterrupt:
        how = "What was reached is kept: it goes on from there" if checkpoint.is_file() else "It begins anew"
        raise TimbrekitError(f"Stopped before there was a model. {how} when you run this again.") from None
    early = "stopped early, the best so far is kept" if outcome.trained.interrupted else "done"
    panel.done(
        f"Training is {early}: {len(outcome.trained.history)} epochs, {outcome.trained.seconds:.0f} s. "
        f"{outcome.report['verdict'].partition('. ')[0]}."
    )
    work.keep_model(None if outcome.trained.interrupted else outcome.played["after_primer"])
    return panel
