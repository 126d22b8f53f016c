"""FluCoMa's files, read by an evaluator of its format that knows nothing of ours."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_files import Published, Wide, scripted

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.check import check_model, open_model
from timbrekit.export.flucoma import write_flucoma
from timbrekit.export.metadata import build_metadata
from timbrekit.export.torchdrum import write_model
from timbrekit.mapping import MODEL_NAMES, Mapping, build_network, count_weights
from timbrekit.presets import load_preset
from timbrekit.recording.onsets import DetectorSettings

MINIMUM, MAXIMUM = [-48.5, 61.25, -42.0], [-6.0, 98.5, -3.75]


def fluid_mlpregressor(path, points):
    """(n, 3) to (n, 14), number by number as FluCoMa's read message and predict do it."""
    layers = json.loads(path.read_text())["layers"]
    answers = []
    for point in points:
        values = [float(value) for value in point]
        for layer in layers:
            weights, biases = layer["weights"], layer["biases"]
            assert len(values) == layer["rows"] == len(weights)
            assert {len(row) for row in weights} == {layer["cols"]} == {len(biases)}
            sums = [
                sum(values[r] * weights[r][c] for r in range(layer["rows"])) + biases[c]
                for c in range(layer["cols"])
            ]
            values = [(v, 1 / (1 + np.exp(-v)), max(v, 0.0), np.tanh(v))[layer["activation"]] for v in sums]
        answers.append(values)
    return np.array(answers)


def fluid_normalize(path, points):
    """(n, 3) in the features' own units to the mapping's inputs."""
    fitted = json.loads(path.read_text())
    assert set(fitted) == {"cols", "data_min", "data_max", "min", "max"}
    assert fitted["cols"] == len(fitted["data_min"]) == len(fitted["data_max"])
    low, high = np.array(fitted["data_min"]), np.array(fitted["data_max"])
    return fitted["min"] + (points - low) / (high - low) * (fitted["max"] - fitted["min"])


def write(folder, model_name, ranges=(MINIMUM, MAXIMUM), scale=0.7):
    preset = load_preset("open-snare")
    network = build_network(model_name)
    generator = torch.Generator().manual_seed(3)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=scale, generator=generator)
    centre = torch.tensor([0.3, 0.5, 0.6])
    normalized, damping = torch.from_numpy(preset.normalized()), torch.from_numpy(preset.damping_vector())
    mapping = Mapping(network, normalized, damping, centre).eval().requires_grad_(False)
    metadata = build_metadata(mapping, preset, 48_000, DetectorSettings(), *map(torch.tensor, ranges))
    return mapping, write_model(mapping, metadata, folder / "model.pt")


@pytest.mark.parametrize("model_name", ["mlp-plain", "linear"])
def test_from_raw_features_to_parameters_it_answers_as_the_model(tmp_path, model_name):
    mapping, model = write(tmp_path, model_name, scale=1.5)  # so large that linear's clamp is reached
    mapping_path, normalizer_path = write_flucoma(model, tmp_path / "out")
    random = np.random.default_rng(0)
    raw = random.uniform(MINIMUM, MAXIMUM, (50, 3))
    inputs = fluid_normalize(normalizer_path, raw)
    np.testing.assert_allclose(inputs, (raw - MINIMUM) / (np.array(MAXIMUM) - MINIMUM), atol=1e-6)
    expected = mapping.preset + mapping(torch.from_numpy(inputs.astype(np.float32)))
    answers = fluid_mlpregressor(mapping_path, inputs)
    np.testing.assert_allclose(answers, expected.numpy(), atol=2e-6)
    assert answers.std(axis=0).max() > 0.1
    if model_name == "linear":
        moved = mapping.network(torch.from_numpy(inputs.astype(np.float32)) - mapping.centre).abs()
        assert (moved == 1).any()
        assert (moved < 1).any()


