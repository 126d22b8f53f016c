"""A drum's voice in nn~: the exported file plays what rehearsal plays."""

import numpy as np
import pytest
import torch
from drum_support import drum_mapping, drum_metadata, full_drum, preset_of, small_drum, update_rows
from takes import varied_strokes

from timbrekit.export.nn_tilde.drum import DrumVoice
from timbrekit.export.nn_tilde.script import NN_OPERATORS, operators, play_in_blocks
from timbrekit.export.nn_tilde.write import samples_of, write_nn_tilde
from timbrekit.export.torchdrum import write_model
from timbrekit.plugin.rehearse import rehearse
from timbrekit.synth.drum_blend import blend_drums

RATE = 48_000


DRUMS = {"one": full_drum, "blend": lambda: blend_drums(small_drum(), full_drum())}


@pytest.fixture(scope="module", params=DRUMS)
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drum")
    preset = preset_of(DRUMS[request.param]())
    mapping = drum_mapping(preset)
    model = write_model(mapping, drum_metadata(mapping, preset), folder / "model.pt")
    return model, write_nn_tilde(model, folder / "model.ts"), preset.instrument()


def opened(files, rate=RATE):
    module = torch.jit.load(str(files[1]), map_location="cpu").eval()
    module.set_fixed_ranges(0)
    module.set_sample_rate(rate)
    return module


@pytest.mark.parametrize("rate", [48_000, 44_100, 96_000])
def test_a_drum_sounds_as_in_rehearsal_at_any_rate_and_in_any_blocks(files, rate):
    model, _, synth = files
    take = varied_strokes(12)
    noise = np.random.default_rng(0).uniform(-1, 1, len(take)).astype(np.float32)
    expected = rehearse(model.module, take, rate, noise=noise, synth=synth)
    assert len(expected.triggers) >= 10 and np.abs(expected.audio).max() > 0.05
    for blocks in ((256,), (64, 4096, 100, 7), (len(take),)):
        played = play_in_blocks(opened(files, rate), take, samples_of(noise), blocks)
        np.testing.assert_array_equal(np.flatnonzero(played[1]), expected.triggers)
        np.testing.assert_allclose(played[0], expected.audio, atol=1e-4)


def test_updates_while_it_rings_are_those_of_rehearsal():
    preset = preset_of(DRUMS["blend"]())
    synth, rows = preset.instrument(), update_rows(preset)
    triggers, starts, length = np.array([100, 30_000]), [0, 400, 2000], 60_000
    expected = synth.stream_updates(rows, [3, 3], triggers, starts, length, RATE, noise=np.full(length, 0.3))
    voice = torch.jit.script(DrumVoice(synth.drum, RATE))
    parts, at, noise = [], 0, torch.full((length,), 0.3)
    for hit, trigger in enumerate(triggers):
        for number, start in enumerate(starts):
            parts.append(voice.next(noise[at : trigger + start]))
            at, values = trigger + start, rows[hit, number].tolist()
            if start:
                voice.update(values)
            else:
                voice.set(values)
                voice.trigger()
    parts.append(voice.next(noise[at:]))
    np.testing.assert_allclose(torch.cat(parts).numpy(), expected, atol=1e-4)


def test_without_noise_a_drum_rings_on(files):
    take = torch.from_numpy(varied_strokes(3))[None, None]
    module, silent = opened(files), opened(files)
    silent.set_noise(0)
    with torch.inference_mode():
        torch.manual_seed(1)
        loud, first, again = module.forward(take)[0, 0], silent.forward(take)[0, 0], None
        silent.restart()
        silent.set_fixed_ranges(0)
        again = silent.forward(take)[0, 0]
    assert torch.equal(first, again) and float(first.abs().max()) > 0.05
    assert float((loud - first).abs().max()) > 1e-3


def test_its_operators_are_on_the_list_and_the_file_stays_small(files):
    assert operators(torch.jit.load(str(files[1]))) <= NN_OPERATORS
    assert files[1].stat().st_size < 500_000
