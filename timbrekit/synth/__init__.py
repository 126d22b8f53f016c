"""The synthesisers that a mapping can play."""