def test_the_published_sizes_stay_and_the_plain_one_has_mlps(tmp_path):
    sizes = {name: count_weights(build_network(name)) for name in MODEL_NAMES}
    assert sizes == {"mlp": 590, "mlp-large": 9486, "linear": 42, "mlp-plain": 590}
    assert not any(isinstance(layer, torch.nn.LayerNorm) for layer in build_network("mlp-plain"))


def test_the_plain_network_starts_at_the_preset_with_all_its_units_alive():
    cube = torch.cartesian_prod(*[torch.linspace(0, 1, 5)] * 3)
    for seed in range(5):
        network = build_network("mlp-plain", seed)
        with torch.no_grad():
            assert network(cube).abs().max() < 0.05
            hidden = torch.relu(network[0](cube))
        assert (hidden.amax(0) > 0).all()  # a unit that is dead from the start never learns
        assert hidden.amax() > 0.5


def test_the_plain_network_learns_what_bends():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(64, 3, generator=generator)
    wanted = torch.stack([(inputs[:, i % 3] - 0.1 * (i // 3 + 3)).abs() - 0.2 for i in range(14)], -1)
    network = build_network("mlp-plain")
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(300):
        loss = (network(inputs) - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 * losses[0]


def test_layer_normalisation_is_refused_with_the_way_out(tmp_path):
    for name in ("mlp", "mlp-large"):
        _, model = write(tmp_path, name)
        with pytest.raises(ModelFileError, match=r"layer normalisation.* --model mlp-plain"):
            write_flucoma(model, tmp_path / "out")
        assert "FluCoMa" not in check_model(model.path).hosts
    assert "FluCoMa" in check_model(write(tmp_path, "mlp-plain")[1].path).hosts
    assert not (tmp_path / "out").exists()


def test_a_file_name_or_a_folder_may_be_given(tmp_path):
    _, model = write(tmp_path, "mlp-plain")
    assert write_flucoma(model, tmp_path / "new" / "snare.json") == (
        tmp_path / "new" / "snare.json",
        tmp_path / "new" / "snare-normalize.json",
    )
    assert write_flucoma(model, tmp_path) == (tmp_path / "mapping.json", tmp_path / "normalize.json")
    with pytest.raises(OutputError, match=r"give NAME\.json"):
        write_flucoma(model, tmp_path / "snare.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        write_flucoma(model, tmp_path / "file" / "snare.json")


def test_a_feature_that_never_changed_is_one_half_as_in_the_plug_in(tmp_path):
    _, model = write(tmp_path, "mlp-plain", ([-48.5, 80.0, -42.0], [-6.0, 80.0, -3.75]))
    _, normalizer = write_flucoma(model, tmp_path)
    assert fluid_normalize(normalizer, np.array([[-6.0, 80.0, -3.75]])).tolist() == [[1.0, 0.5, 1.0]]


@pytest.mark.usefixtures("forked_guard")
def test_a_strangers_model_is_refused(tmp_path):
    stranger = tmp_path / "stranger.pt"
    stranger.write_bytes(scripted(Published().eval()))
    with pytest.raises(ModelFileError, match=r"stranger\.pt: .*timbrekit did not write it"):
        write_flucoma(open_model(stranger), tmp_path / "out")
    stranger.write_bytes(scripted(Wide().eval()))
    with pytest.raises(ModelFileError, match=r"stranger\.pt cannot be exported.*\(2, 28\)"):
        write_flucoma(open_model(stranger), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_description_that_does_not_fit_its_network_is_not_handed_over(tmp_path):
    _, model = write(tmp_path, "mlp-plain")
    right = model.metadata
    foreign = write(tmp_path / "other", "mlp-plain", scale=0.2)[1].metadata
    mixed = {**right, "network": foreign["network"]}
    halved = {**right, "network": {"layers": [{"type": "linear"}]}}
    for metadata, message in ((mixed, "would not answer as the model"), (halved, "is not whole")):
        with pytest.raises(ModelFileError, match=message):
            write_flucoma(replace(model, metadata=metadata), tmp_path / "out")
    assert not (tmp_path / "out").exists()
