"""From one notebook to the next: whose recording it is about, and how one's own work comes along in Colab.

There every notebook has a machine of its own. What one made is in the next only by way of Google Drive, or of a zip.
"""

import zipfile
from pathlib import Path

from timbrekit.errors import TimbrekitError
from timbrekit.notebook import colab
from timbrekit.notebook.recording_panel import SAMPLE_NAME, find_sample
from timbrekit.notebook.widgets import show_html, table_html
from timbrekit.notebook.words import say
from timbrekit.presets import Preset
from timbrekit.results.bundle import bundle_contents, write_bundle
from timbrekit.session import Session
from timbrekit.session.archive import pack_session, unpack_session
from timbrekit.session.state import digest_of

ZIP_NAME = "my timbrekit session.zip"
TWO_WAYS = (
    "Every notebook in Colab has a machine of its own. To go on with your recording, run the first step again: with "
    "keep_my_work_on_google_drive ticked, here and in the notebook before, or with go_on_from_a_session_zip ticked, "
    f'and choose the "{ZIP_NAME}" that the notebook before gave you.'
)
OF_THE_SAMPLE = (
    "This is the sample recording's instrument, so nothing is downloaded. Bring a recording of your own and run this "
    "again, or tick even_of_the_sample to have this one."
)


def is_sample(session: Session) -> bool:
    """Whether the session's recording is the one that comes with timbrekit."""
    try:
        with find_sample().open("rb") as file:
            return session.state.recording_sha256 == digest_of(file)
    except TimbrekitError:  # it is not on this computer
        return False


def whose_words(session: Session, on_drive: bool) -> str:
    """Whose recording the notebook works on, and in Colab how to have one's own where it is not."""
    if session.recording_path is not None and not is_sample(session):
        return f'This notebook works on your recording "{session.state.recording}".'
    shown = "This notebook shows the sample recording, until you bring one of your own"
    if session.recording_path is None:
        shown = "There is no recording of yours here yet: " + shown[0].lower() + shown[1:]
    return f"{shown}. {TWO_WAYS}" if colab.in_colab() and not on_drive else f"{shown}."


def bring_session(folder: Path) -> Session | None:
    """Ask for the zip of a session, and go on with it in ``folder``. None where there is none; a sentence says why."""
    if not colab.in_colab():
        say("Here all notebooks share one folder, so no zip is needed.")
        return None
    handed = colab.upload()
    if handed is None:
        return None
    try:
        return unpack_session(Path(handed.name), folder)  # Colab has saved it under this name
    except TimbrekitError as error:
        say(str(error))
        return None


def take_along(session: Session) -> None:
    """Hand over the session as a zip where the next notebook cannot find it by itself, and say which it is."""
    if not colab.in_colab():
        hits = "" if session.state.hits is None else f" and its {session.state.hits} hits"
        say(
            f'The next notebook goes on with "{session.state.recording or SAMPLE_NAME}"{hits}: all of them share one '
            "folder on this computer."
        )
    elif colab.is_on_drive(session.folder):
        say("The next notebook goes on with this if keep_my_work_on_google_drive is ticked there, too.")
    elif session.recording_path is None or is_sample(session):
        say(
            "This is the sample recording's: there is nothing to take along. The next notebook shows the sample, too."
        )
    else:
        colab.download(pack_session(session, session.folder / ZIP_NAME))
        say(
            "Take it along: tick go_on_from_a_session_zip in the first step of the next notebook, and choose this file."
        )


def kept_back(session: Session, even_of_the_sample: bool) -> bool:
    """Whether there is nothing to hand over: in Colab what is the sample's, unless it is asked for. Says so."""
    if colab.in_colab() and is_sample(session) and not even_of_the_sample:
        say(OF_THE_SAMPLE)
        return True
    return False


def hand_over(session: Session, preset: Preset) -> None:
    """A zip for each model of the session's recording, detector and preset, and what is in it."""
    for listener, folder in session.trained_dirs.items():
        path = write_bundle(folder, preset)
        with zipfile.ZipFile(path) as archive:
            held = archive.namelist()
        contents = bundle_contents(path.stem, preset.synth, listener).items()
        show_html(
            table_html(
                [{"in the zip": name, "what it is for": use} for name, use in contents if name in held]
            )
        )
        colab.download(path)
