"""TorchDrum's controls by the names that stand on them, and what each does, in the same words everywhere.

Read without torch: the command line's help has them, too.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Knob:
    """A control of the plug-in."""

    name: str  # as it stands there
    does: str  # in a drummer's words
    unit: str = ""
    key: str = ""  # in ``DetectorSettings``, reports and options, of those of the onset detector

    @property
    def title(self) -> str:
        """Name, and in brackets what it does."""
        return f"{self.name} ({self.does})"


TRIGGER = Knob("Trigger Threshold", "how sudden a hit has to be", "dB", "on_threshold")
RETRIGGER = Knob("Retrigger Threshold", "how calm it has to get before the next", "dB", "off_threshold")
HOLD = Knob("Hold Time", "how long nothing else is a hit", "samples", "hold")
DETECTOR = (TRIGGER, RETRIGGER, HOLD)
NEURALITY = Knob("Neurality", "how strongly it follows you")
WHERE = "https://github.com/jorshi/torchdrum-plugin"
