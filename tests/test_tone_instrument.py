"""Decoder, instrument, loss, stream, playing and nn~ of timbrekit.tone."""

import json
import math

import numpy as np
import pytest
import torch
from tone_support import note, reed

from timbrekit.errors import ModelFileError, OutputError
from timbrekit.export.nn_tilde.script import NN_OPERATORS, operators, play_in_blocks
from timbrekit.tone.decoder import HIDDEN, Decoder
from timbrekit.tone.export import DESCRIPTION, TONE_OPERATORS, hops_of, write_nn_tilde
from timbrekit.tone.instrument import Instrument, Ranges, first_state, load_instrument, save_instrument
from timbrekit.tone.loss import loudness_loss, spectral_loss
from timbrekit.tone.pitch import CENTRE, FLOOR, HOP, RATE, Heard, hear, listening_tables
from timbrekit.tone.play import fit, play
from timbrekit.tone.stream import ATTRIBUTES, LATENCY, Stream
from timbrekit.tone.synth import white_noise

RANGES = Ranges((55.0, 75.0), (-30.0, -12.0))


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """Untrained, with a room."""
    torch.manual_seed(3)
    made = Instrument(RANGES).eval()
    with torch.no_grad():
        made.room_taps.copy_(0.02 * torch.randn(made.room_taps.shape))
    return made


@pytest.fixture(scope="module")
def scripted(instrument):
    return torch.jit.script(Stream(instrument))


def steady(pitch: float, loudness: float, hops: int = 150) -> Heard:
    return Heard(torch.full((hops,), pitch), torch.ones(hops), torch.full((hops,), loudness))


def sung(seconds: float = 1.5) -> np.ndarray:
    return reed(seconds, seed=5)


@pytest.mark.parametrize(("pitch", "loudness"), [(58.0, -30.0), (67.3, -20.0), (74.0, -12.0)])
def test_an_instrument_sounds_at_the_pitch_and_about_the_loudness_asked_for(instrument, pitch, loudness):
    heard = hear(instrument.play(steady(pitch, loudness)))
    assert heard.pitch[60:].numpy() == pytest.approx(pitch, abs=0.05)
    assert heard.loudness[60:].mean() == pytest.approx(
        loudness, abs=7
    )  # the correction is 6 dB, the room may add one


def test_the_decoder_is_as_loud_as_asked_but_for_its_correction():
    """With the correction held at none, harmonics and noise together have the loudness asked for."""
    decoder = Decoder(RANGES)
    made = Instrument(RANGES)
    made.decoder = decoder
    with torch.no_grad():
        decoder.strengths.weight[-1] = 0.0
    for pitch, loudness in ((56.0, -25.0), (80.0, -15.0)):
        heard = hear(made.play(steady(pitch, loudness)))
        assert heard.loudness[60:].mean() == pytest.approx(loudness, abs=0.3)


def test_silence_asked_for_is_silence(instrument):
    sound = instrument.play(Heard(torch.full((60,), 60.0), torch.zeros(60), torch.full((60,), FLOOR)))
    assert sound.abs().max() < 2**-24  # half a step of a 24-bit file


def test_pitch_counts_for_the_decoder():
    """An octave moves an untrained decoder's first layers by far more than the 0.8 % of a joint input in Hz."""
    torch.manual_seed(0)
    decoder = Decoder(RANGES)
    heights = torch.tensor([[-1.0], [0.0]])
    read = decoder.read_pitch(heights)
    assert (read[0] - read[1]).norm() > 0.2 * read[1].norm()


def test_the_decoder_is_causal_and_its_state_is_all_it_remembers():
    torch.manual_seed(0)
    decoder = Decoder(RANGES).eval()
    controls = [60 + 5 * torch.rand(1, 20), torch.ones(1, 20), -20 + 5 * torch.rand(1, 20)]
    *whole, _ = decoder(*controls, torch.zeros(1, 1, HIDDEN))
    *first, state = decoder(*(values[:, :7] for values in controls), torch.zeros(1, 1, HIDDEN))
    *second, _ = decoder(*(values[:, 7:] for values in controls), state)
    for parts in zip(first, second, whole, strict=True):
        assert torch.allclose(torch.cat(parts[:2], 1), parts[2], atol=1e-6)


def test_the_loss_is_zero_for_equal_sounds_and_grows_with_distance():
    sound = torch.from_numpy(sung())[None]
    other = torch.from_numpy(reed(1.5, seed=6))[None]
    assert float(spectral_loss(sound, sound)) == 0
    assert float(spectral_loss(sound, 1.1 * sound)) < float(spectral_loss(sound, 2 * sound))
    assert float(spectral_loss(sound, other)) > float(spectral_loss(sound, 1.1 * sound))


