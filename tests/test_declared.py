"""Every package that timbrekit imports is declared in pyproject.toml, and none that it does not need."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "timbrekit"
PROVIDED_BY = {"PIL": "pillow", "sklearn": "scikit-learn", "IPython": "ipython"}  # where the names differ
ONLY_IN_COLAB = {"google"}  # no package to install: it is there or not
NOT_IMPORTED = {"jupyter", "jinja2"}  # runs the notebooks; fills in pandas' LaTeX tables


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Names of packages that are not ours nor Python's, and whether importing the module imports them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_once = {id(statement) for statement in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module]
        else:
            continue
        for module in modules:
            name = module.partition(".")[0]
            if name not in sys.stdlib_module_names and name not in ("timbrekit", *ONLY_IN_COLAB):
                yield PROVIDED_BY.get(name, name).lower(), id(node) in at_once


def declared() -> tuple[set[str], set[str]]:
    """What is installed always, and what the extras for users add. (Not the tests' extra: users do not have it.)"""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}

    extras = project["optional-dependencies"]
    return names(project["dependencies"]), set().union(
        *(names(extras[name]) for name in extras if name != "test")
    )


def test_every_import_is_declared():
    always, extras = declared()
    for path in sorted(PACKAGE.rglob("*.py")):
        in_notebooks = PACKAGE / "notebook" in path.parents
        for name, at_once in imported(path):
            allowed = always | extras if in_notebooks or not at_once else always
            assert name in allowed, (
                f"{path.relative_to(REPOSITORY)} imports {name}, which pyproject.toml does not have"
            )


def test_every_declared_package_is_imported():
    always, extras = declared()
    used = {name for path in PACKAGE.rglob("*.py") for name, _ in imported(path)}
    assert (always | extras) - NOT_IMPORTED <= used


def test_every_package_is_declared_with_a_reason():
    lines = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    begin = lines.index("dependencies = [")
    for line in lines[begin + 1 : lines.index("]", begin)]:
        assert "  # " in line, line
