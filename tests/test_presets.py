"""Presets: the shipped ones by measurement, a user's own in every state of repair."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timbrekit.errors import OutputError, PresetError
from timbrekit.features import TimbreFeatures
from timbrekit.presets import Preset, load_preset, parse_preset, preset_names, save_preset
from timbrekit.synth.parameters import PARAMETER_KEYS, PARAMETERS
from timbrekit.synth.snare808 import Snare808, white_noise

RATE = 48_000
PUBLISHED = {  # NIME 2024, in the parameter table's order
    "snare-1": [180, 0.4, 240, 0.3, 50, 200, 150, 200, 2500, 2, -6, -12, -4, -12],
    "snare-2": [179, 0.1, 366, 0.34, 21.59, 133, 106.5, 108, 2295, 0.5, -18, -20, -10, 1],
    "snare-3": [173, 0.66, 351, 0.24, 33.19, 152.07, 91.15, 269, 1500, 1, -14, -13, -44, -3.5],
    "open-snare": [135, 0.43, 236, 0.53, 119, 558, 43, 100, 10000, 1.2, -10, -14, -53, -3],
    "noisy-snare": [500, 0.42, 700, 1, 787, 100, 200, 1949, 3915, 6, -50, -50, -25, 13],
}
OWN = {"kick", "low-tom", "mid-tom", "high-tom", "rim-clave", "cowbell", "hand-clap", "shaker"}
# What a listener can tell apart in each timbre feature, roughly: LKFS, brightness, dB, temporal centroid.
AUDIBLE = np.array([1, 1, 0.2, 0.2, 2, 2, 1])


def content(**changes):
    """A good preset's JSON, with some of its entries changed."""
    return {**load_preset("snare-1").to_json(), **changes}


def write(folder, text):
    path = folder / "mine.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture(scope="module")
def sounds():
    parameters = torch.from_numpy(np.stack([load_preset(name).normalized() for name in preset_names()]))
    sounds = Snare808().sound(RATE, RATE, parameters, white_noise((RATE,), 0))
    return dict(zip(preset_names(), sounds, strict=True))


def test_the_shipped_presets_are_all_there_snares_first():
    assert set(preset_names()) == OWN | set(PUBLISHED)
    assert set(preset_names()[:5]) == set(PUBLISHED)


@pytest.mark.parametrize("name", sorted(OWN | set(PUBLISHED)))
def test_a_shipped_preset_is_within_the_ranges(name):
    preset = load_preset(name)
    assert preset.name == name and preset.title and preset.description
    assert tuple(preset.values) == PARAMETER_KEYS
    vector, damping = preset.normalized(), preset.damping_vector()
    assert vector.shape == damping.shape == (14,) and vector.dtype == damping.dtype == np.float32
    assert vector.min() >= 0 and vector.max() <= 1
    assert damping.min() >= 0 and damping.max() <= 1


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_presets_have_the_published_values(name):
    assert list(load_preset(name).values.values()) == PUBLISHED[name]
    assert load_preset(name).damping == {p.key: p.damping for p in PARAMETERS}


def test_frequencies_are_damped_as_the_parameter_table_says():
    assert {key: d for key, d in load_preset("snare-1").damping.items() if d != 1} == {
        "osc1.freq": 0.01,  # as published
        "osc2.freq": 0.01,
        "noise_filter.freq": 0.15,  # ours: its jumps thump
    }


def test_every_preset_can_be_heard_and_does_not_clip(sounds):
    for name, sound in sounds.items():
        assert 0.1 < sound.abs().max() < 1, name


def test_presets_are_audibly_distinct(sounds):
    # Somewhere, the two differ by three steps that a listener can tell apart.
    names = list(sounds)
    features = TimbreFeatures(RATE)(torch.stack(list(sounds.values()))).numpy()
    steps = (np.abs(features[:, None] - features[None]) / AUDIBLE).max(-1)
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            assert steps[i, j] >= 3, f"{first} and {second}"


