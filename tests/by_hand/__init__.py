"""Long runs that try to break timbrekit, started by hand: ``python -m tests.by_hand.NAME`` from the repository's root.

What they found last is in docs/lab_notes/robustness.md.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch loads, as in tests/conftest.py
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' own modules