def test_the_loss_of_twice_the_level_is_what_the_formula_says():
    sound = torch.randn(1, 16_384, generator=torch.Generator().manual_seed(0))
    scale, window = 512, np.hanning(513)[:-1]
    starts = range(0, 16_384 - scale + 1, scale // 4)
    spectra = [np.fft.rfft(window * sound[0, start : start + scale].numpy()) for start in starts]
    expected = np.abs(spectra).mean() / math.sqrt(scale)
    assert float(spectral_loss(2 * sound, sound, (scale,))) == pytest.approx(expected + math.log(2), rel=1e-4)


def test_the_loudness_loss_is_in_decibels():
    sound = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0)) * 0.1
    assert float(loudness_loss(sound * 10 ** (3 / 20), sound, listening_tables())) == pytest.approx(
        3, abs=1e-3
    )


def test_the_loss_of_silence_has_a_gradient():
    sound = torch.zeros(1, 8192, requires_grad=True)
    spectral_loss(sound, torch.randn(1, 8192)).backward()
    assert bool(sound.grad.isfinite().all())


@pytest.mark.parametrize("block", [64, 256, 1000, 4096])
def test_a_stream_in_blocks_is_what_is_played_offline(instrument, scripted, block):
    sound = sung()
    heard = hear(sound)
    white = white_noise(1, len(sound) // HOP + 1, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        controls = (values[None] for values in (heard.pitch, heard.voiced, heard.loudness))
        offline = instrument(*controls, white[:, : len(heard)])[0].numpy()
    scripted.restart()
    play_in_blocks(scripted, sung(0.3), hops_of(white[0]), (block,))  # which the next restart has to forget
    scripted.restart()
    streamed = play_in_blocks(scripted, sound, hops_of(white[0]), (block,))
    assert np.abs(streamed[0, :HOP]).max() == 0
    assert streamed[0, HOP:] == pytest.approx(offline[: len(sound) - HOP], abs=1e-4)
    assert np.abs(offline).max() > 0.05


def test_a_change_in_the_input_is_complete_in_the_output_after_the_stated_latency(instrument):
    """From one pitch to another: 1536 samples after, and not 512 samples before that, only the second one sounds."""
    random = np.random.default_rng(0)
    change = 60 * HOP
    first, second = note(60, change, 0.5, random), note(67, change, 0.5, random)
    stream = Stream(instrument)
    shown = []
    for block in torch.from_numpy(np.concatenate([first, second]).astype(np.float32)).split(HOP):
        shown.append(stream(block[None, None])[0, 1])
    pitch = torch.cat(shown)
    done = change + LATENCY
    assert pitch[done : done + 50 * HOP].numpy() == pytest.approx(67, abs=0.1)
    assert LATENCY - CENTRE <= 0.015 * RATE


def test_input_that_is_no_sound_does_not_stick(scripted):
    scripted.restart()
    sound = np.concatenate([sung(0.3), np.full(500, np.nan), np.full(500, 1e30), sung(0.3)]).astype(
        np.float32
    )
    white = white_noise(1, len(sound) // HOP + 1)[0]
    played = play_in_blocks(scripted, sound, hops_of(white), (512,))
    assert np.isfinite(played).all()
    assert np.abs(played[0, -2000:]).max() > 1e-3


def test_an_empty_block_and_a_batch_are_answered(scripted):
    scripted.restart()
    assert scripted(torch.zeros(1, 1, 0)).shape == (1, 3, 0)
    assert scripted(torch.zeros(2, 1, 300)).shape == (2, 3, 300)


def test_transpose_and_gain_do_what_they_say(instrument):
    sound = torch.from_numpy(note(62.0, RATE, 0.3, np.random.default_rng(0)).astype(np.float32))
    made = {}
    for name, transpose, gain in (("plain", 0.0, 0.0), ("higher", 5.0, 0.0), ("softer", 0.0, -10.0)):
        stream = Stream(instrument)
        stream.set_transpose(transpose)
        stream.set_gain(gain)
        made[name] = hear(stream(sound[None, None])[0, 0]).part(60, 170)
    assert made["plain"].pitch.median() == pytest.approx(62, abs=0.05)
    assert made["higher"].pitch.median() == pytest.approx(67, abs=0.05)
    drop = (made["plain"].loudness - made["softer"].loudness).median()
    assert drop == pytest.approx(10, abs=2.5)


def test_setters_stay_within_their_range(instrument):
    stream = Stream(instrument)
    for value, kept in ((1000.0, 48.0), (-1000.0, -48.0), (math.nan, -48.0)):
        assert stream.set_transpose(value) == 0
        assert stream.get_transpose() == kept


def test_a_file_for_nn_tilde_plays_as_the_instrument(tmp_path, instrument):
    save_instrument(tmp_path / "tone.pt", instrument, {"recording": "reed"})
    path = write_nn_tilde(tmp_path / "tone.pt", tmp_path / "tone.ts")
    files = {DESCRIPTION: ""}
    module = torch.jit.load(str(path), _extra_files=files)
    assert json.loads(files[DESCRIPTION])["sample_rate"] == RATE
    assert module.forward_params.tolist() == [1, 1, 3, 1]
    assert module.get_methods() == ["forward"] and module.get_attributes() == list(ATTRIBUTES)
    for name in ATTRIBUTES:
        assert getattr(module, f"{name}_params").tolist() == [2]
        assert isinstance(getattr(module, f"get_{name}")(), float)
    needed = operators(module) - NN_OPERATORS
    assert needed == TONE_OPERATORS - NN_OPERATORS  # the list holds nothing that is not used
    assert not {
        name for name in TONE_OPERATORS if "file" in name.lower() or "save" in name or "Print" in name
    }


def test_a_file_for_nn_tilde_needs_the_right_name(tmp_path, instrument):
    save_instrument(tmp_path / "tone.pt", instrument, {})
    with pytest.raises(OutputError, match=r"tone\.ts"):
        write_nn_tilde(tmp_path / "tone.pt", tmp_path / "tone.pth")


def test_an_instrument_is_saved_and_read_whole(tmp_path, instrument):
    save_instrument(tmp_path / "tone.pt", instrument, {"recording": "reed.wav"})
    read, about = load_instrument(tmp_path / "tone.pt")
    assert about == {"recording": "reed.wav"} and read.ranges == instrument.ranges
    told = steady(60, -20, 30)
    assert torch.equal(read.play(told), instrument.play(told))


@pytest.mark.parametrize("content", [b"", b"not a model", b"RIFF of a sound", None])
def test_what_is_no_instrument_is_refused(tmp_path, content):
    path = tmp_path / "tone.pt"
    if content is None:
        torch.save({"weights": {}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"tone\.pt is not an instrument"):
        load_instrument(path)
    with pytest.raises(ModelFileError, match="no file"):
        load_instrument(tmp_path / "missing.pt")


def test_pitch_is_brought_to_the_instrument_by_octaves():
    heard, octaves = fit(steady(40.0, -20.0), RANGES)
    assert octaves == 2 and float(heard.pitch[0]) == 64
    heard, octaves = fit(steady(40.0, -20.0), RANGES, transpose=3)
    assert octaves == 2 and float(heard.pitch[0]) == 67


def test_loudness_is_brought_to_the_instrument_by_its_spread():
    loudness = torch.linspace(-50, -30, 201)
    told = Heard(torch.full((201,), 60.0), torch.ones(201), loudness)
    fitted, _ = fit(told, RANGES)
    soft, loud = np.percentile(fitted.loudness.numpy(), (5, 95))
    assert (soft, loud) == pytest.approx(RANGES.loudness, abs=0.2)
    assert bool((fitted.loudness.diff() > 0).all())
    as_is, _ = fit(told, RANGES, loudness="as-is")
    assert torch.equal(as_is.loudness, loudness)


def test_silence_stays_silence_when_loudness_is_fitted():
    told = Heard(torch.full((200,), 60.0), torch.ones(200), torch.full((200,), -40.0))
    told.voiced[100:] = 0
    told.loudness[100:] = FLOOR
    fitted, _ = fit(told, RANGES)
    assert bool((fitted.loudness[100:] == FLOOR).all())


def test_what_is_played_is_as_long_as_the_input_and_in_time_with_it(instrument):
    random = np.random.default_rng(0)
    silence = np.zeros(RATE // 2)
    sound = np.concatenate([silence, note(62, RATE // 2, 0.5, random), silence]).astype(np.float32)[:-77]
    played = play(instrument, sound).samples
    assert len(played) == len(sound)
    dry = np.abs(played).reshape(-1)
    loud = np.flatnonzero(dry > 0.3 * dry.max())
    assert loud[0] == pytest.approx(RATE // 2, abs=0.03 * RATE)


def test_a_recording_without_pitch_says_so(instrument):
    played = play(instrument, np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32))
    assert [finding.kind for finding in played.findings] == ["no_pitch"]


def test_a_single_state_serves_one_stream_only(instrument):
    """Two streams of one instrument do not hear each other."""
    sound = torch.from_numpy(sung(0.5))[None, None]
    white = white_noise(1, 200)[0]
    one, two = Stream(instrument), Stream(instrument)
    alone = one.play(sound, white)
    two.play(0.5 * sound, white)
    two.restart()
    assert torch.equal(two.play(sound, white), alone)
    assert first_state().hertz.shape == (1, 1)