def loudest_hz(sound, start_ms=20, stop_ms=220):
    """Frequency of the spectrum's peak, to 0.4 Hz."""
    part = sound.numpy()[start_ms * RATE // 1000 : stop_ms * RATE // 1000]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
    return spectrum.argmax() * RATE / (1 << 17)


def fall_ms(sound, decibels):
    """Time after which what is left has fallen by so much against the whole (Schroeder's integral)."""
    left = np.cumsum(sound.numpy()[::-1].astype(float) ** 2)[::-1]
    return float(np.argmax(left < left[0] * 10 ** (-decibels / 10))) / RATE * 1000


@pytest.mark.parametrize(
    ("name", "hz"), [("kick", 50), ("low-tom", 90), ("mid-tom", 140), ("high-tom", 210), ("cowbell", 540)]
)
def test_a_tonal_preset_has_its_pitch(sounds, name, hz):
    assert loudest_hz(sounds[name], start_ms=60, stop_ms=260) == pytest.approx(hz, rel=0.03)


@pytest.mark.parametrize(
    ("name", "shortest_ms", "longest_ms"),
    [
        ("kick", 250, 600), ("low-tom", 200, 400), ("mid-tom", 150, 350), ("high-tom", 100, 300),
        # Longer than the 808's own 40 ms on purpose: with those its sustain stood at the edge of silence, and models
        # of it played worse than none (docs/lab_notes/as_played.md).
        ("rim-clave", 40, 100), ("cowbell", 150, 400), ("hand-clap", 80, 200), ("shaker", 15, 60),
    ],
)  # fmt: skip
def test_a_preset_rings_as_long_as_its_instrument(sounds, name, shortest_ms, longest_ms):
    assert shortest_ms < fall_ms(sounds[name], 40) < longest_ms


def test_toms_go_up_and_get_shorter(sounds):
    toms = [sounds[name] for name in ("low-tom", "mid-tom", "high-tom")]
    pitches, lengths = [loudest_hz(tom) for tom in toms], [fall_ms(tom, 40) for tom in toms]
    assert pitches == sorted(pitches) and lengths == sorted(lengths, reverse=True)


def test_a_kick_dives(sounds):
    crossings = np.flatnonzero(np.diff(np.signbit(sounds["kick"][:9600].numpy())))
    half_periods = np.diff(crossings) / RATE
    assert 1 / (2 * half_periods[1]) > 1.3 / (2 * half_periods[-1])


def test_noise_presets_have_no_tone_and_the_cowbell_has_two(sounds):
    for name in ("hand-clap", "shaker"):
        spectrum = np.abs(np.fft.rfft(sounds[name].numpy())) ** 2
        assert spectrum.max() < 0.02 * spectrum.sum(), name
    spectrum = np.abs(np.fft.rfft(sounds["cowbell"].numpy()))
    for hz in (540, 800):
        assert spectrum[hz - 5 : hz + 6].max() > 0.3 * spectrum.max()


def test_a_saved_preset_reads_back_the_same(tmp_path):
    original = load_preset("snare-2")
    preset = Preset(
        "my-own", "My own, ö 🥁", {**original.values, "osc1.freq": 123.25}, "Text.", original.damping
    )
    path = save_preset(preset, tmp_path / "my-own.json")
    assert load_preset(path) == preset
    assert load_preset(str(path)) == preset


def test_a_preset_is_named_after_its_file(tmp_path):
    path = tmp_path / "Öl Drum (2).json"
    path.write_text(json.dumps(content()))
    assert load_preset(path).name == "l-drum-2"
    assert load_preset(path).title == "Snare 1"


def test_the_file_needs_only_values(tmp_path):
    preset = load_preset(write(tmp_path, json.dumps({"values": load_preset("snare-1").values})))
    assert preset.title == "mine" and preset.description == ""
    assert preset.damping == load_preset("snare-1").damping


def test_damping_of_some_parameters_leaves_the_others(tmp_path):
    preset = load_preset(write(tmp_path, json.dumps(content(damping={"osc1.mod": 0.5}))))
    assert preset.damping["osc1.mod"] == 0.5 and preset.damping["osc1.freq"] == 0.01


def test_a_byte_order_mark_does_no_harm(tmp_path):
    assert load_preset(write(tmp_path, b"\xef\xbb\xbf" + json.dumps(content()).encode())).title == "Snare 1"


def test_a_preset_that_could_not_be_loaded_is_not_saved(tmp_path):
    original = load_preset("snare-1")
    with pytest.raises(PresetError, match=r"osc1\.freq"):
        save_preset(Preset("x", "X", {**original.values, "osc1.freq": 9}), tmp_path / "x.json")
    assert not list(tmp_path.iterdir())


def test_saving_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_preset(load_preset("snare-1"), tmp_path / "file" / "x.json")


@pytest.mark.parametrize(
    "value", [19.99, 2000.01, math.nan, math.inf, -math.inf, 10**400, "180", None, True, [], {}]
)
def test_a_bad_value_is_named_with_its_key_and_range(tmp_path, value):
    values = {**load_preset("snare-1").values, "osc1.freq": value}
    with pytest.raises(PresetError, match=r"^mine\.json: 'osc1\.freq' in 'values'.*from 20 to 2000 Hz\.$"):
        load_preset(write(tmp_path, json.dumps(content(values=values))))


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, "1", False])
def test_a_bad_damping_is_named_with_its_key_and_range(tmp_path, value):
    with pytest.raises(PresetError, match=r"'osc2\.mod' in 'damping'.*from 0 to 1\.$"):
        load_preset(write(tmp_path, json.dumps(content(damping={"osc2.mod": value}))))


