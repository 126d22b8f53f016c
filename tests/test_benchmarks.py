"""The benchmark: that what is timed as the paper's step is the paper's step, and that the page comes out whole."""

import importlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.contenders import CONTENDERS, PAPER, PUBLISHED_HERE, make_contender, make_material
from benchmarks.page import QUICK
from benchmarks.paper_step import PaperFeatures, PaperSynth, import_torchaudio
from takes import varied_strokes
from torch.nn.utils import parameters_to_vector

from timbrekit.features import TimbreFeatures
from timbrekit.presets import load_preset
from timbrekit.recording import Recording
from timbrekit.synth.parameters import NUM_PARAMETERS
from timbrekit.synth.snare808 import Snare808, white_noise

RATE = 48_000
PRESETS = ("snare-1", "snare-2", "snare-3", "open-snare", "noisy-snare")
# LKFS, LKFS, brightness, brightness, dB, dB, scaled ms. In double precision only what of timbrekit's K-weighting wraps
# round differs (1e-5 of a frame's low end). In single precision rounding does, most of all in flatness.
EXACT = np.array([1e-3, 1e-4, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6])
SINGLE = np.array([2e-3, 1e-3, 1e-3, 2e-3, 0.05, 0.1, 1e-3])

filters = pytest.mark.parametrize(
    "lfilter",
    [
        pytest.param(
            True,
            marks=pytest.mark.skipif(not import_torchaudio(), reason="torchaudio cannot be imported here"),
        ),
        False,
    ],
    ids=["lfilter", "by FFT"],
)


def points(dtype=torch.float64, anywhere=8):
    """The paper's presets, and points all over the parameters' ranges."""
    presets = torch.stack([torch.from_numpy(load_preset(name).normalized()) for name in PRESETS])
    spread = torch.rand(
        anywhere, NUM_PARAMETERS, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return torch.cat([presets.double(), spread]).to(dtype)


@filters
def test_the_papers_synthesiser_sounds_like_ours(lfilter):
    noise = white_noise((RATE,), 1, torch.float64)
    theirs = PaperSynth(RATE, RATE, lfilter).render(points(), noise)
    ours = Snare808(plugin_rounding=False).sound(RATE, RATE, points(), noise)
    assert ours.abs().amax(1).min() > 1e-3
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-8)


@filters
def test_the_papers_features_are_ours(lfilter):
    sounds = Snare808().sound(RATE, RATE, points(), white_noise((RATE,), 1, torch.float64))
    theirs, ours = PaperFeatures(RATE, sounds, lfilter)(sounds), TimbreFeatures(RATE, gated=False)(sounds)
    assert ((theirs - ours).abs().amax(0).numpy() < EXACT).all()


@filters
def test_in_single_precision_the_presets_still_measure_the_same(lfilter):
    parameters, noise = points(torch.float32, anywhere=0), white_noise((RATE,), 1)
    sounds = PaperSynth(RATE, RATE, lfilter).render(parameters, noise)
    theirs = PaperFeatures(RATE, sounds, lfilter)(sounds)
    ours = TimbreFeatures(RATE, gated=False)(Snare808().sound(RATE, RATE, parameters, noise))
    assert ((theirs - ours).abs().amax(0).numpy() < SINGLE).all()


@filters
def test_gradients_agree(lfilter):
    noise = white_noise((RATE,), 1, torch.float64)

    def gradient(synth, features):
        parameters = points(anywhere=0).requires_grad_()
        seven = features(synth(parameters, noise))
        (found,) = torch.autograd.grad((seven / torch.from_numpy(SINGLE)).sum(), parameters)
        return found

    theirs = gradient(PaperSynth(RATE, RATE, lfilter).render, PaperFeatures(RATE, noise, lfilter))
    ours = gradient(
        partial(Snare808(plugin_rounding=False).sound, RATE, RATE), TimbreFeatures(RATE, gated=False)
    )
    largest = ours.abs().amax()
    assert largest > 0
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-5 * float(largest))


def test_both_ways_of_running_the_published_experiment_have_the_same_loss():
    """Its noise is another one in ours, so the losses of a mapping that moves the preset differ a little."""
    recording = Recording(varied_strokes(10), RATE, RATE, 1, Path("strokes.wav"), ())
    material = make_material(recording)
    assert len(material.held_out) and not np.isin(material.held_out, material.practice).any()
    trainings = [make_contender(name, material, "cpu") for name in (PAPER, PUBLISHED_HERE)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in trainings[0].mapping.network.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator) * 0.2)
    trainings[1].run.learner.averaged.copy_(parameters_to_vector(trainings[0].mapping.parameters()).detach())
    hits = np.arange(len(material.practice))
    paper, here = (float(training.loss(hits).detach()) for training in trainings)
    unmoved = float(trainings[0].intended.abs().mean())
    assert abs(paper - unmoved) > 0.2 * unmoved  # the mapping does move the preset
    assert here == pytest.approx(paper, rel=0.02)


def test_a_quick_run_writes_the_whole_page(tmp_path, monkeypatch):
    """Called as `python -m tests.benchmarks` does, but in this process; one of its measurements starts its own."""
    root, page = Path(__file__).resolve().parents[1], tmp_path / "benchmarks.md"
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)  # would last beyond this test
    main = importlib.import_module("benchmarks.__main__").main
    assert main(["--quick", "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    titles = [
        "Measured on",
        "A batch of 16 hits, and an epoch",
        "More hits",
        "Time to the same quality",
        "Run it",
    ]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == titles
    assert QUICK in text
    assert str(root) not in text and str(tmp_path) not in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    _machine, steps, growth, quality = (
        [[c.strip() for c in row[1:-1].split("|")] for row in t] for t in tables
    )
    assert [row[1] for row in steps[2:]] == list(CONTENDERS)
    assert all(float(cell.split()[0]) > 0 for row in steps[2:] for cell in row[2:])
    assert growth[2][0] == "16" and all(float(cell) > 0 for cell in (growth[2][1], growth[2][4]))
    assert [row[0] for row in quality[2:]] == ["published"] * 3 + ["played"] * 3
    assert all(0 < float(row[4]) < 10 for row in quality[2:])
