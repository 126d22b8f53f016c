"""The report in numbers, in words, and as the card beside the model."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from takes import RATE, still_mapping, tiny_take

from timbrekit import __version__
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.plugin.as_played import AsPlayed, Followed
from timbrekit.plugin.knobs import HOLD, NEURALITY, RETRIGGER, TRIGGER, WHERE
from timbrekit.plugin.primer import Primer
from timbrekit.presets import load_preset
from timbrekit.results.auditory_image import ImageMatch
from timbrekit.results.report import build_report, measure_held_out, with_verdict, write_card
from timbrekit.results.unseen import Unseen
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
    every = np.arange(20)
    rehearsal = SimpleNamespace(sample_rate=RATE)
    return AsPlayed(scale * intended + off, intended, rehearsal, np.zeros(1), every, every, 1.0)


def unseen(source="end of take"):
    """Hits that the model plays half as far as intended, and loudness alone a tenth as far."""
    intended = np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32)
    alone = Followed(0.1 * intended, intended)
    return Unseen(0.5 * intended, intended, source, alone, ImageMatch(0.6, 0.1), ImageMatch(0.5, 0.1), None)


def report_of(**played):
    mapping = still_mapping()
    trained = trained_with(mapping)
    measured = measure_held_out(tiny_take(), trained, SNARE)
    primer = Primer(np.zeros(RATE, np.float32), RATE, {48_000: 0.004, 44_100: 0.006})
    situations = {"cold": as_played(0.5), "after_primer": as_played(0.8), **played}
    return build_report(
        "My snare", SNARE, tiny_take(), trained, measured, situations, primer, [], unseen()
    ), primer


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
    bounds = {"half": half}
    report = build_report(
        "My snare", SNARE, take, trained, measured, {"cold": as_played(1)}, primer, [], unseen(), bounds
    )
    assert report["bounds"]["half"]["error_ratio"] == pytest.approx(0.5, abs=1e-3)


def test_what_is_measured_later_takes_the_place_of_what_was_said_before():
    report, _ = report_of()
    again = with_verdict(report, unseen("second take"))
    assert "end of your take" in report["verdict"] and "other recording" in again["verdict"]
    assert again["unseen"]["source"] == "second take" and "end of your take" not in write_card(again, SNARE)


def test_no_figure_of_hits_that_were_trained_on_stands_on_the_card():
    report, _ = report_of(other_rate=as_played(0.7))
    card = write_card(report, SNARE)
    assert "0.50; of a sound" in card and "0.90" in card
    assert "plays it: " not in card  # as the cards of version 0.1 went on


@pytest.mark.parametrize(
    ("scale", "words"),
    [(0.8, "it follows you as well"), (0.7, "its error is 50% larger"), (0.9, "50% smaller")],
)
def test_the_card_says_what_another_rate_costs(scale, words):
    report, _ = report_of(other_rate=as_played(scale))
    assert words in " ".join(write_card(report, SNARE).split())


def test_the_card_names_the_files_beside_it():
    report, _ = report_of()
    card = write_card(report, SNARE, "My snare.pt", "My snare primer.wav")
    assert "open My snare.pt" in card and "Send My snare primer.wav" in card


def test_the_card_has_what_a_player_dials_in():
    report, _ = report_of(other_rate=as_played(0.7))
    detector = replace(tiny_take().hits.settings, on_threshold=12.5, off_threshold=3.0, hold=2000)
    card = write_card({**report, "detector": detector.to_json()}, SNARE)
    words = " ".join(card.split())  # its lines are wrapped
    for wanted in (
        "12.5 dB",
        "2000 samples",
        "primer.wav (1.0 s)",
        SNARE.title,
        report["verdict"],
        "48000 Hz",
    ):
        assert wanted in words
    for knob in (TRIGGER, RETRIGGER, HOLD, NEURALITY):
        assert knob.name in words and f"({knob.does})" in words
    assert card.startswith("My snare\n") and f"timbrekit {__version__} with seed 0" in words
    assert words.index("open the page") < words.index(WHERE) < words.index("Apple Silicon") + 200
    assert "softest, loudest, darkest and brightest" in words
    assert max(map(len, card.splitlines())) <= 120
