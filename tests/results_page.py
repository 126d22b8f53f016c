"""docs/results.md, made from the pages that hold the measurements: ``python -m tests.results_page`` from the root."""

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
INTRODUCTION = """\
# Results

Made by `python -m tests.results_page` from the pages that it links to. No figure here was typed in.

An error ratio of 0 follows exactly, and 1 is no better than the unmodulated preset. *Second pass*: a plug-in that has
heard the take once. *Cold*: a plug-in just opened.
"""


def table(page: str, heading: str) -> str:
    """The first table below a heading."""
    text = (DOCS / page).read_text(encoding="utf-8").split(f"\n## {heading}", 1)[1]
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            break
    return "\n".join(lines)


def results() -> str:
    return f"""\
{INTRODUCTION}
## As played

{table("lab_notes/as_played.md", "On the take that was trained on")}

From [as played](lab_notes/as_played.md), which says how it was measured, with the settings of 2026-11-27.

## Unseen takes

{table("experiments.md", "Unseen takes: the published method beside ours")}

From [experiments.md](experiments.md#unseen-takes-the-published-method-beside-ours). More of ours:
[training.md](training.md#chosen-by-unseen-playing).

## Speed on a CPU

{table("benchmarks.md", "A batch of 16 hits, and an epoch")}

From [benchmarks.md](benchmarks.md). The same on a GPU: [benchmarks_gpu.md](benchmarks_gpu.md).

## The paper's experiments

[experiments.md](experiments.md) has the tables of the paper's experiments, and how to run them.
"""


if __name__ == "__main__":
    (DOCS / "results.md").write_text(results(), encoding="utf-8")
