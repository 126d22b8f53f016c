"""The published comparison over drums, presets, sizes and seeds (Shier et al., NIME 2024, section 4).

``Plan`` says what is compared, :func:`run_shard` trains and measures it or a shard of it, :func:`write_tables` makes
the tables of what the shards left in a folder. ``played`` holds another comparison: what comes out of the plug-in.
"""

from timbrekit.experiment.plan import Plan
from timbrekit.experiment.shard import run_shard
from timbrekit.experiment.table import write_tables

__all__ = ["Plan", "run_shard", "write_tables"]
