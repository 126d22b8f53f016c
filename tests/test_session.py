"""Sessions: what was kept is there again, in words; damage is set aside; names never leave the folder."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timbrekit.errors import OutputError, SessionError
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.session import STATE_FILE, Session, default_folder, safe_name

SNARE_2 = {"name": "snare-2", "values": {"osc1.freq": 179.0}}
SNARE_3 = {"name": "snare-3", "values": {"osc1.freq": 173.0}}


@pytest.fixture(params=["plain", "My Drive/Colab Notebooks/🥁 it's mine"])
def folder(request, tmp_path) -> Path:
    return tmp_path / request.param


def filled(folder: Path) -> Session:
    session = Session.open(folder)
    session.keep_recording("take.wav", b"sound")
    session.keep_detector(DetectorSettings(on_threshold=12.5, hold=800), hits=187)
    session.keep_preset(SNARE_2)
    return session


def put(path: Path, content: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def age(folder: Path, **by: float) -> datetime:
    """Make the session on disk older."""
    content = json.loads((folder / STATE_FILE).read_text())
    began = datetime.fromisoformat(content["started"]) - timedelta(**by)
    (folder / STATE_FILE).write_text(json.dumps(content | {"started": began.isoformat()}))
    return began


# --- resuming ----------------------------------------------------------------------------------------------


def test_a_new_folder_starts_fresh_and_says_why(folder):
    session = Session.open(folder)
    assert not session.resumed and (folder / STATE_FILE).is_file()
    assert session.describe() == f'Starting fresh because there is no session in "{folder}" yet.'


def test_everything_kept_is_there_again_after_reopening(folder):
    before = filled(folder)
    after = Session.open(str(folder))
    assert after.resumed and after.state == before.state
    assert DetectorSettings(**after.state.detector) == DetectorSettings(on_threshold=12.5, hold=800)
    assert after.state.preset == SNARE_2 and after.preset_name == "snare-2" and after.state.hits == 187
    assert after.recording_path.read_bytes() == b"sound" and after.recording_path.parent.parent == folder
    assert (after.model_path, after.checkpoint_path) == (before.model_path, before.checkpoint_path)


def test_a_resumed_session_says_when_how_many_hits_and_what_it_was_trained_with(folder):
    session = filled(folder)
    began = datetime.fromisoformat(session.state.started)
    opening = f"Resuming your session of {began:%H:%M}: 187 hits, "
    assert Session.open(folder).describe() == opening + "snare-2 chosen, not trained yet."
    put(session.checkpoint_path)
    assert Session.open(folder).describe() == opening + "training with snare-2 was interrupted and can go on."
    put(session.model_path)
    assert Session.open(folder).describe() == opening + "trained with snare-2."


def test_an_older_session_is_called_by_its_date(folder):
    filled(folder)
    began = age(folder, days=3)
    assert f"your session of {began.day} {began:%B %Y, %H:%M}: 187 hits" in Session.open(folder).describe()


def test_an_empty_session_is_resumed_as_such(folder):
    Session.open(folder)
    assert Session.open(folder).describe().endswith(": nothing in it yet.")


def test_once_something_is_kept_a_fresh_session_describes_that(folder):
    session = Session.open(folder)
    session.keep_recording("take.wav", b"sound")
    assert session.describe().startswith("Your session of ")
    assert session.describe().endswith(': recording "take.wav".')


def test_a_recording_that_has_gone_is_missed_in_words_and_the_rest_stays(folder):
    session = filled(folder)
    session.recording_path.unlink()
    again = Session.open(folder)
    assert 'its recording "take.wav" is missing, upload it again' in again.describe()
    assert again.recording_path is None and again.state.hits is None and again.preset_name == "snare-2"


# --- choices and models ------------------------------------------------------------------------------------


def test_models_and_checkpoints_belong_to_the_choices_they_were_made_with(folder):
    session = filled(folder)
    put(session.model_path, b"model of snare-2")
    first = session.model_dir
    session.keep_preset(SNARE_3)
    assert not session.is_trained and session.checkpoint_path.parent != first
    assert session.describe().endswith("187 hits, snare-3 chosen, not trained yet, 1 other model kept.")
    session.keep_preset(SNARE_2)
    assert session.is_trained and session.model_dir == first


def test_models_of_both_listeners_are_kept_and_neither_is_taken_for_the_other(folder):
    session = filled(folder)
    put(session.model_path, b"heard once")
    once = session.model_dir
    session.keep_listener("mel")
    assert not session.is_trained and session.checkpoint_path.parent != once
    put(session.model_path, b"with mel")
    again = Session.open(folder)
    assert again.listener == "mel" and again.model_path.read_bytes() == b"with mel"
    assert again.trained_dirs == {"torchdrum": once, "mel": session.model_dir}
    assert again.describe().endswith("187 hits, trained with snare-2 (mel listener), 1 other model kept.")
    again.keep_listener("torchdrum")
    assert again.model_path.read_bytes() == b"heard once"
    again.keep_preset(SNARE_3)
    assert again.trained_dirs == {}


def test_a_session_of_before_there_were_listeners_finds_its_model(folder):
    session = filled(folder)
    put(session.model_path)
    content = json.loads((folder / STATE_FILE).read_text())
    chosen = [content[name] for name in ("recording_sha256", "detector", "preset")]
    fingerprint = hashlib.sha256(
        json.dumps(chosen, sort_keys=True).encode()
    ).hexdigest()  # as version 0.3 had it
    assert session.model_dir.name == f"snare-2-{fingerprint[:8]}"
    del content["listener"]
    (folder / STATE_FILE).write_text(json.dumps(content))
    again = Session.open(folder)
    assert again.is_trained and again.listener == "torchdrum"


@pytest.mark.parametrize("change", ["recording", "detector", "preset"])
def test_every_choice_leads_to_another_model_folder(folder, change):
    session = filled(folder)
    before = session.model_dir
    if change == "recording":
        session.keep_recording("take.wav", b"another sound")
    elif change == "detector":
        session.keep_detector(DetectorSettings(), hits=187)
    else:
        session.keep_preset(SNARE_2 | {"values": {"osc1.freq": 180.0}})
    assert session.model_dir != before


def test_numbers_from_numpy_are_kept_as_plain_numbers(folder):
    np = pytest.importorskip("numpy")
    session = Session.open(folder)
    session.keep_detector({"on_threshold": np.float32(12.5), "hold": np.int64(800)}, hits=np.int64(3))
    assert Session.open(folder).state == session.state
    assert session.state.detector == {"on_threshold": 12.5, "hold": 800}


def test_a_preset_without_a_name_is_refused(folder):
    with pytest.raises(SessionError, match="needs a name"):
        Session.open(folder).keep_preset({"values": {}})


def test_detector_settings_are_forgotten_with_their_recording(folder):
    session = filled(folder)
    mine = session.state.recording_sha256
    session.keep_recording("take.wav", b"sound")
    assert session.state.detector["on_threshold"] == 12.5  # the same recording again
    session.keep_recording("other.wav", b"another sound")
    assert session.state.detector is None and session.state.hits is None
    with pytest.raises(SessionError, match=r'the session has "other.wav" by now'):
        session.keep_detector(DetectorSettings(), 3, mine)
    assert session.state.detector is None
    session.keep_detector(DetectorSettings(), 3, session.state.recording_sha256)
    assert session.state.hits == 3


# --- recordings and names ----------------------------------------------------------------------------------


def test_recordings_are_kept_byte_for_byte_and_never_overwritten(folder):
    session = Session.open(folder)
    first = session.keep_recording("take.wav", b"one")
    session.keep_detector({}, hits=5)
    assert session.keep_recording("take.wav", b"one") == first and session.state.hits == 5
    second = session.keep_recording("take.wav", b"two")
    assert second.name == "take (2).wav" and session.recording_path == second and session.state.hits is None
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_a_recording_can_be_given_as_a_file(folder, tmp_path):
    put(tmp_path / "phone.m4a", b"\0\1\2")
    session = Session.open(folder)
    assert session.keep_recording("phone.m4a", tmp_path / "phone.m4a").read_bytes() == b"\0\1\2"
    with pytest.raises(SessionError, match="cannot be copied"):
        session.keep_recording("x.wav", tmp_path / "nowhere.wav")


def test_a_recording_that_is_far_too_large_is_refused_before_it_is_copied(folder, tmp_path, monkeypatch):
    session = filled(folder)
    with (tmp_path / "huge.wav").open("wb") as file:
        file.truncate(3 << 30)  # takes no room on the disk
    with pytest.raises(SessionError, match=r'"huge\.wav" has 3\.0 GiB; .* up to 2 GiB\. Cut out'):
        session.keep_recording("huge.wav", tmp_path / "huge.wav")
    monkeypatch.setattr("timbrekit.session.LARGEST_RECORDING", 10)
    with pytest.raises(SessionError, match="Cut out"):
        session.keep_recording("huge.wav", b"eleven byte")
    assert session.recording_path.name == "take.wav" and len(list((folder / "recording").iterdir())) == 1


def test_without_room_for_a_recording_it_is_not_begun(folder, monkeypatch):
    session = filled(folder)

    def nearly_full(path):
        return shutil._ntuple_diskusage(2**40, 2**40, 5 << 20)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(OutputError, match=r"it has 1 MiB, and 5 MiB are free\. Free some space"):
        session.keep_recording("more.wav", bytes(1 << 20))
    assert Session.open(folder).state == session.state
    assert session.keep_recording("take.wav", b"sound").name == "take.wav"  # is there already


def test_a_drive_that_does_not_say_how_much_is_free_is_tried(folder, monkeypatch):
    session = Session.open(folder)

    def unknown(path):
        raise OSError("not supported")

    monkeypatch.setattr(shutil, "disk_usage", unknown)
    assert session.keep_recording("take.wav", b"sound").read_bytes() == b"sound"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_what_is_no_file_is_not_copied(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", tmp_path, "/dev/zero", "nul\0inside.wav"):
        with pytest.raises(SessionError, match="cannot be copied"):
            Session.open(folder).keep_recording("x.wav", path)


@pytest.mark.parametrize(
    "name, safe",
    [
        ("take 1 (2).wav", "take 1 (2).wav"),
        ("größe 🥁.m4a", "größe 🥁.m4a"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("C:\\take.wav", "take.wav"),
        ("C:take.wav", "C_take.wav"),
        ("/absolute.wav", "absolute.wav"),
        ("..", "recording"),
        ("", "recording"),
        ("...wav", "wav"),
        ("a\0b\nc.wav", "a_b_c.wav"),
        ('"quoted" <x>|?*.wav', "_quoted_ _x____.wav"),
        ("con.wav", "_con.wav"),
        ("CON." + "0" * 116, "_CON." + "0" * 115),
        ("x" * 500 + ".flac", "x" * 115 + ".flac"),
    ],
)
def test_uploaded_names_become_safe(name, safe):
    assert safe_name(name) == safe


generated = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
names = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=300),  # surrogates and control characters too
    st.lists(st.sampled_from(["..", "/", "\\", ".", " ", "~", "con", ".wav", "é", "🥁", "x" * 60, "\0"])).map(
        "".join
    ),
)


@generated
@given(name=names)
def test_any_name_becomes_one_that_stays_in_the_folder_and_is_stable(tmp_path, name):
    safe = safe_name(name)
    assert safe_name(safe) == safe and 0 < len(safe.encode()) <= 121
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()
    assert not set(safe) & set('/\\<>:"|?*\0')


@generated
@given(name=names, contents=st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=4))
def test_recordings_of_any_name_stay_inside_and_can_be_resumed(tmp_path, name, contents):
    session = Session.open(tmp_path / "session")
    for content in contents:
        (tmp_path / "uploaded").write_bytes(content)
        path = session.keep_recording(name, content)
        assert path == session.keep_recording(name, tmp_path / "uploaded")
        (tmp_path / "uploaded").unlink()
        assert path.parent == tmp_path / "session" / "recording" and path.read_bytes() == content
    assert Session.open(tmp_path / "session").recording_path == path
    assert {entry.name for entry in tmp_path.iterdir()} == {"session"}


def test_the_default_folder_is_in_sessions_whatever_its_name():
    assert default_folder("snare in the cellar") == Path("sessions/snare in the cellar")
    assert default_folder("../../x") == Path("sessions/x")
    assert default_folder("..") == default_folder() == Path("sessions/my session")


# --- damage ------------------------------------------------------------------------------------------------

GOOD = {"timbrekit_session": 1, "started": "2026-05-03T14:05:00+00:00"}


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "not JSON"),
        (b'{"timbrekit_session": 1, "star', "not JSON"),
        (b"\xff\xfe\0", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a session's"),
        (b'{"a": 1}', "not a session's"),
        (b" " * 2_000_000, "more than 1000000 bytes"),
        (json.dumps(GOOD | {"timbrekit_session": 2}).encode(), "newer timbrekit"),
        (json.dumps(GOOD | {"started": "yesterday"}).encode(), '"started" is not a time'),
        (json.dumps(GOOD | {"started": None}).encode(), '"started"'),
        (json.dumps(GOOD | {"hits": "many"}).encode(), '"hits"'),
        (json.dumps(GOOD | {"hits": True}).encode(), '"hits"'),
        (json.dumps(GOOD | {"hits": float("nan")}).encode(), "not JSON"),
        (json.dumps(GOOD | {"preset": {"name": 3}}).encode(), '"preset" has no name'),
        (json.dumps(GOOD | {"listener": "cat"}).encode(), '"listener" is none that there is'),
        (json.dumps(GOOD | {"recording": "../../secret.wav"}).encode(), '"recording" is not a file name'),
        (json.dumps(GOOD | {"recording": "C:\\secret.wav"}).encode(), '"recording" is not a file name'),
    ],
)
def test_a_damaged_state_is_set_aside_whole_and_said_so(folder, content, words):
    put(folder / STATE_FILE, content)
    put(folder / "recording" / "take.wav", b"sound")
    session = Session.open(folder)
    assert not session.resumed and words in session.describe()
    assert session.describe().startswith("Starting fresh because the saved state ")
    assert "it is kept as state.damaged-1.json" in session.describe()
    assert (folder / "state.damaged-1.json").read_bytes() == content
    assert (folder / "recording" / "take.wav").read_bytes() == b"sound"
    assert Session.open(folder).resumed


def test_every_damaged_state_is_kept(folder):
    for content in (b"first", b"second"):
        put(folder / STATE_FILE, content)
        Session.open(folder)
    assert (folder / "state.damaged-1.json").read_bytes() == b"first"
    assert (folder / "state.damaged-2.json").read_bytes() == b"second"


@generated
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), keep=st.integers(0, 10_000))
def test_a_state_with_a_changed_byte_or_a_lost_end_never_breaks(tmp_path, position, value, keep):
    folder = tmp_path / "session"
    filled(folder)
    content = bytearray((folder / STATE_FILE).read_bytes())
    content[position % len(content)] = value
    (folder / STATE_FILE).write_bytes(content[: keep % (2 * len(content))])
    session = Session.open(folder)
    assert session.describe().endswith(".") and session.model_dir.is_relative_to(folder)
    (folder / STATE_FILE).unlink()


def test_a_file_in_the_place_of_the_folder_says_so(tmp_path):
    put(tmp_path / "file")
    with pytest.raises((SessionError, OutputError), match="file"):
        Session.open(tmp_path / "file")
    with pytest.raises(SessionError, match="NUL"):
        Session.open(tmp_path / "nul\0inside")


def test_a_full_disk_leaves_the_old_state(folder, monkeypatch):
    session = filled(folder)
    before = (folder / STATE_FILE).read_bytes()

    def disk_full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", disk_full)
        with pytest.raises(OutputError, match="No space left"):
            session.keep_preset(SNARE_3)
    assert (folder / STATE_FILE).read_bytes() == before and session.preset_name == "snare-2"
    assert sorted(entry.name for entry in folder.iterdir()) == ["recording", STATE_FILE]


# --- several at once, and sudden ends ----------------------------------------------------------------------


def test_two_notebooks_on_one_session_do_not_undo_each_other(folder):
    first, second = Session.open(folder), Session.open(folder)
    first.keep_recording("take.wav", b"sound")
    second.keep_preset(SNARE_2)
    first.keep_detector(DetectorSettings(), hits=12)
    last = Session.open(folder).state
    assert (last.recording, last.preset, last.hits) == ("take.wav", SNARE_2, 12)
    assert replace(last) == first.state


WRITER = """
import sys, itertools
from timbrekit.session import Session
session = Session.open(sys.argv[1])
print("ready", flush=True)
for number in itertools.count():
    session.keep_recording("take.wav", bytes([number % 256]) * 300_000)
    session.keep_preset({"name": f"preset-{number}", "values": {str(i): number for i in range(200)}})
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_session_killed_while_writing_is_whole_afterwards(tmp_path):
    # By hand with TIMBREKIT_KILLS=200.
    moments = random.Random(4)
    for _ in range(int(os.environ.get("TIMBREKIT_KILLS", "3"))):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path / "session"], stdout=subprocess.PIPE
        )
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0.0, 0.2))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        session = Session.open(tmp_path / "session")
        assert session.resumed and not list(tmp_path.glob("session/state.damaged*"))
        if session.recording_path:
            content = session.recording_path.read_bytes()
            assert len(content) == 300_000 and len(set(content)) == 1
        if session.state.preset:
            assert len(set(session.state.preset["values"].values())) == 1
