"""The synthesisers that a mapping can play, by name."""

from collections.abc import Callable

from timbrekit.errors import PresetError
from timbrekit.synth.base import Parameter, Synth


def _snare808() -> Synth:
    from timbrekit.synth.snare808 import Snare808  # here, so that presets can be read without torch

    return Snare808()


SNARE808 = "snare808"
SYNTHS: dict[str, Callable[[], Synth]] = {SNARE808: _snare808}


def find_synth(name: str = SNARE808) -> Synth:
    """The synthesiser of that name.

    Raises:
        PresetError: there is none.
    """
    if not isinstance(name, str) or name not in SYNTHS:  # a preset file may hold anything
        raise PresetError(
            f"There is no synthesiser called {str(name)[:40]!r}. Those that this timbrekit has: {', '.join(SYNTHS)}. "
            "Update timbrekit, or choose another preset."
        )
    return SYNTHS[name]()


def parameters_of(name: str = SNARE808) -> tuple[Parameter, ...]:
    """The parameter table of the synthesiser of that name. The 808's takes no torch.

    Raises:
        PresetError: there is no such synthesiser.
    """
    if name == SNARE808:
        from timbrekit.synth.parameters import PARAMETERS

        return PARAMETERS
    return find_synth(name).parameters
