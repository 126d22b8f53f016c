"""What is seen in a Python that has just started: one process for all who ask, as importing torch takes seconds."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import timbrekit

TESTS = Path(__file__).parent
PROGRAM = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
found = {}

import timbrekit.training.train
found["modules of the loop"] = sorted(name for name in sys.modules if name.split(".")[0] == "timbrekit")

import matplotlib
from timbrekit.results import plots
before = {key: matplotlib.rcParams[key] for key in plots.STYLE}
figure, ax = plots.new_figure(); plots.plot_losses(ax, [1], [1]); plots.to_png(figure)
found["style is untouched"] = before == {key: matplotlib.rcParams[key] for key in plots.STYLE}
found["pyplot is loaded"] = "matplotlib.pyplot" in sys.modules

from model_files import metadata_of, trained_mapping
from timbrekit.export.torchdrum import serialize
mapping = trained_mapping()
found["hash of a model"] = hashlib.sha256(serialize(mapping, metadata_of(mapping))).hexdigest()
print(json.dumps(found))
"""


@cache
def found_in_a_fresh_process() -> dict[str, Any]:
    """By what it says, as above."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": str(Path(timbrekit.__file__).parents[1]),
    }
    command = [sys.executable, "-c", PROGRAM, str(TESTS)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(finished.stdout)
