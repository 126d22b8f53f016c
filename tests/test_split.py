"""Which hits are held out: the end of a take, copies together; and as published."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from takes import tiny_take

from timbrekit.recording import read_recording
from timbrekit.recording.hits import find_hits
from timbrekit.recording.near_copies import near_copies
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.training.split import split_at_random, split_hits

RATE = 48_000


def take_of(copies, reference=0):
    """A take of which only what a split looks at is there."""
    copies = np.asarray(copies)

    class Take(SimpleNamespace):
        def __len__(self):
            return len(copies)

    timbre = torch.linspace(-50, -5, len(copies))[:, None]
    return Take(timbre=timbre, reference=reference, hits=SimpleNamespace(near_copies=copies))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=120),
    st.sampled_from(["contiguous", "whole"]),
    st.data(),
)
def test_no_hit_and_its_copy_are_on_two_sides(copies, how, data):
    reference = data.draw(st.integers(0, len(copies) - 1))
    split = split_hits(take_of(copies, reference), how)
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(copies)))
    of = [set(np.asarray(copies)[part].tolist()) for part in parts]
    assert not (of[0] & of[1] or of[0] & of[2] or of[1] & of[2])
    assert reference in split.train
    assert len(split.test) <= max(1, 1.5 * max(1, round(0.1 * len(copies))))


def test_of_a_hundred_unlike_hits_the_last_ten_are_the_test():
    split = split_hits(take_of(range(100)))
    assert split.test.tolist() == list(range(90, 100))
    assert split.train.tolist() == list(range(90)) and not len(split.validation)


def test_the_copies_of_the_last_hits_are_held_out_with_them():
    copies = np.arange(40) % 20  # every hit comes back twenty hits later
    split = split_hits(take_of(copies))
    assert split.test.tolist() == [18, 19, 38, 39]


def test_a_take_that_another_one_tests_is_trained_on_as_a_whole():
    split = split_hits(take_of(range(50)), "whole")
    assert split.train.tolist() == list(range(50))


@pytest.mark.parametrize(("hits", "test"), [(2, 0), (4, 0), (5, 1)])
def test_of_very_few_hits_none_are_held_out(hits, test):
    assert len(split_hits(take_of(range(hits), reference=0)).test) == test


def test_where_all_hits_are_copies_all_are_trained_on():
    split = split_hits(take_of(np.zeros(30, int)))
    assert len(split.train) == 30


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="contiguous"):
        split_hits(tiny_take(), "published")


# --- as published ------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-60, 0, width=32), min_size=2, max_size=300), st.integers(0, 2**31), st.data())
def test_every_hit_is_in_one_part_and_the_reference_is_trained_on(loudness, seed, data):
    reference = data.draw(st.integers(0, len(loudness) - 1))
    split = split_at_random(torch.tensor(loudness), reference, seed)
    together = np.concatenate([split.train, split.validation, split.test])
    assert sorted(together.tolist()) == list(range(len(loudness)))
    assert reference in split.train
    tenth = max(1, round(len(loudness) / 10))
    assert len(split.validation) <= tenth and len(split.test) <= tenth
    assert (len(split.validation) > 0) == (len(loudness) >= 3)
    assert (len(split.test) > 0) == (len(loudness) >= 5)


def test_a_hundred_hits_are_split_80_10_10_with_every_loudness_held_out():
    loudness = torch.linspace(-50, -5, 100)[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    split = split_at_random(loudness, int(loudness.argsort()[50]))
    assert (len(split.train), len(split.validation), len(split.test)) == (80, 10, 10)
    for part in (split.validation, split.test):
        rank = loudness.argsort().argsort()[torch.from_numpy(part)].sort().values
        assert (rank.diff() < 25).all() and rank[0] < 15 and rank[-1] > 85


def test_the_random_split_is_the_same_for_the_same_seed_and_another_for_another():
    take = take_of(range(60), 30)
    splits = [split_hits(take, "random", seed) for seed in (1, 1, 2)]
    assert np.array_equal(splits[0].test, splits[1].test)
    assert not np.array_equal(splits[0].test, splits[2].test)


# --- copies ------------------------------------------------------------------------------------------------


def test_a_hit_at_another_level_is_a_copy_and_another_stroke_is_none():
    hits = tiny_take().hits
    segments = np.concatenate([hits.segments, 0.1 * hits.segments[3:5]])
    found = near_copies(segments, np.concatenate([hits.lengths, hits.lengths[3:5]]), RATE)
    assert found[12] == found[3] and found[13] == found[4]
    assert len(np.unique(found)) == 12


def test_hits_too_short_to_compare_are_copies_of_none():
    hits = tiny_take().hits
    assert len(np.unique(near_copies(np.tile(hits.segments[:1], (4, 1)), [500] * 4, RATE))) == 4


def test_assembled_takes_come_apart_into_the_recordings_they_were_made_of(shared_audio_dir):
    """The truth beside a take says which recording each of its hits is."""
    folder = shared_audio_dir.parent / "pairs"
    recording = read_recording(folder / "20_brush_train.flac", RATE)
    hits = find_hits(recording.samples, RATE, DetectorSettings(14, 8, 0))
    truth = np.genfromtxt(
        folder / "20_brush_train.onsets.csv", delimiter=",", names=True, dtype=None, encoding=None
    )
    placed = np.abs(hits.detections[:, None] / RATE - truth["onset_s"]).argmin(1)
    sure = np.abs(hits.detections / RATE - truth["onset_s"][placed]) < 0.03
    made_of = [tuple(truth[row][["kind", "layer", "repetition"]]) for row in placed]
    names = np.unique([str(each) for each in made_of], return_inverse=True)[1]
    found = hits.near_copies
    joined = (found[:, None] == found)[np.ix_(sure, sure)]
    same = (names[:, None] == names)[np.ix_(sure, sure)]
    assert not (joined & ~same).any()  # two recordings are never taken for one
    assert (joined & same).sum() > 0.8 * same.sum()


def test_taps_of_a_finger_are_no_copies(shared_audio_dir):
    recording = read_recording(shared_audio_dir / "tap_medley.flac", RATE)
    hits = find_hits(recording.samples, RATE)
    assert len(np.unique(hits.near_copies)) >= len(hits) - 2
    moved = replace(hits, segments=hits.segments * np.float32(0.5))
    assert np.array_equal(moved.near_copies, hits.near_copies)
