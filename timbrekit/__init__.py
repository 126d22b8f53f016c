"""timbrekit: turn one minute of drumming into an instrument for the TorchDrum plug-in."""

__version__ = "0.1.0"
