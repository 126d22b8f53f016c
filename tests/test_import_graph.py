"""Imports point one way: no circles, and no room leans on one above it. Imports inside functions count too."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import timbrekit

PACKAGE = Path(timbrekit.__file__).parent
# From the ground up: each room may use those below it.
ROOMS = (
    "errors files compiled synth features loss mapping presets recording training plugin export results tone workflow "
    "session experiment notebook commands cli"
).split()
NOT_YET = {
    ("timbrekit.training.settings", "timbrekit.training.published")
}  # a circle that is still to be opened


@cache
def modules():
    """Every module by its dotted name, with what it imports of ours."""
    paths = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {name: imported(name, path, set(paths)) for name, path in paths.items()}
    for name, other in NOT_YET:
        graph[name].remove(other)  # fails once it is open
    return graph


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
