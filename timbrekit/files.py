"""Files are written whole or not at all."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from timbrekit.errors import OutputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path`` that takes its place when the block ends well.

    The folder is made where it is missing. If the block raises, the temporary file is removed and whatever
    was at ``path`` before is still there, untouched.

    Raises:
        OutputError: the folder or the file cannot be written (read-only, disk full, a file in the way).
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays last because writers choose the format by it.
        name = path.parent / f".{path.stem[:40]}-{secrets.token_hex(4)}{path.suffix}"
        name.open("xb").close()  # "x": never somebody else's file
        temporary = name
        yield temporary
        with temporary.open("r+b") as written:  # Windows syncs only what is open for writing
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Cannot write {path}: {reason}. Choose another folder, or free some space, and try again."
        ) from error
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                temporary.unlink()


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as readable JSON, whole or not at all. NaN is refused (ValueError): it is not JSON."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
