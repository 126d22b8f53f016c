"""The live page's audio core in node, against the real plug-in's vectors and independent arithmetic."""

import json

import numpy as np
import pytest
import torch
from page_support import (
    DETECTOR,
    PARAMETER_TABLE,
    GoldenNetwork,
    base64_floats,
    golden_metadata,
    linear,
    mapping_metadata,
    node_core,
    wide_mapping,
)

from timbrekit.export.check import read_metadata
from timbrekit.export.live_page import page_model
from timbrekit.export.torchdrum import write_model
from timbrekit.plugin.rehearse import rehearse
from timbrekit.recording import read_recording
from timbrekit.recording.onsets import DetectorSettings
from timbrekit.synth.parameters import PARAMETERS

RATES = (48_000, 44_100, 96_000)
GROWING = {"fixed": False}


@pytest.fixture
def core(tmp_path):
    return node_core(tmp_path)


@pytest.fixture(scope="module")
def take(golden):
    return golden["input_i16"].astype(np.float32) / 32768


@pytest.fixture(scope="module")
def played(golden, take, tmp_path_factory):
    """The golden take through the whole instrument as the plug-in runs it, at each rate, without noise."""
    core = node_core(tmp_path_factory.mktemp("played"))
    samples = core.write("take", take)
    model = golden_metadata(golden)
    common = {"task": "play", "model": model, "samples": samples, "configure": GROWING}
    results = core.run(*({**common, "rate": rate, "out": f"audio{rate}"} for rate in RATES))
    return {
        rate: {**result, "audio": core.read(f"audio{rate}")}
        for rate, result in zip(RATES, results, strict=True)
    }


def of_hits(result, name):
    return np.array([hit[name] for hit in result["hits"]])


@pytest.mark.parametrize("rate", RATES)
def test_detections_and_triggers_are_the_plugins(golden, played, rate):
    assert played[rate]["detections"] == golden[f"detect_idx_{rate}"].tolist()
    assert of_hits(played[rate], "position").tolist() == golden[f"trigger_idx_{rate}"].tolist()


