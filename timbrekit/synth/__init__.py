"""The synthesisers that a mapping can play, by name."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from timbrekit.errors import PresetError
from timbrekit.synth.base import Parameter, Synth

if TYPE_CHECKING:
    from timbrekit.synth.drum import Drum


def _snare808() -> Synth:
    from timbrekit.synth.snare808 import Snare808  # here, so that presets can be read without torch

    return Snare808()


SNARE808 = "snare808"
DRUM = "drum"  # one for each drum: it comes with the preset or the model, which hold what was analysed
SYNTHS: dict[str, Callable[[], Synth]] = {SNARE808: _snare808}


def find_synth(name: str = SNARE808, drum: Mapping[str, Any] | None = None) -> Synth:
    """The synthesiser of that name.

    Args:
        name: one of ``SYNTHS``, or ``drum``.
        drum: that drum as a preset or a model holds it (``timbrekit.synth.drum``).

    Raises:
        PresetError: there is none, or the drum is missing or damaged.
    """
    if name == DRUM:
        from timbrekit.synth.drum_model import DrumModel

        return DrumModel(_parsed(drum))
    if not isinstance(name, str) or name not in SYNTHS:  # a preset file may hold anything
        raise PresetError(
            f"There is no synthesiser called {str(name)[:40]!r}. Those that this timbrekit has: {', '.join(SYNTHS)}. "
            "Update timbrekit, or choose another preset."
        )
    return SYNTHS[name]()


def parameters_of(name: str = SNARE808, drum: Mapping[str, Any] | None = None) -> tuple[Parameter, ...]:
    """The parameter table of the synthesiser of that name. That of the 808, or of a drum, takes no torch.

    Raises:
        PresetError: there is no such synthesiser.
    """
    if name == SNARE808:
        from timbrekit.synth.parameters import PARAMETERS

        return PARAMETERS
    if name == DRUM:
        return _parsed(drum).parameters()
    return find_synth(name).parameters


def _parsed(drum: Mapping[str, Any] | None) -> "Drum":
    from timbrekit.synth.drum import parse_drum  # here, as it takes scipy

    return parse_drum(drum, "The preset or model")
