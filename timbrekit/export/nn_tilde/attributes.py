"""What nn~ asks a module and what its user may set, apart from the sound.

nn~ finds methods and attributes by their names: ``NAME_params`` holds the shape of a method or the types of an
attribute, ``get_NAME`` and ``set_NAME`` do the rest.
"""

import torch

from timbrekit.export.nn_tilde.dsp import limited, rounded
from timbrekit.export.nn_tilde.script import FLOAT, INT, NnModule
from timbrekit.plugin.rehearse import SENSITIVITY_RANGE
from timbrekit.recording.onsets import (
    HOLD_RANGE,
    LOWEST_SAMPLE_RATE,
    OFF_THRESHOLD_RANGE,
    ON_THRESHOLD_RANGE,
    DetectorSettings,
)

SAMPLE_RATE_RANGE = (LOWEST_SAMPLE_RATE, 768_000)  # Hz
# A switch is 0 or 1: nn~ reads a bool from the word "true" only, not from a toggle.
ATTRIBUTES = {
    "sample_rate": INT,
    "sensitivity": FLOAT,
    "on_threshold": FLOAT,
    "off_threshold": FLOAT,
    "hold": INT,
    "fixed_ranges": INT,
    "dry_wet": FLOAT,
    "noise": INT,
}
# A model that hears looks has the ranges of its training, and no others.
LOOKS_ATTRIBUTES = {name: kind for name, kind in ATTRIBUTES.items() if name != "fixed_ranges"}


class NnAttributes(NnModule):
    """The attributes, with setters that bring a value into its range and answer 0, nn~'s word for done."""

    def __init__(self, sample_rate: int, settings: DetectorSettings, sound: str, attributes: dict[str, int]):
        super().__init__()
        self.describe([sound, "1 at each trigger, else 0"], "drum", attributes)
        # TorchScript sees no names from outside its class.
        self.rate_limits, self.hold_limits = SAMPLE_RATE_RANGE, HOLD_RANGE
        self.on_limits, self.off_limits = ON_THRESHOLD_RANGE, OFF_THRESHOLD_RANGE
        self.sensitivity_limits = SENSITIVITY_RANGE
        self.sample_rate = int(sample_rate)
        self.sensitivity = 1.0
        self.on_threshold = rounded(float(settings.on_threshold))
        self.off_threshold = rounded(float(settings.off_threshold))
        self.hold = int(settings.hold)
        self.fixed_ranges = 1
        self.dry_wet = 1.0
        self.noise = 1

    def restart(self) -> None:
        raise NotImplementedError

    def forget_ranges(self) -> None:
        raise NotImplementedError

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return self.sample_rate

    @torch.jit.export
    def set_sample_rate(self, value: int) -> int:
        """Hz; a new rate starts the instrument afresh. nn~ may call this too, when it knows its host's rate."""
        rate = int(limited(float(value), float(self.rate_limits[0]), float(self.rate_limits[1])))
        if rate != self.sample_rate:
            self.sample_rate = rate
            self.restart()
        return 0

    @torch.jit.export
    def get_sensitivity(self) -> float:
        return self.sensitivity

    @torch.jit.export
    def set_sensitivity(self, value: float) -> int:
        self.sensitivity = limited(value, self.sensitivity_limits[0], self.sensitivity_limits[1])
        return 0

    @torch.jit.export
    def get_on_threshold(self) -> float:
        return self.on_threshold

    @torch.jit.export
    def set_on_threshold(self, value: float) -> int:
        self.on_threshold = rounded(limited(value, self.on_limits[0], self.on_limits[1]))
        return 0

    @torch.jit.export
    def get_off_threshold(self) -> float:
        return self.off_threshold

    @torch.jit.export
    def set_off_threshold(self, value: float) -> int:
        self.off_threshold = rounded(limited(value, self.off_limits[0], self.off_limits[1]))
        return 0

    @torch.jit.export
    def get_hold(self) -> int:
        return self.hold

    @torch.jit.export
    def set_hold(self, value: int) -> int:
        self.hold = min(max(value, self.hold_limits[0]), self.hold_limits[1])
        return 0

    @torch.jit.export
    def get_fixed_ranges(self) -> int:
        return self.fixed_ranges

    @torch.jit.export
    def set_fixed_ranges(self, value: int) -> int:
        """1: the training take's. 0: growing, as the plug-in's, from nothing on."""
        self.fixed_ranges = int(value != 0)
        self.forget_ranges()
        return 0

    @torch.jit.export
    def get_dry_wet(self) -> float:
        return self.dry_wet

    @torch.jit.export
    def set_dry_wet(self, value: float) -> int:
        self.dry_wet = limited(value, 0.0, 1.0)
        return 0

    @torch.jit.export
    def get_noise(self) -> int:
        return self.noise

    @torch.jit.export
    def set_noise(self, value: int) -> int:
        self.noise = int(value != 0)
        return 0
