"""How fast training is, how much memory it takes, and how soon it is as good: measured anew by anyone.

``python -m tests.benchmarks`` from the repository's root writes ``docs/benchmarks.md``.
"""
