"""Two drums as one: each end is that drum, what lies between glides from the one to the other."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from drum_support import DECAYS, FREQUENCIES, RATE, full_drum, preset_of, small_drum, struck

from timbrekit.cli import main
from timbrekit.errors import PresetError
from timbrekit.presets import load_preset
from timbrekit.recording import write_wav
from timbrekit.synth.drum import SILENT_DB, parse_drum
from timbrekit.synth.drum_blend import blend_drums, paired_modes
from timbrekit.synth.drum_model import DrumModel
from timbrekit.synth.noise_bands import NODES

SAMPLES = 24_000


def rendered(drum, start=500, **moved):
    drum = parse_drum(drum.to_json(), "x")
    values = drum.values() | moved
    row = [[p.to_normalized(values[p.key]) for p in drum.parameters()]]
    model = DrumModel(drum)
    row = torch.tensor(row, dtype=torch.float64)
    return model.render(RATE, SAMPLES, row, (torch.tensor([start]),))[0].numpy()


def simple(shift=1.0, levels=(-20.0, -26.0, -30.0, -32.0), **changed):
    """Four modes, hardly any noise; all frequencies times ``shift``."""
    nothing = np.full((2, 20, len(NODES)), SILENT_DB)
    modes = {
        "frequency": np.array(FREQUENCIES) * shift,
        "level": np.tile(levels, (2, 1)),
        "phase": np.zeros((2, 4)),
        "decay": np.array(DECAYS),
        "gliding": np.zeros(4),
        "level_slope": np.ones(4),
    }
    silent = {"noise_level": nothing, "onset": np.zeros((2, 1056))}
    return replace(small_drum(), glide_amount=0.0, **{**modes, **silent, **changed})


@pytest.mark.parametrize("pair", [(small_drum, full_drum), (full_drum, small_drum)])
def test_each_end_of_a_blend_is_that_drum(pair):
    one, other = (make() for make in pair)
    both = blend_drums(one, other)
    np.testing.assert_allclose(rendered(both, blend=0.0), rendered(one), atol=2e-5)
    strike = float(other.loudness[other.reference])
    np.testing.assert_allclose(rendered(both, blend=100.0, strike=strike), rendered(other), atol=2e-5)


def test_paired_modes_glide_and_half_way_is_the_geometric_mean():
    both = blend_drums(simple(), simple(1.5))

    def peaks(sound):
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 4 * SAMPLES))
        return spectrum.argmax() * RATE / (4 * SAMPLES)

    for blend, expected in ((0.0, 182.0), (50.0, 182 * 1.5**0.5), (100.0, 273.0)):
        assert peaks(rendered(both, blend=blend)) == pytest.approx(expected, abs=1)


def test_a_mode_without_partner_fades():
    other = simple(frequency=np.array([182.0, 331.0, 447.0, 3000.0]))
    both = blend_drums(simple(), other)
    assert len(both.frequency) == 5

    def level(sound, hertz):
        spectrum = np.abs(np.fft.rfft(sound, RATE))
        return 20 * np.log10(spectrum[hertz - 15 : hertz + 16].max())

    full, half, quarter, none = (
        level(rendered(both, blend=blend), 3000) for blend in (100.0, 50.0, 25.0, 0.0)
    )
    assert full - half == pytest.approx(6.02, abs=0.1)
    assert full - quarter == pytest.approx(12.04, abs=0.2)
    assert full - none > 40


def test_a_long_ring_is_not_cut_short_by_the_other_drum():
    both = blend_drums(*(simple(decay=np.full(4, 2.0), seconds=seconds) for seconds in (0.5, 0.1)))
    level = np.abs(rendered(both, blend=50.0))
    assert level[-3000:-1000].max() > 0.2 * level[4000:6000].max()


def test_modes_are_paired_by_their_ratio_to_the_main_mode_and_by_their_level():
    first, second = paired_modes(simple(), simple(1.7))
    assert first.tolist() == second.tolist() == [0, 1, 2, 3]
    quiet = simple(1.7, levels=(-20.0, -26.0, -30.0, -80.0))
    assert len(paired_modes(simple(), quiet)[0]) == 3  # 48 dB weaker is no partner


def test_gradients_lead_from_one_drum_to_the_other():
    both = blend_drums(small_drum(), full_drum())
    model = DrumModel(both)
    values = both.values()
    row = torch.tensor(
        [[p.to_normalized(values[p.key]) for p in model.parameters]], dtype=torch.float64, requires_grad=True
    )
    index = [p.key for p in model.parameters].index("blend")
    draws = model.draw(1, 480)
    weights = torch.rand(480, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((model.render(8000, 480, row, draws) * weights).sum(), row)
    step = torch.zeros_like(row)
    step[0, index] = 1e-6
    with torch.no_grad():
        up, down = ((model.render(8000, 480, row + s * step, draws) * weights).sum() for s in (1, -1))
    assert float(gradient[0, index]) == pytest.approx(float(up - down) / 2e-6, rel=1e-3)


def test_a_blend_is_written_read_and_refused_where_it_is_damaged(tmp_path):
    preset = preset_of(blend_drums(small_drum(), full_drum()))
    content = json.loads(json.dumps(preset.to_json()))
    assert [p.key for p in preset.parameters][-1] == "blend" and preset.values["blend"] == 50
    again = parse_drum(content["drum"], "x")
    np.testing.assert_allclose(again.other.frequency, parse_drum(preset.drum, "x").other.frequency)
    content["drum"]["other"]["frequency"] = "100 200"
    content["drum"]["other"]["other"] = None
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(PresetError):
        load_preset(tmp_path / "bad.json")


def test_the_command_blends(tmp_path, capsys):
    write_wav(tmp_path / "one.wav", struck(0.6), RATE)
    write_wav(tmp_path / "other.wav", struck(0.6, glide=0.3, noise=0.2), RATE)
    out = tmp_path / "both.json"
    hits = [str(tmp_path / "one.wav"), "--blend", str(tmp_path / "other.wav")]
    assert main(["drum", *hits, "--out", str(out), "--stems", str(tmp_path / "stems"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["blended_with"]["paired"] >= 3 and said["mss"] < 1.5 * said["mss_floor"]
    preset = load_preset(out)
    assert "blended" in preset.description and preset.values["blend"] == 50
