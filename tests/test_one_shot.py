"""One hit from a sound file, and what is none."""

import numpy as np
import pytest
from drum_support import RATE, struck

from timbrekit.errors import RecordingError
from timbrekit.recording import write_wav
from timbrekit.recording.one_shot import read_hit


def _file(tmp_path, sound, rate=RATE):
    write_wav(tmp_path / "hit.wav", sound, rate)
    return tmp_path / "hit.wav"


def test_a_hit_begins_just_before_it_is_heard(tmp_path):
    hit, lead = read_hit(_file(tmp_path, np.concatenate([np.zeros(4800), struck()])))
    assert 4750 <= lead <= 4800
    np.testing.assert_allclose(hit[4800 - lead :], struck(), atol=2e-7)


def test_a_short_hit_at_another_rate_is_read(tmp_path):
    hit, _ = read_hit(_file(tmp_path, struck(seconds=0.2), 44_100))
    assert len(hit) == pytest.approx(0.2 * RATE * RATE / 44_100, abs=60)


def _syllables():
    t = np.arange(2 * RATE) / RATE
    voiced = sum(np.sin(2 * np.pi * 120 * n * t) / n for n in range(1, 20))
    return 0.1 * voiced * np.clip(np.sin(2 * np.pi * 3 * t), 0, 1) ** 0.5


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (np.concatenate([struck(seed=s) for s in range(3)]), "holds 3 strokes or more: a loop, speech"),
        (_syllables(), "strokes or more: a loop, speech"),
        (np.clip(4 * struck(), -0.9, 0.9), "is clipped: in"),
        (0.3 * np.sin(np.arange(RATE) / 20), "does not fade: its end lies"),
        (np.concatenate([struck(), np.zeros(11 * RATE)]), "s long, and one hit is at most 10 s"),
        (struck()[:800], "0.02 s of sound; 0.03 s is the least"),
        (np.zeros(RATE), "is silent"),
    ],
)
def test_what_is_not_one_hit_gets_a_sentence(tmp_path, sound, words):
    with pytest.raises(RecordingError, match=words):
        read_hit(_file(tmp_path, sound))


def test_real_single_hits_are_all_taken(oneshots_dir):
    for path in sorted(oneshots_dir.rglob("*.flac")):
        read_hit(path)
