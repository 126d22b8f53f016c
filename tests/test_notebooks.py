"""The notebooks run, say what the package says, and are fit to be read on GitHub."""

import ast
import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="reading pyproject.toml needs Python 3.11 or tomli")
nbformat = pytest.importorskip("nbformat", reason="needs the notebooks extra")
pytest.importorskip("ipywidgets", reason="needs the notebooks extra")
pytest.importorskip("nbval", reason="needs the test extra")

from timbrekit.mapping import MODEL_NAMES  # noqa: E402
from timbrekit.notebook.drum_journey import BLEND_SOURCES, HIT_SOURCES  # noqa: E402
from timbrekit.notebook.journey import DETECTORS, LAST_PRESET, SOMETHING_ELSE, TAKES  # noqa: E402
from timbrekit.notebook.recording_panel import RECORDING_SOURCES  # noqa: E402
from timbrekit.notebook.tone_journey import STEPS, TUNES  # noqa: E402
from timbrekit.notebook.train_step import PLACES  # noqa: E402
from timbrekit.presets import preset_names  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
MOST_BYTES = 1_000_000
LONGEST_SECONDS = 900  # of one notebook on a busy machine
PARAM = re.compile(r"^(\w+) = (.+?)\s+#@param (\[.*?\]|\{.*?\})", re.MULTILINE)
CHOICES = {  # what each form field may offer
    "recording": list(RECORDING_SOURCES),
    "detector": list(DETECTORS),
    "listen_to": list(TAKES),
    "play_something_else": list(SOMETHING_ELSE),
    "model": list(MODEL_NAMES),
    "to_play": list(PLACES),
    "steps": list(STEPS),
    "hits": list(HIT_SOURCES),
    "blend_with": list(BLEND_SOURCES),
    "play_with": list(TUNES),
}


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def github_address():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"]


def test_the_notebooks_of_the_design_are_there():
    assert [name[:2] for name in NAMES] == ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_runs_and_its_checked_outputs_are_as_committed(path, tmp_path, pytestconfig):
    """nbval, in a folder of its own, as `pytest --nbval-lax notebooks` does, with training cut short."""
    if pytestconfig.getoption("nbval_lax", False):
        pytest.skip("nbval runs the notebooks themselves here")
    shutil.copy(path, tmp_path)
    shutil.copytree(REPOSITORY / "sample_audio", tmp_path / "sample_audio")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
    ]
    command += ["--rootdir", str(tmp_path), "--nbval-cell-timeout", str(LONGEST_SECONDS), path.name]
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "TIMBREKIT_FAST": "1", "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_is_small_and_its_cells_keep_their_ids(path):
    assert path.stat().st_size < MOST_BYTES
    ids = [cell["id"] for cell in read(path).cells]
    assert len(set(ids)) == len(ids)
    nbformat.validate(read(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_its_outputs_are_there_and_clean(path):
    """Pictures and text for GitHub; no error, no warning, no sound, no widget without its kernel, no stray value."""
    shown = 0
    for number, cell in enumerate(code_cells(path), 1):
        assert cell.execution_count == number  # from top to bottom
        for output in cell.outputs:
            shown += 1
            assert output.output_type in ("stream", "display_data"), (
                f"{output.output_type} in {cell.source[:60]}"
            )
            if output.output_type == "stream":
                assert output.name == "stdout" and "Warning" not in output.text.replace("Warning: The", "")
            else:
                assert not any("widget" in kind for kind in output.data)
                assert "data:audio" not in output.data.get("text/html", "")
                if "image/png" in output.data:
                    assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")
    assert shown >= 2, "run notebooks/refresh.py"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_was_not_run_with_training_cut_short(path):
    assert "TIMBREKIT_FAST is set" not in json.dumps([cell.outputs for cell in code_cells(path)])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_says_nothing_of_the_machine_it_was_made_on(path):
    text = path.read_text(encoding="utf-8").replace("/content/", "")
    found = re.findall(r"(?:/home/|/root/|/Users/|/tmp/|[A-Z]:\\\\)\S+", text)
    assert not found
    assert str(REPOSITORY) not in text and str(REPOSITORY.parent) + "/" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_its_badge_opens_this_very_notebook_in_colab(path):
    owner_and_name = github_address().removeprefix("https://github.com/")
    links = re.findall(r"https://colab\.research\.google\.com/github/[^)]*", read(path).cells[0].source)
    assert links == [
        f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/{path.name}"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_begins_with_the_same_set_up_which_installs_from_the_projects_address(path):
    first = code_cells(path)[0].source
    assert first == code_cells(NOTEBOOKS[0])[0].source
    addresses = re.findall(r"https://github\.com/\S+?(?= |$|\")", first)
    assert addresses == [github_address()]
    assert "--constraint" in first and "restart" not in first.lower()


def test_the_set_up_pins_what_colab_has_and_installs_nothing_where_timbrekit_is(
    monkeypatch, tmp_path, capsys
):
    """Run for real in both situations, with the commands recorded instead of run."""
    monkeypatch.chdir(tmp_path)
    source = code_cells(NOTEBOOKS[0])[0].source.split("from timbrekit.notebook.journey")[0]
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    exec(source, {})
    assert commands == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(source, {})
    clone, install = commands
    assert clone[:2] == ["git", "clone"] and install[:4] == [sys.executable, "-m", "pip", "install"]
    pins = (tmp_path / "timbrekit-pins.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(pin.lower().split("==") for pin in pins)
    for name in ("torch", "numpy", "ipywidgets"):
        assert pinned[name] == importlib.metadata.version(name).lower()
    assert install[-1] == f"./{clone[-1]}"


def test_the_set_up_says_in_a_sentence_that_there_is_no_network(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def unreachable(command, check):
        raise subprocess.CalledProcessError(128, command)

    monkeypatch.setattr(subprocess, "run", unreachable)
    with pytest.raises(
        SystemExit, match=r"could not be fetched from the network\. Check that this machine is online"
    ):
        exec(code_cells(NOTEBOOKS[0])[0].source, {})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_its_forms_offer_what_the_package_knows(path):
    for cell in code_cells(path):
        for name, value, given in PARAM.findall(cell.source):
            value = ast.literal_eval(value)
            if not given.startswith("["):
                continue
            choices = json.loads(given)
            assert value in choices, f"{name} begins with {value!r}, which is not offered"
            if name == "preset":
                assert choices in (preset_names(), [LAST_PRESET, *preset_names()])
            elif name in CHOICES:
                assert choices == CHOICES[name]
            else:
                assert name == "daw_sample_rate" and choices == [44_100, 48_000, 88_200, 96_000]


@pytest.mark.parametrize("path", NOTEBOOKS[:6], ids=NAMES[:6])
def test_its_code_is_folded_away_in_colab(path):
    assert read(path).metadata.accelerator == "GPU"
    for cell in code_cells(path):
        assert cell.metadata.cellView == "form" and cell.source.startswith("#@title ")


def test_the_quickstart_has_at_most_eight_steps():
    titles = re.findall(
        r"^#@title (\d)", "\n".join(cell.source for cell in code_cells(NOTEBOOKS[0])), re.MULTILINE
    )
    assert titles == list("12345678")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_its_links_to_other_notebooks_lead_somewhere(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([\w.]+\.ipynb)\)", text):
        assert (path.parent / target).is_file(), target