@pytest.mark.parametrize("rate", RATES)
def test_the_onset_signal_is_the_plugins(core, golden, take, rate):
    samples = core.write("take", take)
    core.run({"task": "signal", "samples": samples, "rate": rate, "settings": DETECTOR, "out": "signal"})
    signal = core.read("signal")
    if rate == 48_000:
        np.testing.assert_allclose(signal, golden["onset_signal_48000"], atol=1e-5)
    else:
        np.testing.assert_allclose(signal[::16], golden[f"onset_signal_{rate}_every16"], atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_features_are_the_plugins(golden, played, rate):
    difference = np.abs(of_hits(played[rate], "raw") - golden[f"raw_features_{rate}"]).max(axis=0)
    assert (difference < [2e-5, 3e-4, 0.02]).all(), difference  # dB, semitones, dB (flatness of tonal frames)


def test_features_of_edge_cases_are_the_plugins(core, golden):
    frames = core.write("frames", golden["edge_frames"])
    (result,) = core.run({"task": "features", "frames": frames, "rate": 48_000})
    difference = np.abs(np.array(result["features"]) - golden["edge_raw_features_48000"]).max(axis=0)
    assert (difference < [2e-5, 3e-4, 0.02]).all(), difference


@pytest.mark.parametrize("rate", RATES)
def test_growing_ranges_modulation_and_parameters_are_the_plugins(golden, played, rate):
    np.testing.assert_allclose(of_hits(played[rate], "features"), golden[f"norm_features_{rate}"], atol=1e-4)
    np.testing.assert_allclose(of_hits(played[rate], "modulation"), golden[f"net_out_{rate}"], atol=1e-4)
    span = np.array([p.maximum - p.minimum for p in PARAMETERS])
    apart = np.abs(of_hits(played[rate], "physical") - golden[f"synth_params_real_{rate}"])
    assert (apart < 0.011 + 1e-4 * span).all()  # the same, and one step of the 0.01 snap


def test_the_sound_is_the_plugins(golden, played):
    expected = golden["plugin_audio_48000_first3s"]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(played[48_000]["audio"][: len(expected)], expected, atol=1e-6)


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("kind", ["off", "on"])
def test_the_synthesiser_is_the_plugins(core, golden_808, rate, kind):
    noise = core.write("noise", golden_808["noise"]) if kind == "on" else None
    expected = golden_808[f"{kind}_{rate}"]
    values = golden_808["params_norm"].tolist()
    common = {"task": "synth", "rate": rate, "table": PARAMETER_TABLE, "values": values, "noise": noise}
    tasks = [
        {**common, "strikes": [[0, row]], "length": expected.shape[1], "out": f"set{row}"}
        for row in range(len(values))
    ]
    results = core.run(*tasks)
    np.testing.assert_allclose(results[0]["physical"], golden_808["params_real"], atol=0.006)  # the 0.01 snap
    for row, audio in enumerate(expected):
        np.testing.assert_allclose(
            core.read(f"set{row}"), audio, atol=1e-6, err_msg=golden_808["set_names"][row]
        )


def test_a_retrigger_rises_from_where_the_envelope_stands(core, golden_808):
    row = {name: index for index, name in enumerate(golden_808["set_names"])}
    task = {
        "task": "synth",
        "rate": 48_000,
        "table": PARAMETER_TABLE,
        "values": golden_808["params_norm"].tolist(),
        "strikes": [[500, row["snare1"]], [2000, row["noisy"]]],
        "noise": core.write("noise", golden_808["retrig_noise"]),
        "length": len(golden_808["retrig_audio"]),
        "out": "retriggered",
    }
    core.run(task)
    np.testing.assert_allclose(core.read("retriggered.envelope"), golden_808["retrig_osc1_env"], atol=1e-7)
    np.testing.assert_allclose(core.read("retriggered"), golden_808["retrig_audio"], atol=1e-6)


@pytest.mark.parametrize("sensitivity", [1.0, 2.5])
def test_a_real_recording_plays_what_rehearsal_promised(core, golden, shared_audio_dir, sensitivity):
    samples = read_recording(shared_audio_dir / "snare_performance.flac").samples[: 20 * 48_000]
    noise = np.random.default_rng(9).uniform(-1, 1, len(samples)).astype(np.float32)
    module = torch.jit.script(GoldenNetwork(golden).eval())
    promised = rehearse(module, samples, 48_000, sensitivity=sensitivity, noise=noise)
    task = {"task": "play", "model": golden_metadata(golden), "rate": 48_000, "out": "live"}
    files = {"samples": core.write("take", samples), "noise": core.write("noise", noise)}
    (result,) = core.run({**task, **files, "configure": {**GROWING, "sensitivity": sensitivity}})
    assert len(promised.triggers) > 40
    assert of_hits(result, "position").tolist() == promised.triggers.tolist()
    np.testing.assert_allclose(result["preset"], promised.preset, atol=1e-6)
    np.testing.assert_allclose(of_hits(result, "features"), promised.normalized_features, atol=1e-6)
    np.testing.assert_allclose(of_hits(result, "modulation"), promised.modulation, atol=1e-5)
    # A modulation that differs in its last bit may fall on the other side of a 0.01 step.
    span = np.array([p.maximum - p.minimum for p in PARAMETERS])
    assert (np.abs(of_hits(result, "physical") - promised.parameters) < 0.011 + 1e-6 * span).all()
    np.testing.assert_allclose(core.read("live"), promised.audio, atol=5e-4)


@pytest.mark.parametrize("model", ["linear", "mlp", "mlp-large"])
def test_a_model_file_plays_in_the_page_as_in_rehearsal(core, sample_recording, tmp_path, model):
    mapping = wide_mapping(model)
    settings = DetectorSettings(on_threshold=14.0, off_threshold=5.0, hold=1500)
    metadata = mapping_metadata(mapping, settings)
    file = write_model(mapping, metadata, tmp_path / "model.pt")
    embedded = json.loads(json.dumps(page_model(read_metadata(file.path))))

    samples = read_recording(sample_recording).samples[: 12 * 48_000]
    noise = np.random.default_rng(9).uniform(-1, 1, len(samples)).astype(np.float32)
    promised = rehearse(file.module, samples, 48_000, settings, noise=noise)
    files = {"samples": core.write("take", samples), "noise": core.write("noise", noise)}
    task = {"task": "play", "model": embedded, "rate": 48_000, "configure": GROWING, "out": "live"}
    (result,) = core.run({**task, **files})
    assert len(promised.triggers) > 15
    assert np.ptp(promised.modulation, axis=0).max() > 0.3
    assert of_hits(result, "position").tolist() == promised.triggers.tolist()
    np.testing.assert_allclose(of_hits(result, "modulation"), promised.modulation, atol=1e-5)
    np.testing.assert_allclose(core.read("live"), promised.audio, atol=5e-4)


def strokes(rate=48_000, seconds=2.0, spacing=0.25, seed=3):
    """Decaying noise bursts of different loudness, (samples,)."""
    random = np.random.default_rng(seed)
    audio = np.zeros(int(rate * seconds), dtype=np.float32)
    for start in np.arange(0.1, seconds - 0.2, spacing):
        burst = random.uniform(-1, 1, int(0.1 * rate)) * np.exp(-np.arange(int(0.1 * rate)) / (0.01 * rate))
        at = int(start * rate)
        audio[at : at + len(burst)] += random.uniform(0.1, 0.9) * burst
    return audio


@pytest.fixture
def play(core, golden):
    def run(samples, rate=48_000, name="x", **settings):
        task = {"task": "play", "model": golden_metadata(golden), "rate": rate, "out": f"{name}.audio"}
        (result,) = core.run({**task, "samples": core.write(name, samples), **settings})
        return {**result, "audio": core.read(f"{name}.audio")}

    return run


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 3e38])
def test_broken_samples_count_as_silence_and_do_not_stop_the_instrument(play, poison):
    clean = strokes()
    clean[100:300] = 0
    broken = clean.copy()
    broken[100:300] = poison
    expected = play(clean)
    result = play(broken, name="y")
    assert result["broken"] == 200
    assert len(expected["detections"]) == 7
    assert result["detections"] == expected["detections"]
    np.testing.assert_array_equal(result["audio"], expected["audio"])


