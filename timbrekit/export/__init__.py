"""Delivering a trained model: one file a target."""
