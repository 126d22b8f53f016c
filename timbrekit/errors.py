"""What can go wrong, in the user's words, and what was found on the way."""

from dataclasses import dataclass
from typing import Literal


class TimbrekitError(Exception):
    """Base of every error that timbrekit raises on purpose.

    The message says what is wrong with which file, the measured value and the limit, and what to do next.
    """


class RecordingError(TimbrekitError):
    """A recording cannot be read or cannot be used for training."""


class PresetError(TimbrekitError):
    """A preset is unknown, malformed or out of range."""


class ModelFileError(TimbrekitError):
    """A model file cannot be read, or is not what the plug-in accepts."""


class TrainingError(TimbrekitError):
    """Training cannot start or cannot go on."""


class GpuError(TrainingError):
    """A GPU is there, and training on it failed. The CPU can do the same."""


class SessionError(TimbrekitError):
    """A session folder cannot be read or written."""


class OutputError(TimbrekitError):
    """A result cannot be written where the user asked for it."""


class TimbrekitWarning(UserWarning):
    """Something is done otherwise than it was asked for; the text says why."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for use within a sentence. It may quote a stranger's bytes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable((lines[0] if lines else type(error).__name__)[:200].rstrip("."))


def printable(words: str, instead: str = "?") -> str:
    """Words of a stranger's that may be printed: one line, without control characters."""
    return "".join(letter if letter.isprintable() else instead for letter in words)


@dataclass(frozen=True)
class Finding:
    """Something measured about the user's input that they should know. It never stops the work."""

    kind: str  # short stable identifier, e.g. "clipped"
    severity: Literal["info", "warning", "error"]
    value: float  # as measured; its unit is part of the advice
    limit: float
    advice: str  # one or two sentences a drummer understands: what was measured, what to do

    @classmethod
    def warning(cls, kind: str, value: float, limit: float, advice: str) -> "Finding":
        return cls(kind, "warning", float(value), float(limit), advice)
