"""Training a mapping on a take."""
