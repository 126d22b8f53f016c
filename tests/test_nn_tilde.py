"""The nn~ module, called as nn~ calls it, against the plug-in's vectors and rehearsal."""

import copy
import json
from functools import cache

import numpy as np
import pytest
import soundfile
import torch

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.check import check_model, open_model
from timbrekit.export.metadata import build_metadata
from timbrekit.export.nn_tilde import write as nn_tilde
from timbrekit.export.nn_tilde.script import NN_OPERATORS, operators, play_in_blocks
from timbrekit.export.nn_tilde.write import samples_of, write_nn_tilde
from timbrekit.export.torchdrum import write_model
from timbrekit.mapping import Mapping, build_network
from timbrekit.plugin.rehearse import rehearse
from timbrekit.presets import Preset, load_preset
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth.parameters import PARAMETER_KEYS

RATE = 48_000
RANGES = (torch.tensor([-70.0, 30.0, -250.0]), torch.tensor([0.0, 140.0, 0.0]))  # wider than any drumming


@cache
def loaded(path):
    return torch.jit.load(str(path), map_location="cpu").eval()


class Host:
    """What nn~ does with a file: everything by name, values as text, one float32 buffer per inlet and outlet.

    Each has a copy of the module, state and all, of its own. The code is compiled once for a file, as it is for an nn~
    that plays on, and not once for each test.
    """

    def __init__(self, path, rate=None):
        self.module = copy.deepcopy(loaded(path))
        if rate is not None:
            self.set("sample_rate", rate)

    def set(self, name, value):
        assert name in self.module.get_attributes()
        kinds = getattr(self.module, f"{name}_params").tolist()
        parse = {1: lambda text: int(float(text)), 2: float}[kinds[0]]
        assert len(kinds) == 1
        assert getattr(self.module, f"set_{name}")(parse(str(value))) == 0

    def get(self, name):
        return getattr(self.module, f"get_{name}")()

    def perform(self, samples, block=1024):
        """(2, n) of (n,): what comes out of the two outlets."""
        inlets, in_ratio, outlets, out_ratio = self.module.forward_params.tolist()
        assert (inlets, in_ratio, outlets, out_ratio) == (1, 1, 2, 1)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(samples), block):
                buffer = torch.from_numpy(samples[start : start + block]).reshape(1, 1, -1)
                answer = self.module.forward(buffer)
                assert answer.shape == (1, 2, buffer.shape[-1])
                assert answer.dtype == torch.float32
                parts.append(answer[0].clone())
        return torch.cat(parts, -1).numpy()


def write(folder, mapping, preset, rate=RATE, settings=None, ranges=RANGES):
    metadata = build_metadata(mapping, preset, rate, settings or DetectorSettings(), *ranges)
    model = write_model(mapping, metadata, folder / "model.pt")
    return model, write_nn_tilde(model, folder / "model.ts")


def lively_mapping(preset, model="mlp"):
    """A network that moves every parameter."""
    network = build_network(model)
    generator = torch.Generator().manual_seed(1)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.5, generator=generator)
    preset, damping = torch.from_numpy(preset.normalized()), torch.from_numpy(preset.damping_vector())
    return Mapping(network, preset, damping).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    preset = load_preset("snare-1")
    return write(tmp_path_factory.mktemp("nn"), lively_mapping(preset), preset)


@pytest.fixture(scope="module")
def model(files):
    return files[0]


@pytest.fixture(scope="module")
def exported(files):
    return files[1]


@pytest.fixture(scope="module")
def drumming(sample_recording):
    """Two seconds of the sample recording, mono at 48 kHz."""
    samples, rate = soundfile.read(sample_recording, frames=2 * RATE, start=8 * RATE, dtype="float32")
    assert rate == RATE
    return samples


@pytest.fixture(scope="module")
def golden_files(golden, tmp_path_factory):
    network = build_network("mlp")
    with torch.no_grad():
        for i in (0, 3):
            network[i].weight.copy_(torch.from_numpy(golden[f"model_model_net_{i}_weight"]))
            network[i].bias.copy_(torch.from_numpy(golden[f"model_model_net_{i}_bias"]))
    patch, damping = (torch.from_numpy(golden[name]).reshape(14) for name in ("model_patch", "model_damp"))
    mapping = Mapping(network, patch, damping).eval().requires_grad_(False)
    values = dict(zip(PARAMETER_KEYS, patch.tolist(), strict=True))
    preset = Preset("golden", "Golden", values)
    return write(tmp_path_factory.mktemp("golden"), mapping, preset)


