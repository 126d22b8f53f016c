"""Files in and out of a notebook, in Google Colab and elsewhere.

In Colab the notebook runs on a rented machine that is wiped in the end, so files have to be sent to it, fetched
from it, or kept on Google Drive. Elsewhere the same calls do what is sensible on one's own computer. Whatever
goes wrong on the user's side (a dialog closed, a permission refused) is said in a sentence and answered with
None; ``google.colab`` is imported only where it is used.
"""

import base64
import html
import json
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from timbrekit.notebook.words import say
from timbrekit.recording.formats import AUDIO_ENDINGS
from timbrekit.session import default_folder, safe_name

DRIVE = Path("/content/drive")  # Colab's own choice; a mount point must not have a space
PIECE = 1_000_000  # bytes of a recording handed over in one message
LONGEST_RECORDING_SECONDS = 300
MOST_FILES = 200  # listed from Drive


@dataclass(frozen=True)
class Upload:
    """A file that the user handed over."""

    name: str  # as it was saved; a second upload of x.wav is called "x (1).wav"
    content: bytes


def in_colab() -> bool:
    """Whether this is a Colab notebook: its kernel has imported ``google.colab`` before the first cell."""
    return "google.colab" in sys.modules


def upload() -> Upload | None:
    """Ask for one file and wait for it. Only in Colab; elsewhere use ``widgets.upload_button``.

    Returns:
        The file, or None where the dialog was cancelled; a sentence says so.
    """
    uploaded = upload_all()
    if len(uploaded) > 1:
        say(f'{len(uploaded)} files were uploaded; "{uploaded[0].name}" is used, the others are not.')
    return uploaded[0] if uploaded else None


def upload_all() -> list[Upload]:
    """As :func:`upload`: all files that were chosen, none where the dialog was cancelled."""
    from google.colab import _message, files

    try:
        uploaded = files.upload()  # {name: content}; several where several were chosen
    except _message.MessageError as error:
        say(
            f"The upload did not work ({error}). Allow cookies for Colab, or choose your Drive, and run this again."
        )
        return []
    if not uploaded:
        say("Nothing was uploaded. Run this step again and choose a file, or go on with what there is.")
    return [Upload(name, content) for name, content in uploaded.items()]


def record(guided: bool = True) -> Upload | None:
    """Record from the microphone of the computer that shows the notebook.

    In Colab this waits until the recording is stopped. Elsewhere it shows the recorder and returns None at once:
    the recording is saved by the browser and uploaded like any other file.

    Args:
        guided: say what to play on a drum, and count the hits.
    """
    from IPython.display import HTML, display

    options = f"{LONGEST_RECORDING_SECONDS}, {json.dumps(guided)}"
    place = f"recorder-{uuid.uuid4().hex[:8]}"
    script = Path(__file__).with_name("recorder.js").read_text(encoding="utf-8")
    if not in_colab():
        run = f'timbrekitRecordToFile("{place}", {options});'
        display(HTML(f'<div id="{place}"></div><script>{script}\n{run}</script>'))
        return None

    from google.colab import _message, output

    display(HTML(f'<div id="{place}"></div><script>{script}</script>'))
    try:
        result = output.eval_js(f'timbrekitRecordForColab("{place}", {options})')
        if "error" in result:
            say(
                f"There is no sound: {result['error']}. Allow the microphone (the icon in the address bar) "
                "and run this step again, or upload a file."
            )
            return None
        pieces = [
            base64.b64decode(output.eval_js(f"timbrekitPiece({start}, {PIECE})"))
            for start in range(0, result["bytes"], PIECE)
        ]
    except _message.MessageError as error:
        say(f"The recording did not arrive ({error}). Run this step again, or upload a file.")
        return None
    return Upload("my recording.wav", b"".join(pieces))


def download(path: str | Path) -> None:
    """Hand a file to the user: Colab's browser download, elsewhere a visible link and where the file is.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path} to download.")
    if in_colab():
        from google.colab import files

        files.download(str(path))
        say(f"{path.name} ({_size(path)}) is on its way to your browser's downloads.")
        return
    from IPython.display import HTML, display

    display(HTML(link(path)))


def link(path: Path) -> str:
    """HTML of a link that saves a file, relative to the notebook where it can be."""
    try:
        relative = path.resolve().relative_to(Path.cwd().resolve())
    except ValueError:
        relative = path
    name, shown = html.escape(path.name), html.escape(str(relative))
    target = html.escape(quote(relative.as_posix()))
    return f'<a href="{target}" download="{name}"><b>Download {name}</b></a> ({_size(path)}; the file is "{shown}")'


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 1):.0f} kB"


def mount_drive() -> Path | None:
    """Connect the user's Google Drive, which asks for permission.

    Returns:
        The folder "My Drive", or None where it was refused or failed, or outside Colab; a sentence says so.
    """
    if not in_colab():
        say("Google Drive can only be connected in Colab; here your files are on this computer.")
        return None
    from google.colab import _message, drive

    try:
        drive.mount(str(DRIVE))
    except (_message.MessageError, ValueError) as error:  # refused, closed, or Drive's own failure
        say(f"Google Drive is not connected ({error}). You can go on without it.")
        return None
    # Both names are the same folder; which one there is has changed over the years.
    return next((DRIVE / name for name in ("MyDrive", "My Drive") if (DRIVE / name).is_dir()), None)


def work_folder(keep_on_drive: bool = False, name: str = "my session") -> Path:
    """Where this user's work is kept, in a folder of that name.

    In Colab on Drive, in "timbrekit", if ``keep_on_drive`` and the user lets us; else on Colab's machine, which
    forgets it in the end. Elsewhere ``sessions`` beside the notebook.
    """
    if not in_colab():
        return default_folder(name)
    my_drive = mount_drive() if keep_on_drive else None
    if my_drive is not None:
        return my_drive / "timbrekit" / safe_name(name, fallback="my session")
    say("Your work stays on Colab's machine and goes when it is switched off: download it at the end.")
    return Path("/content") / default_folder(name)


def is_on_drive(folder: Path) -> bool:
    """Whether a folder is on the connected Drive, which every notebook in Colab sees."""
    return in_colab() and DRIVE in folder.parents


def audio_files(folder: Path) -> list[Path]:
    """Recordings in a folder and three levels below, newest first; at most ``MOST_FILES``."""
    found = []
    for pattern in ("*", "*/*", "*/*/*", "*/*/*/*"):
        found += [file for file in folder.glob(pattern) if _is_sound(file)]
    return sorted(found, key=lambda file: -file.stat().st_mtime)[:MOST_FILES]


def _is_sound(file: Path) -> bool:
    """Whether a file is offered: by its ending, and not one of macOS's companions ("._take.wav")."""
    return file.suffix.lower() in AUDIO_ENDINGS and not file.name.startswith("._") and file.is_file()