@pytest.mark.parametrize("block", [1, 128, 1000])
def test_the_block_size_changes_nothing(play, block):
    samples = strokes()
    whole = play(samples)
    blocks = play(samples, name="y", block=block)
    assert blocks["hits"] == whole["hits"]
    np.testing.assert_array_equal(blocks["audio"], whole["audio"])


def test_fixed_ranges_place_every_hit_in_the_trained_range(play, golden):
    metadata = golden_metadata(golden)["onset_features"]
    low, high = np.array(metadata["minimum"]), np.array(metadata["maximum"])
    result = play(strokes(), configure={"fixed": True})
    raw, features = of_hits(result, "raw"), of_hits(result, "features")
    np.testing.assert_allclose(features, np.clip((raw - low) / (high - low), 0, 1), atol=1e-5)
    assert np.abs(features[0] - 0.5).max() > 0.05  # unlike growing ranges, from the first hit on


def test_growing_ranges_start_in_the_middle(play):
    features = of_hits(play(strokes(), configure=GROWING), "features")
    assert features[0].tolist() == [0.5, 0.5, 0.5]
    assert set(features[1]) <= {0.0, 1.0}


def test_sensitivity_zero_plays_the_preset_and_more_moves_further(play, golden):
    span = np.array([p.maximum - p.minimum for p in PARAMETERS])
    patch = np.round(golden["model_patch"][0] * span / 0.01) * 0.01 / span  # snapped
    still = of_hits(play(strokes(), configure={"sensitivity": 0}), "normalized")
    np.testing.assert_allclose(still, np.broadcast_to(patch, still.shape), atol=1e-6)
    result = play(strokes(), name="y", configure={"sensitivity": 2.5})
    expected = np.clip(patch + 2.5 * of_hits(result, "modulation"), 0, 1)
    np.testing.assert_allclose(of_hits(result, "normalized"), expected, atol=1e-6)