def quiet_plug_in(path, rate=RATE):
    """An instrument as the plug-in is when just opened, its noise source off."""
    host = Host(path, rate)
    host.set("fixed_ranges", 0)
    host.set("noise", 0)
    return host


@pytest.mark.parametrize("rate", [48_000, 44_100, 96_000])
def test_triggers_are_the_plug_ins(golden, golden_files, rate):
    take = golden["input_i16"].astype(np.float32) / np.float32(32768)
    played = quiet_plug_in(golden_files[1], rate).perform(take)
    np.testing.assert_array_equal(np.flatnonzero(played[1]), golden[f"trigger_idx_{rate}"])
    assert set(np.unique(played[1])) == {0, 1}
    expected = rehearse(golden_files[0].module, take, rate, noise=np.zeros(len(take)))
    np.testing.assert_allclose(played[0], expected.audio, atol=1e-3, rtol=0)


def test_the_sound_is_the_plug_ins(golden, golden_files):
    expected = golden["plugin_audio_48000_first3s"]
    take = golden["input_i16"][: len(expected)].astype(np.float32) / np.float32(32768)
    played = quiet_plug_in(golden_files[1]).perform(take)
    np.testing.assert_allclose(played[0], expected, atol=1e-4, rtol=0)


def test_a_recording_sounds_as_in_rehearsal(model, exported, drumming):
    expected = rehearse(model.module, drumming, RATE, noise=np.zeros(len(drumming)))
    assert len(expected.triggers) > 5
    played = quiet_plug_in(exported).perform(drumming)
    np.testing.assert_array_equal(np.flatnonzero(played[1]), expected.triggers)
    np.testing.assert_allclose(played[0], expected.audio, atol=1e-3, rtol=0)


def test_with_the_same_noise_the_noise_is_the_same_too(model, exported, drumming):
    noise = np.random.default_rng(0).uniform(-1, 1, len(drumming)).astype(np.float32)
    host = Host(exported)
    host.set("fixed_ranges", 0)
    expected = rehearse(model.module, drumming, RATE, noise=noise)
    played = play_in_blocks(host.module, drumming, samples_of(noise), (256,))
    np.testing.assert_allclose(played[0], expected.audio, atol=1e-3, rtol=0)


@pytest.mark.parametrize("model_name", ["mlp-large", "linear"])
def test_other_networks_and_presets(tmp_path, drumming, model_name):
    preset = load_preset("cowbell")
    model, exported = write(tmp_path, lively_mapping(preset, model_name), preset)
    expected = rehearse(model.module, drumming, RATE, noise=np.zeros(len(drumming)))
    played = quiet_plug_in(exported).perform(drumming)
    np.testing.assert_allclose(played[0], expected.audio, atol=1e-3, rtol=0)


def test_the_block_size_does_not_matter(exported, drumming):
    noise = np.random.default_rng(0).uniform(-1, 1, len(drumming)).astype(np.float32)
    one = play_in_blocks(Host(exported).module, drumming, samples_of(noise), (256,))
    for blocks in ((64,), (4096,), (1, 7, 300, 333), (150_000,)):
        other = play_in_blocks(Host(exported).module, drumming, samples_of(noise), blocks)
        np.testing.assert_array_equal(one[1], other[1])
        np.testing.assert_allclose(one[0], other[0], atol=1e-6, rtol=0)


def test_fixed_ranges_are_those_of_training(model, exported, drumming):
    """As rehearsal in a plug-in that has met the training ranges before: they are wider than what it meets here."""
    host = Host(exported)
    host.set("noise", 0)
    assert host.get("fixed_ranges") == 1
    silence = np.zeros(len(drumming))
    known = rehearse(model.module, drumming, RATE, noise=silence, initial_ranges=torch.stack(RANGES).numpy())
    fresh = rehearse(model.module, drumming, RATE, noise=silence)
    assert np.abs(known.audio - fresh.audio).max() > 0.01
    np.testing.assert_allclose(host.perform(drumming)[0], known.audio, atol=1e-3, rtol=0)


