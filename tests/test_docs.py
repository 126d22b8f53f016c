"""The documentation points at what exists, and uses the field's words."""

import io
import json
import re
import tokenize
from pathlib import Path

import pytest
from results_page import results

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
OLD_WORDS = re.compile(
    r"\bl(?:ead|eads|eading|ed)\s+(?:it\s+)?back\b|\bstand-ins?\b|\bslopes?\b|\bsketch(?:es|ing)?\b|\brestraint\b"
    r"|running\s+mean\s+of\s+the\s+weights|recorded\s+once\s+and\s+replayed",
    re.IGNORECASE,
)


def anchors(page):
    found = set()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-"))
    return found


def broken_links(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert not list(broken_links(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_exists(page):
    named = re.findall(r"`((?:timbrekit|tests|notebooks)/[\w./]+)`", page.read_text(encoding="utf-8"))
    assert not [path for path in named if "NAME" not in path and not (ROOT / path).exists()]


def comments_and_docstrings(path):
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and '"""' in token.string):
            yield token.string


def texts():
    for page in PAGES:
        yield page, page.read_text(encoding="utf-8")
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        yield notebook, "\n".join("".join(cell["source"]) for cell in cells)
    for module in sorted((ROOT / "timbrekit").rglob("*.py")):
        yield module, "\n".join(comments_and_docstrings(module))


def test_the_words_are_the_field_s():
    found = {str(path.relative_to(ROOT)): OLD_WORDS.findall(text) for path, text in texts()}
    assert {path: words for path, words in found.items() if words} == {}


def test_the_results_are_those_of_the_pages_they_come_from():
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == results()
