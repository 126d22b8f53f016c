"""Help, presets and wrong arguments are answered at once: torch, which takes seconds, is not loaded for them."""

import argparse
import json
import subprocess
import sys

from timbrekit.cli import build_parser
from timbrekit.mapping import MODEL_NAMES
from timbrekit.training import names
from timbrekit.training.published import PUBLISHED
from timbrekit.training.settings import Settings

ANSWERED_AT_ONCE = {
    "help": ["--help"],
    "help of a command": ["train", "--help"],
    "version": ["--version"],
    "presets": ["presets"],
    "presets as JSON": ["presets", "--json"],
    "no command": [],
    "no such command": ["practise"],
    "no recording": ["train", "--out", "x"],
    "no such model": ["train", "take.wav", "--out", "x", "--model", "huge"],
    "no such device": ["experiment", "--device", "abacus"],
    "help of a command of a command": ["tone", "train", "--help"],
    "no such loudness": ["tone", "play", "a", "b", "c", "--loudness", "loud"],
    "no such preset": ["train", "take.wav", "--out", "x", "--preset", "snare-99"],
    "an option of the other table": ["experiment", "take.wav", "--out", "x", "--recipes", "published"],
}
HEAVY = {"torch", "librosa", "numba", "scipy", "matplotlib", "soundfile"}
PROGRAM = """
import contextlib, io, json, sys
from timbrekit.cli import main

answers = {}
for name, arguments in json.loads(sys.argv[1]).items():
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = ended.code
    answers[name] = [status, said.getvalue(), sorted(sys.modules)]
print(json.dumps(answers))
"""


def test_help_presets_and_wrong_arguments_are_answered_without_torch(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(ANSWERED_AT_ONCE)],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        timeout=300,
    )
    answers = json.loads(finished.stdout)
    assert set(answers) == set(ANSWERED_AT_ONCE)
    for name, (status, said, modules) in answers.items():
        fine = name.split()[0] in ("help", "version", "presets")
        assert status == (0 if fine else 2) and said, (name, said)
        assert not HEAVY & set(modules), (name, HEAVY & set(modules))


def test_the_names_on_offer_are_those_that_there_are():
    assert names.MODEL_NAMES == MODEL_NAMES
    assert names.DEFAULT_MODELS == {"timbrekit": Settings.model, "published": PUBLISHED.model}
    assert Settings.model == PUBLISHED.model  # or the help of --model has to tell them apart
    assert names.RECIPES == (Settings.recipe, PUBLISHED.recipe)


def test_every_option_says_what_it_is_for_and_every_command_ends_its_sentence_once():
    def walk(parser, path):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, inner in action.choices.items():
                    walk(inner, [*path, name])
            else:
                assert action.help, f"{' '.join(path)}: {action.dest}"
        assert not (parser.description or "").endswith(("?.", "..")), parser.description

    walk(build_parser(), [])