def test_growing_ranges_start_anew_when_they_are_chosen(exported, drumming):
    host = quiet_plug_in(exported)
    first = host.perform(drumming)
    host.module.restart()
    assert np.abs(host.perform(drumming)[0] - first[0]).max() > 0.01  # it knows the ranges now
    host.module.restart()
    host.set("fixed_ranges", 0)
    np.testing.assert_allclose(host.perform(drumming)[0], first[0], atol=1e-6)


def test_the_knobs_are_those_of_the_plug_in(model, exported, drumming):
    host = quiet_plug_in(exported, 44_100)
    settings = DetectorSettings(on_threshold=8.0, off_threshold=6.5, hold=400)
    for name, value in {"on_threshold": 8.0, "off_threshold": 6.5, "hold": 400, "sensitivity": 0.5}.items():
        host.set(name, value)
    host.set("dry_wet", 0.25)
    expected = rehearse(
        model.module, drumming, 44_100, settings, sensitivity=0.5, noise=np.zeros(len(drumming)), dry_wet=0.25
    )
    played = host.perform(drumming)
    default = rehearse(model.module, drumming, 44_100)
    assert len(default.triggers) != len(expected.triggers)
    np.testing.assert_array_equal(np.flatnonzero(played[1]), expected.triggers)
    np.testing.assert_allclose(played[0], expected.audio, atol=1e-3, rtol=0)


def test_onsets_within_a_window_are_dropped_as_in_the_plug_in(model, exported, drumming):
    settings = DetectorSettings(on_threshold=4.0, off_threshold=4.0, hold=0)
    host = quiet_plug_in(exported)
    for name in ("on_threshold", "off_threshold", "hold"):
        host.set(name, getattr(settings, name))
    expected = rehearse(model.module, drumming, RATE, settings, noise=np.zeros(len(drumming)))
    assert len(expected.dropped) > 10
    for block in (100, 1024):
        host.module.restart()
        played = host.perform(drumming, block)
        np.testing.assert_array_equal(np.flatnonzero(played[1]), expected.triggers)


def test_the_models_own_rate_and_detector_are_where_it_starts(tmp_path):
    preset = load_preset("snare-2")
    settings = DetectorSettings(on_threshold=10.0, off_threshold=3.0, hold=700)
    host = Host(write(tmp_path, lively_mapping(preset), preset, 44_100, settings)[1])
    names = ("sample_rate", "on_threshold", "off_threshold", "hold", "sensitivity", "dry_wet", "noise")
    assert [host.get(name) for name in names] == [44_100, 10.0, 3.0, 700, 1.0, 1.0, 1]


def test_what_is_out_of_range_is_brought_into_it(exported):
    host = Host(exported)
    for name, low, high in [
        ("sample_rate", 8000, 768_000),
        ("sensitivity", 0, 4),
        ("on_threshold", 0.5, 32),
        ("off_threshold", 0, 32),
        ("hold", 0, 5000),
        ("dry_wet", 0, 1),
    ]:
        host.set(name, 1e6)
        assert host.get(name) == high
        host.set(name, -1e6)
        assert host.get(name) == low
    host.set("dry_wet", "nan")
    assert host.get("dry_wet") == 0


def test_two_instances_do_not_hear_each_other(exported, drumming):
    alone = quiet_plug_in(exported).perform(drumming)
    one, other = quiet_plug_in(exported), quiet_plug_in(exported)
    parts = []
    for start in range(0, len(drumming), 1000):
        parts.append(one.perform(drumming[start : start + 1000]))
        other.perform(drumming[::-1].copy()[start : start + 1000])
    np.testing.assert_allclose(np.concatenate(parts, -1), alone, atol=1e-6)


def test_noise_is_fresh_and_sound_stays_within_full_scale(exported, drumming):
    one, other = Host(exported).perform(drumming), Host(exported).perform(drumming)
    np.testing.assert_array_equal(one[1], other[1])
    assert np.abs(one[0] - other[0]).max() > 0.01
    assert np.abs(one[0]).max() <= 1


