"""What users bring is never unpickled, and nothing is asked of the network."""

import io
import pickle
import socket
import sys

import numpy as np
import pytest
import soundfile
import torch
from by_hand.hostile import TRAP, other_files, our_models, strangers_models
from takes import RATE, varied_strokes

from timbrekit.cli import main
from timbrekit.errors import TimbrekitError
from timbrekit.export.check import check_model, open_model, read_metadata
from timbrekit.presets import load_preset
from timbrekit.recording import read_recording
from timbrekit.session import Session


class Forbidden(Exception):
    pass


def forbidden(*arguments, **named):
    raise Forbidden


@pytest.fixture
def take(tmp_path):
    path = tmp_path / "take.wav"
    soundfile.write(path, varied_strokes(8), RATE, subtype="PCM_24")
    return path


@pytest.fixture
def no_pickle(take, monkeypatch):
    read_recording(take)  # what is compiled once, numba keeps as a pickle of its own
    for module, name in (
        (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (pickle, "_Unpickler"), (torch, "load"),
        (np, "load"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, forbidden)
    for module in ("joblib", "dill", "cloudpickle"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Forbidden):
        torch.load(io.BytesIO())


@pytest.mark.usefixtures("forked_guard")
def test_nothing_that_a_user_brings_is_unpickled(tmp_path, take, no_pickle):
    path = tmp_path / "brought"
    for content in [*other_files(), *strangers_models(), *our_models(), take.read_bytes(), b"\x80\x04K\x01."]:
        path.write_bytes(content)
        for read in (check_model, open_model, read_metadata, load_preset, read_recording):
            try:
                read(path)
            except TimbrekitError:
                continue
        session = Session.open(tmp_path / "session")
        session.keep_recording("brought.pt", path)
        (tmp_path / "session" / "state.json").write_bytes(content)
        Session.open(tmp_path / "session")
    assert not TRAP.exists()


@pytest.mark.usefixtures("few_imagined_hits", "short_warm_start")
def test_nothing_is_asked_of_the_network(tmp_path, take, monkeypatch, capsys):
    for name in ("connect", "connect_ex", "sendto", "bind", "listen"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    for name in ("getaddrinfo", "gethostbyname", "create_connection", "gethostbyaddr", "getfqdn"):
        monkeypatch.setattr(socket, name, forbidden)
    with pytest.raises(Forbidden):
        socket.create_connection(("127.0.0.1", 9))
    out, model = tmp_path / "out", tmp_path / "out" / "model.pt"
    stranger = tmp_path / "stranger.pt"
    stranger.write_bytes(strangers_models()[0])
    for command in (
        ["inspect", take],
        ["onsets", take],
        ["train", take, "--out", out, "--epochs", 1, "--model", "mlp-plain", "--device", "cpu"],
        ["check", model],
        ["check", stranger],
        ["rehearse", model, take, tmp_path / "heard.wav"],
        ["page", model, "--out", tmp_path / "play.html"],
        ["export", model, "--to", "nn-tilde", "--out", tmp_path / "drum.ts"],
        ["export", model, "--to", "flucoma", "--out", tmp_path / "drum.json"],
        ["presets"],
    ):
        assert main([str(word) for word in command]) == 0, (command, capsys.readouterr().err)