def test_dry_is_the_input_and_half_way_is_the_mean(play):
    samples = strokes()
    np.testing.assert_array_equal(play(samples, configure={"wet": 0})["audio"], samples)
    wet = play(samples, name="y")["audio"]
    half = play(samples, name="z", configure={"wet": 0.5})["audio"]
    np.testing.assert_allclose(half, (samples + wet) / 2, atol=1e-6)


def test_the_detector_follows_its_three_controls(play):
    samples = strokes(seconds=4)
    assert len(play(samples)["detections"]) == 15
    assert play(samples, configure={"on_threshold": 60})["detections"] == []
    held = play(samples, configure={"hold": 20_000})["detections"]
    assert 0 < len(held) < 15
    assert min(np.diff(held)) > 20_000


def test_panic_silences_the_synthesiser_and_the_next_hit_plays(play):
    samples = strokes(spacing=0.5)  # strokes at 0.1 s, 0.6 s, ...
    audio = play(samples, block=100, panicAt=6_000)["audio"]
    assert np.abs(audio[5_200:6_000]).max() > 1e-3
    assert not audio[6_000:28_800].any()
    assert np.abs(audio[29_000:34_000]).max() > 1e-3


def test_noise_is_white_within_bounds_and_repeats_only_from_the_same_seed(core):
    task = {"task": "noise", "length": 20_000}
    free, again, first, same, other = core.run(
        task, task, {**task, "seed": 5}, {**task, "seed": 5}, {**task, "seed": 6}
    )
    assert free["values"] != again["values"]
    assert first["values"] == same["values"] != other["values"]
    for result in (free, first):
        values = np.array(result["values"])
        assert np.abs(values).max() <= 1
        assert abs(values.mean()) < 0.02
        assert abs(values.std() - 1 / np.sqrt(3)) < 0.01
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.03


def test_a_deep_network_is_what_torch_computes(core):
    generator = torch.Generator().manual_seed(4)
    weights = [
        torch.randn(shape, generator=generator) * 0.3 for shape in ((64, 3), (64, 64), (64, 64), (14, 64))
    ]
    biases = [None, *(torch.randn(len(weight), generator=generator) for weight in weights[1:])]
    damping = torch.rand(14, generator=generator) * 2
    layers, torch_layers = [], []
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        layers.append(linear(weight.numpy(), None if bias is None else bias.numpy()))
        module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        module.weight.data = weight
        if bias is not None:
            module.bias.data = bias
        torch_layers.append(module)
        if index < 3:
            layers += [{"type": "layer_norm", "eps": 1e-5}, {"type": "relu"}]
            torch_layers += [
                torch.nn.LayerNorm(len(weight), eps=1e-5, elementwise_affine=False),
                torch.nn.ReLU(),
            ]
    layers += [
        {"type": "tanh"},
        {"type": "scale", "weight": base64_floats(damping.numpy())},
        {"type": "clamp", "min": -1, "max": 1},
    ]
    inputs = torch.rand((20, 3), generator=generator)
    expected = (torch.nn.Sequential(*torch_layers, torch.nn.Tanh())(inputs) * damping).clamp(-1, 1)
    (result,) = core.run({"task": "network", "network": {"layers": layers}, "inputs": inputs.tolist()})
    assert expected.abs().max() == 1  # the clamp is met
    np.testing.assert_allclose(result["outputs"], expected.detach().numpy(), atol=2e-6)


def test_an_unknown_layer_is_refused_by_name(core):
    network = {"layers": [{"type": "rms_norm"}]}
    (result,) = core.run({"task": "network", "network": network, "inputs": [[0, 0, 0]]})
    assert "rms_norm" in result["error"]