def test_what_is_no_sound_does_not_silence_it(exported, drumming):
    host, untouched = quiet_plug_in(exported), quiet_plug_in(exported)
    spoilt = drumming.copy()
    spoilt[[100, 200, 300]] = np.nan, np.inf, 1e30
    clean = drumming.copy()
    clean[[100, 200, 300]] = 0
    np.testing.assert_array_equal(host.perform(spoilt), untouched.perform(clean))


def test_channels_are_mixed_to_one_and_an_empty_block_is_answered(exported, drumming):
    block = torch.from_numpy(drumming[:RATE])
    pair = torch.stack([block * 2, block * 0])[:, None]
    one, two = quiet_plug_in(exported).module, quiet_plug_in(exported).module
    with torch.inference_mode():
        assert two.forward(torch.zeros(2, 1, 0)).shape == (2, 2, 0)
        mixed, single = two.forward(pair), one.forward(block[None, None])
    assert mixed.shape == (2, 2, RATE)
    torch.testing.assert_close(mixed[0], single[0])
    torch.testing.assert_close(mixed[1], single[0])


def test_operators_are_on_the_list_and_the_list_is_harmless(exported):
    used = operators(torch.jit.load(str(exported)))
    assert {"prim::Loop", "aten::fft_rfft", "aten::layer_norm"} <= used <= NN_OPERATORS
    assert not {name for name in NN_OPERATORS if "file" in name.lower() or "save" in name or "Print" in name}


def test_the_file_describes_itself_and_not_its_maker(exported, model):
    extra = {"timbrekit.json": ""}
    torch.jit.load(str(exported), _extra_files=extra)
    original = {"timbrekit.json": ""}
    torch.jit.load(str(model.path), _extra_files=original)
    described = json.loads(extra["timbrekit.json"])
    assert described.pop("made_for") == "nn-tilde"
    assert described == json.loads(original["timbrekit.json"])
    assert str(nn_tilde.__file__).encode() not in exported.read_bytes()
    assert exported.stat().st_size < 100_000


def test_the_same_model_gives_the_same_file(model, exported, tmp_path):
    assert write_nn_tilde(model, tmp_path / "again.ts").read_bytes() == exported.read_bytes()


def test_a_file_that_would_sound_otherwise_is_not_handed_over(model, tmp_path, monkeypatch):
    build = nn_tilde._build

    def louder(*args):
        chain = build(*args)
        chain.preset[10] = 6.0
        return chain

    def deaf(*args):
        chain = build(*args)
        chain.detector_filter[0] = float("nan")
        return chain

    out = tmp_path / "model.ts"
    out.write_text("what was there before")
    for wrong, message in ((louder, "does not sound"), (deaf, "does not hear")):
        monkeypatch.setattr(nn_tilde, "_build", wrong)
        with pytest.raises(ModelFileError, match=message):
            write_nn_tilde(model, out)
    assert out.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [out]


def test_elsewhere_the_file_is_named_as_what_it_is(exported):
    result = check_model(exported)
    assert not result.ready and "for nn~ in Max and Pure Data" in result.problems[0]
    with pytest.raises(ModelFileError, match="Everything else takes"):
        open_model(exported)


@pytest.mark.usefixtures("forked_guard")
def test_what_cannot_be_exported_is_refused_in_words(model, tmp_path):
    with pytest.raises(OutputError, match=r"give play\.ts"):
        write_nn_tilde(model, tmp_path / "play.pt")
    stranger = tmp_path / "stranger.pt"
    torch.jit.freeze(torch.jit.script(Stranger().eval())).save(str(stranger))
    with pytest.raises(ModelFileError, match="timbrekit did not write it"):
        write_nn_tilde(open_model(stranger), tmp_path / "play.ts")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        write_nn_tilde(model, tmp_path / "file" / "play.ts")
    assert not (tmp_path / "play.ts").exists()


class Stranger(torch.nn.Module):
    def forward(self, features):
        return torch.cat([features[:, :1].expand(1, 14), torch.full([1, 14], 0.5)])
