"""Imports point one way: no circles, and no room leans on one above it. Imports inside functions count too."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from fresh_process import found_in_a_fresh_process

import timbrekit

PACKAGE = Path(timbrekit.__file__).parent
# From the ground up: each room may use those below it.
ROOMS = (
    "errors files compiled time_left synth features loss mapping estimate mapping_looks presets recording training "
    "plugin export results drums tone workflow session experiment notebook commands cli"
).split()
# The science: what a reader of the paper recognises. It stands on ``errors`` and ``compiled`` alone.
CORE_ROOMS = {"synth", "features", "loss", "mapping", "estimate", "mapping_looks"}
CORE = {"timbrekit.training.train"}
FOUNDATION = {"timbrekit.errors", "timbrekit.compiled"}


@cache
def modules():
    """Every module by its dotted name, with what it imports of ours."""
    paths = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: imported(name, path, set(paths)) for name, path in paths.items()}


def imported(name, path, known):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative imports are not followed here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return (found & known) - {name}


def room(module):
    return module.split(".")[1]


def test_no_module_imports_itself_by_way_of_others():
    try:
        TopologicalSorter(modules()).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_no_room_leans_on_one_above_it():
    upward = {
        (name, other)
        for name, others in modules().items()
        for other in others
        if "." in name and "." in other and ROOMS.index(room(name)) < ROOMS.index(room(other))
    }
    assert not upward


def test_the_core_imports_nothing_from_around_it():
    core = CORE | {name for name in modules() if "." in name and room(name) in CORE_ROOMS}
    # What the loop takes as it comes: take, split, settings, the synthesiser played for it, the warm start.
    names = "take", "split", "expected", "settings", "objective", "warm_start"
    parts = {f"timbrekit.training.{name}" for name in names}
    allowed = core | parts | FOUNDATION | {"timbrekit", "timbrekit.training"}
    beyond = {(name, other) for name in core | parts for other in modules()[name] - allowed}
    # A preset and a recording's hits are named in annotations only.
    assert beyond <= {(name, other) for name in beyond_runtime() for other in beyond_runtime()[name]}


@cache
def beyond_runtime():
    """Imports that stand under ``if TYPE_CHECKING``."""
    found = {}
    for name, path in ((name, PACKAGE.parent / (name.replace(".", "/") + ".py")) for name in modules()):
        if path.is_file():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            blocks = [
                n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
            ]
            found[name] = {n.module for block in blocks for n in block.body if isinstance(n, ast.ImportFrom)}
    return found


def test_the_training_loop_is_read_with_few_modules():
    loaded = found_in_a_fresh_process()["modules of the loop"]
    assert len(loaded) < 15, loaded


def test_no_module_is_longer_than_a_sitting_and_the_top_floor_is_small():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path.name: length for path, length in lengths.items() if length > 300} == {}
    assert len([path for path in PACKAGE.iterdir() if not path.name.startswith("__")]) <= 25
