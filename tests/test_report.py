"""The report in numbers, in words, and as the card beside the model."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from takes import RATE, still_mapping, tiny_take

from timbrekit.features import TIMBRE_FEATURES
from timbrekit.plugin.as_played import AsPlayed
from timbrekit.plugin.primer import Primer
from timbrekit.presets import load_preset
from timbrekit.results.report import HeldOut, build_report, measure_held_out, verdict, write_card
from timbrekit.training.settings import Settings
from timbrekit.training.split import Split
from timbrekit.training.train import Epoch, Trained

SNARE = load_preset("snare-1")


def trained_with(mapping, test=(2, 5)):
    train = np.array([i for i in range(len(tiny_take())) if i not in test])
    split = Split(train, np.array([], int), np.array(test, int))
    return Trained(mapping, split, [Epoch(1, 1, 0.5, 0.6, 0.0)], 1.0, False, Settings())


def as_played(scale, noise=0.0):
    """A rehearsal that answers with ``scale`` times what was intended."""
    intended = np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32)
    off = np.random.default_rng(1).normal(size=(20, 7)).astype(np.float32) * noise
    return AsPlayed(scale * intended + off, intended, SimpleNamespace(sample_rate=RATE), np.zeros(1))


def held_out(ratio, measured_on="test", hits=21):
    intended = np.ones((4, 7), np.float32)
    return HeldOut(intended * (1 - ratio), intended, measured_on, hits)


def report_of(**played):
    mapping = still_mapping()
    trained = trained_with(mapping)
    measured = measure_held_out(tiny_take(), trained, SNARE)
    primer = Primer(np.zeros(RATE, np.float32), RATE, {48_000: 0.004, 44_100: 0.006})
    situations = {"cold": as_played(0.5), "after_primer": as_played(0.8), **played}
    return build_report(SNARE, tiny_take(), trained, measured, situations, primer, []), primer


def test_a_model_that_never_moves_has_a_held_out_ratio_of_about_one():
    measured = measure_held_out(tiny_take(), trained_with(still_mapping()), SNARE)
    assert measured.measured_on == "test" and len(measured.played) == 4 * 2
    assert np.allclose(measured.ratio_per_feature, 1, atol=0.35)  # its noise is another each time
    assert abs(measured.error_ratio - 1) < 0.15


@pytest.mark.parametrize(("test", "measured_on"), [((2,), "test"), ((), "train")])
def test_the_report_says_which_hits_it_measured(test, measured_on):
    measured = measure_held_out(tiny_take(), trained_with(still_mapping(), test), SNARE)
    assert measured.measured_on == measured_on


def test_the_report_is_json_with_every_feature_by_name():
    report, _ = report_of(other_rate=as_played(0.7))
    again = json.loads(json.dumps(report, allow_nan=False))
    for key in ("error_ratio_per_feature", "error_preset_unchanged", "error_model", "units"):
        assert tuple(again[key]) == TIMBRE_FEATURES
    played = again["as_played"]
    assert played["error_ratio"] == pytest.approx(0.5, abs=1e-3)  # of a plug-in just opened
    assert played["after_primer"]["error_ratio"] == pytest.approx(0.2, abs=1e-3)
    assert tuple(played["rank_correlation"]) == TIMBRE_FEATURES
    assert again["hits_kept"] == len(tiny_take()) and again["hits_dropped"] == 0


def test_errors_are_those_of_the_held_out_hits():
    report, _ = report_of()
    intended = tiny_take().intended[torch.tensor([2, 5])].abs().mean(0)
    assert list(report["error_preset_unchanged"].values()) == pytest.approx(intended.tolist(), rel=1e-4)


def test_bounds_stand_beside_the_result():
    take = tiny_take()
    half = take.intended.numpy() / 2
    primer = Primer(np.zeros(9, np.float32), RATE, {})
    trained = trained_with(still_mapping())
    measured = measure_held_out(take, trained, SNARE)
    report = build_report(SNARE, take, trained, measured, {"cold": as_played(1)}, primer, [], {"half": half})
    assert report["bounds"]["half"]["error_ratio"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(0.3, "closely"), (0.8, "in outline"), (0.95, "only a little"), (1.2, "does not follow")],
)
def test_the_verdict_says_how_closely(ratio, words):
    said = verdict(held_out(ratio), {"cold": as_played(1.0)})
    assert words in said and (f"{ratio:.0%}" in said) == (ratio < 1)
    assert ("Try another preset" in said) == (ratio > 0.85)


def test_the_verdict_names_what_is_followed_and_what_is_not():
    measured = as_played(1.0)
    backwards = measured.played * np.array([1, -1, 1, 1, 1, 1, 1], np.float32)
    said = verdict(held_out(0.5), {"cold": replace(measured, played=backwards)})
    assert "hardly follows loudness sustain." in said
    assert "follows loudness transient, centroid transient, " in said and "and temporal centroid." in said


def test_the_verdict_owns_up_to_hits_that_were_trained_on():
    said = verdict(held_out(0.5, "train"), {"cold": as_played(1.0)})
    assert "flatters" in said and "on the very hits it was trained on" in said
    assert "flatters" not in verdict(held_out(0.5), {"cold": as_played(1.0)})


@pytest.mark.parametrize(
    ("hits", "follows", "is_rough", "advises"),
    [
        (21, 1.0, False, True),
        (6, 1.0, True, False),
        (6, 0.1, True, True),
    ],
)
def test_the_verdict_on_few_hits_says_so_and_leaves_the_advice_to_what_was_played(
    hits, follows, is_rough, advises
):
    said = verdict(held_out(0.9, hits=hits), {"cold": as_played(follows)})
    assert (f"only {hits} of them" in said) == is_rough and ("Try another preset" in said) == advises


def test_the_card_has_what_a_player_dials_in():
    report, primer = report_of(other_rate=as_played(0.7))
    take = tiny_take()
    detector = replace(take.hits.settings, on_threshold=12.5, off_threshold=3.0, hold=2000)
    card = write_card(report, SNARE, replace(take.hits, settings=detector), primer)
    words = " ".join(card.split())  # its lines are wrapped
    for wanted in ("12.5", "2000 samples", "primer.wav (1.0 s)", SNARE.title, report["verdict"], "48000 Hz"):
        assert wanted in words
    assert "softest, loudest, darkest and brightest" in words
    assert max(map(len, card.splitlines())) <= 120
