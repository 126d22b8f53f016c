"""Where the recordings, vectors and cases lie that tests use beside the project. They may be absent."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("TIMBREKIT_SHARED", REPOSITORY.parent / "shared"))


def shared_folder(name: str) -> Path:
    """A folder of it; the test is skipped where there is none."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(
            f"needs the {name} folder of test material; set TIMBREKIT_SHARED to the folder holding it"
        )
    return folder
