"""A stand-in for ``google.colab`` that behaves as its published source does (googlecolab/colabtools).

``files.upload`` saves into the working folder, numbers the name of a file that is there already ("x (1).wav"), says
so, and answers with the saved names; a cancelled dialog gives an empty dict. ``files.download`` wants an existing
file. ``drive.mount`` refuses mount points with a space, is content with a mounted drive, and raises ``MessageError``
when permission is refused. ``output.eval_js`` answers with plain JSON values, or raises ``MessageError`` where the
script throws. What the user does is set beforehand on :class:`Colab`.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


class MessageError(Exception):
    """``google.colab._message.MessageError``: the browser's side of a request failed."""


class Colab:
    """What the user will do, and what the notebook did."""

    def __init__(self) -> None:
        self.uploads: list[tuple[str, bytes]] = []  # chosen in the next dialog; none is Cancel
        self.cookies_blocked = False
        self.allows_drive = True
        self.mounts_at: Path | None = None  # stands for /content/drive
        self.answer_js: Callable[[str], Any] = lambda script: None
        self.downloaded: list[tuple[str, bytes]] = []
        self.scripts: list[str] = []

    def upload(self) -> dict[str, bytes]:
        if self.cookies_blocked:
            raise MessageError("TypeError: google.colab._files is undefined")
        saved = {}
        for name, content in self.uploads:
            stem, ending = os.path.splitext(name)
            free, number = name, 0
            while os.path.lexists(free):
                number += 1
                free = f"{stem} ({number}){ending}"
            print(f"Saving {name} to {free}")
            Path(free).write_bytes(content)
            saved[free] = content
        return saved

    def download(self, filename: str) -> None:
        if not os.path.exists(filename):
            raise FileNotFoundError(f"Cannot find file: {filename}")
        self.downloaded.append((os.path.basename(filename), Path(filename).read_bytes()))

    def mount(self, mountpoint: str, force_remount: bool = False, timeout_ms: int = 120_000) -> None:
        if " " in mountpoint:
            raise ValueError("Mountpoint must not contain a space.")
        folder = self.mounts_at or Path(mountpoint)
        if (folder / "My Drive").is_dir() and not force_remount:
            print(f"Drive already mounted at {mountpoint}; to attempt to forcibly remount, call …")
            return
        if not self.allows_drive:
            raise MessageError("Error: credential propagation was unsuccessful")
        (folder / "My Drive" / "Colab Notebooks").mkdir(parents=True)
        if not (folder / "MyDrive").exists():
            (folder / "MyDrive").symlink_to(folder / "My Drive")
        print(f"Mounted at {mountpoint}")

    def eval_js(self, script: str, ignore_result: bool = False) -> Any:
        self.scripts.append(script)
        answer = self.answer_js(script)
        return None if ignore_result else answer

    def install(self, monkeypatch: Any) -> "Colab":
        """Put the modules where ``import google.colab`` finds them."""

        def module(name: str, **content: Any) -> ModuleType:
            made = ModuleType(name)
            made.__dict__.update(content)
            monkeypatch.setitem(sys.modules, name, made)
            return made

        parts = {
            "files": module("google.colab.files", upload=self.upload, download=self.download),
            "drive": module("google.colab.drive", mount=self.mount),
            "output": module("google.colab.output", eval_js=self.eval_js),
            "_message": module("google.colab._message", MessageError=MessageError),
        }
        colab = module("google.colab", __path__=[], **parts)
        module("google", __path__=[], colab=colab)
        return self