@pytest.mark.parametrize("key", PARAMETER_KEYS)
def test_a_missing_value_is_named(tmp_path, key):
    values = {k: v for k, v in load_preset("snare-1").values.items() if k != key}
    with pytest.raises(PresetError, match=f"'{key}' is missing"):
        load_preset(write(tmp_path, json.dumps(content(values=values))))


def test_an_unknown_key_is_named(tmp_path):
    values = {**load_preset("snare-1").values, "osc3.freq": 100}
    with pytest.raises(PresetError, match=r"'osc3\.freq'.*not a parameter.*osc1\.freq"):
        load_preset(write(tmp_path, json.dumps(content(values=values))))
    with pytest.raises(PresetError, match="'demping'"):
        load_preset(write(tmp_path, json.dumps(content(demping={}))))


@pytest.mark.parametrize("synth", ["kazoo", 808, None, {"name": "snare808"}, ["snare808"]])
def test_a_synthesiser_that_there_is_not_is_refused_in_words(tmp_path, synth):
    with pytest.raises(PresetError, match=r"no synthesiser called .*snare808"):
        load_preset(write(tmp_path, json.dumps(content(synth=synth))))


def test_a_repeated_key_is_not_silently_lost(tmp_path):
    text = json.dumps(content()).replace('"osc1.freq": 180.0,', '"osc1.freq": 180.0, "osc1.freq": 200.0,', 1)
    assert text.count('"osc1.freq": 200.0') == 1
    with pytest.raises(PresetError, match=r"'osc1\.freq'.*more than once"):
        load_preset(write(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{}", b'"text"', b"1e999", b"{", b"\x00" * 100, b"\xff\xfe{}", b"RIFF\x00\x00WAVE",
        b"[" * 50_000, b'{"values": ' * 5000, b'{"values": []}', b'{"values": {}}', b"9" * 60_000, b" " * 70_000,
        json.dumps(content(title=5)).encode(), json.dumps(content(title="x" * 501)).encode(),
        json.dumps(content(title="two\nlines")).encode(), json.dumps(content(description="\ud800")).encode(),
        json.dumps(content(damping=[1])).encode(), json.dumps(content(damping=None)).encode(),
    ],
    ids=range(22),
)  # fmt: skip
def test_what_is_no_preset_is_refused_by_name(tmp_path, text):
    with pytest.raises(PresetError, match=r"mine\.json"):
        load_preset(write(tmp_path, text))


@pytest.mark.parametrize("name", ["snare-9", "", ".", "..", "../../no/such", "a\0b", "x" * 5000, "Snare 1"])
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    with pytest.raises(PresetError, match=r"snare-1|Cannot read"):
        load_preset(name)


# Anything that JSON can say, near a real preset and far from it.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**320),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from([*PARAMETER_KEYS, "name", "", "osc1"]) | st.text(max_size=8)
numbers = st.dictionaries(keys, st.floats(-100, 30_000) | anything, max_size=16)
presets = st.fixed_dictionaries(
    {},
    optional={
        "name": anything,
        "title": st.text(max_size=10) | anything,
        "description": anything,
        "values": st.builds(lambda extra: {**load_preset("snare-3").values, **extra}, numbers)
        | numbers
        | anything,
        "damping": numbers | anything,
        "more": anything,
    },
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(presets | anything)
def test_any_content_is_a_preset_or_a_preset_error(given_content):
    text = json.dumps(given_content)
    try:
        preset = parse_preset(json.loads(text), "mine.json", "mine")
    except PresetError as error:
        assert str(error).startswith("mine.json") and len(str(error)) < 600
    else:
        vector = preset.normalized()
        assert np.isfinite(vector).all() and vector.min() >= 0 and vector.max() <= 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=60), st.integers(0, 1000), st.integers(0, 60))
def test_any_bytes_are_a_preset_or_a_preset_error(tmp_path_factory, noise, position, cut):
    good = json.dumps(content()).encode()
    position %= len(good)
    path = write(tmp_path_factory.mktemp("presets"), good[:position] + noise + good[position + cut :])
    try:
        preset = load_preset(path)
    except PresetError as error:
        assert "mine.json" in str(error)
    else:
        assert np.isfinite(preset.normalized()).all()
