"""Run the notebooks and keep their outputs as they are shown on GitHub: pictures, tables and text.

    python notebooks/refresh.py [--fast] [NAME ...]

Edit the notebooks themselves, then run this. What only works in a live notebook (widgets, sounds, links to files of
a session) is taken out again, as is everything that changes from run to run. 00, 06 and 07 run each on their own,
01 to 05 one after the other in one session, as a user would.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LIVE_HTML = re.compile(r"data:audio|<button|<script|download=|srcdoc=")
TIMEOUT_SECONDS = 900


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what is not for keeping, in place."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code_cells, 1):
        cell.execution_count = number  # nbval refuses outputs of a cell that was not run
        cell.metadata.pop("execution", None)
        kept = []
        for output in cell.outputs:
            if "execution_count" in output:
                output["execution_count"] = number
            data = output.get("data")
            if data is not None:
                data.pop(WIDGET_VIEW, None)
                if LIVE_HTML.search(data.get("text/html", "")):
                    continue
            kept.append(output)
        cell.outputs = kept
    return notebook


def run(names: list[str]) -> None:
    """Run notebooks one after the other in a folder of their own, and write their outputs."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(FOLDER.parent / "sample_audio", Path(folder) / "sample_audio")
        for name in names:
            path = FOLDER / f"{name}.ipynb"
            notebook = nbformat.read(path, as_version=4)
            client = NotebookClient(
                notebook, timeout=TIMEOUT_SECONDS, resources={"metadata": {"path": folder}}
            )
            client.execute()
            nbformat.write(clean(notebook), path)
            print(f"{name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="without .ipynb; all by default")
    parser.add_argument(
        "--fast", action="store_true", help="with training cut short: for trying, not for keeping"
    )
    options = parser.parse_args()
    if options.fast:
        os.environ["TIMBREKIT_FAST"] = "1"
    names = options.names or sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    journey = [name for name in names if "01" <= name[:2] <= "05"]
    for group in [[name] for name in names if name not in journey] + ([journey] if journey else []):
        run(group)


if __name__ == "__main__":
    sys.exit(main())
