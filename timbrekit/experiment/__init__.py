"""Comparisons over drums, presets, recipes, sizes and seeds: the table of the paper (Shier et al., NIME 2024, section
4), and that of what comes out of the plug-in (docs/as_played.md).

``Plan`` says what is compared, :func:`run_experiment` trains and measures it, :func:`write_tables` makes the tables of
what is in a folder.
"""

from timbrekit.experiment.plan import PLAYED, Plan
from timbrekit.experiment.run import run_experiment
from timbrekit.experiment.table import write_tables

__all__ = ["PLAYED", "Plan", "run_experiment", "write_tables"]
