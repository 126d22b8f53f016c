"""Inputs that a careless or hostile user may bring, each made from its number, and what has to become of them."""

import io
import json
import math
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import model_files
import numpy as np
import soundfile
import torch
from numpy.random import Generator
from torch import nn

from timbrekit.errors import TimbrekitError
from timbrekit.export.check import check_model
from timbrekit.export.torchdrum import serialize
from timbrekit.mapping import MODEL_NAMES
from timbrekit.presets import load_preset
from timbrekit.recording.prepare import prepare
from timbrekit.training.take import make_take

TEN_MINUTES_SHARE = 1 / 2000  # of the recordings; each takes as long as hundreds of others


@dataclass(frozen=True)
class Input:
    """Something a user may bring."""

    name: str  # of the file
    content: bytes
    what: str  # in a word or two, for the table
    sample_rate: int = 48_000  # asked for; of recordings only


@dataclass(frozen=True)
class Outcome:
    """What became of it. ``fault`` is what breaks the promise: empty, or what happened instead."""

    result: str  # "used", "refused", …
    fault: str = ""


class Broken(Exception):
    """Something came out that must never come out."""


def answer_to(act: Callable[[Path, Input], str], path: Path, given: Input) -> Outcome:
    """The promise: it works, or there is one clear line. All else is a fault."""
    try:
        return Outcome(act(path, given))
    except TimbrekitError as error:
        words = str(error)
        if len(words) < 20 or not words.isprintable() or len(words) > 1500:
            return Outcome("refused", f"not a clear line: {words[:300]!r}")
        return Outcome("refused")
    except Exception as error:  # the very thing that is looked for
        return Outcome("fault", f"{type(error).__name__}: {str(error)[:300]}")


# --- recordings --------------------------------------------------------------------------------------------

NAMES = (
    "take",
    "my take",
    "🥁 größe",
    'it\'s "loud"',
    "-i",
    "--help",
    "..",
    "a..b",
    ".hidden",
    "$(reboot)",
    "%s%n",
)
RATES = (8000, 11_025, 16_000, 22_050, 32_000, 44_100, 44_101, 48_000, 88_200, 96_000, 192_000)
WAV_KINDS = (
    "PCM_U8",
    "PCM_16",
    "PCM_24",
    "PCM_32",
    "FLOAT",
    "DOUBLE",
    "ULAW",
    "ALAW",
    "IMA_ADPCM",
    "MS_ADPCM",
)
FORMATS = (
    *[("wav", kind) for kind in WAV_KINDS * 2],
    *[("aiff", kind) for kind in ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE")],
    *[("flac", kind) for kind in ("PCM_S8", "PCM_16", "PCM_24")],
    *[("ogg", "VORBIS"), ("ogg", "OPUS"), ("mp3", "MPEG_LAYER_III"), ("mp3", "MPEG_LAYER_III")],
    *[("au", "PCM_16"), ("w64", "PCM_24"), ("rf64", "PCM_16"), ("caf", "ALAC_16"), ("wavex", "FLOAT")],
)
OPUS_RATES = (8000, 16_000, 48_000)
MP3_RATES = (8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000)
SOUNDS = (
    *("hits",) * 6, "one hit", "two identical hits", "many hits", "silence", "constant", "square", "noise", "sine",
    "not a number", "infinite", "far too loud", "denormal", "one sample", "nothing", "a moment",
)  # fmt: skip
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FFFE)


def make_recording(random: Generator) -> Input:
    if random.random() < TEN_MINUTES_SHARE:
        return _ten_minutes(random)
    if random.random() < 0.03 and (given := _from_a_phone(random)):
        content, ending, what = given
    else:
        ending, subtype = FORMATS[random.integers(len(FORMATS))]
        what = SOUNDS[random.integers(len(SOUNDS))]
        content = encoded(random, what, ending, subtype)
        ending = {"rf64": "wav", "wavex": "wav"}.get(ending, ending)
    content, change = damaged(random, content)
    if random.random() < 0.05:
        ending = ("wav", "mp3", "raw", "flac", "m4a", "txt", "WAV")[random.integers(7)]
    asked = 48_000 if random.random() < 0.85 else int((44_100, 96_000, 192_000, 22_050)[random.integers(4)])
    name = f"{NAMES[random.integers(len(NAMES))]}.{ending}"
    return Input(name, content, f"{what}, {change}" if change else what, asked)


def sound(random: Generator, what: str, rate: int) -> np.ndarray:
    """``(samples,)`` float64 of half a second to one and a half, or far less."""
    count = int(rate * random.uniform(0.5, 1.5))
    time = np.arange(count) / rate
    noise = random.uniform(-1, 1, count)
    if what in ("hits", "one hit", "two identical hits", "many hits"):
        return _strokes(random, what, noise, rate)
    plain = {
        "silence": lambda: np.zeros(count),
        "constant": lambda: np.full(count, random.uniform(-1, 1)),
        "square": lambda: np.sign(np.sin(2 * np.pi * random.uniform(1, 2000) * time)),
        "noise": lambda: noise * 10 ** random.uniform(-5, 0),
        "sine": lambda: np.sin(2 * np.pi * random.uniform(1, rate / 2) * time) * random.uniform(0, 1),
        "denormal": lambda: noise * 1e-39,
        "far too loud": lambda: noise * 10 ** random.uniform(1, 37),
        "one sample": lambda: noise[:1],
        "nothing": lambda: noise[:0],
        "a moment": lambda: noise[: int(rate * random.uniform(0, 0.6))],
    }
    if what in plain:
        return plain[what]()
    samples = _strokes(random, "hits", noise, rate)
    odd = {"not a number": np.nan, "infinite": np.inf}[what]
    share = 10 ** random.uniform(-4, 0.1)
    return np.where(random.random(count) < share, odd * random.choice([-1, 1], count), samples)


def _strokes(random: Generator, what: str, noise: np.ndarray, rate: int) -> np.ndarray:
    count = len(noise)
    number = {"one hit": 1, "two identical hits": 2, "many hits": random.integers(50, 1000)}.get(what)
    number = random.integers(2, 15) if number is None else number
    places = np.sort(random.integers(0, count, number))
    samples = 10 ** random.uniform(-6, -2.5) * noise
    level, decay = 10 ** random.uniform(-1.5, 0.1), 10 ** random.uniform(-3, -0.7)
    length = min(int(rate * 5 * decay) + 1, count)
    envelope = np.exp(-np.arange(length) / rate / decay)
    if what == "two identical hits":
        places = np.array([count // 10, count // 2])
        samples[:] = 0
    for place in places:
        if what != "two identical hits":
            level = 10 ** random.uniform(-2, 0)
        end = min(place + length, count)
        samples[place:end] += level * noise[: end - place] * envelope[: end - place]
    return samples


def encoded(random: Generator, what: str, ending: str, subtype: str) -> bytes:
    """The sound as a file of that format, in some rate and number of channels that the format has."""
    rate = int(RATES[random.integers(len(RATES))])
    if ending == "mp3":
        rate = int(MP3_RATES[random.integers(len(MP3_RATES))])
    if subtype == "OPUS":
        rate = int(OPUS_RATES[random.integers(len(OPUS_RATES))])
    few = ending in ("mp3", "ogg") or "ADPCM" in subtype
    channels = int(random.integers(1, 3)) if few or random.random() < 0.5 else int(random.integers(1, 9))
    mono = sound(random, what, rate)
    gains = random.choice([1.0, 1.0, 1.0, -1.0, 0.0, 0.3], channels)
    with np.errstate(invalid="ignore"):
        samples = mono[:, None] * gains
    if subtype not in ("FLOAT", "DOUBLE"):
        samples = np.clip(np.nan_to_num(samples, posinf=1, neginf=-1), -1, 1)
    file = io.BytesIO()
    with np.errstate(all="ignore"):
        soundfile.write(file, samples, rate, subtype=subtype, format=ending.upper())
    return file.getvalue()


def _ten_minutes(random: Generator) -> Input:
    rate = 8000
    beats = np.tile(sound(random, "hits", rate)[: rate // 2], 1320)[: rate * 660]
    file = io.BytesIO()
    soundfile.write(file, np.clip(beats, -1, 1), rate, subtype="PCM_16", format="WAV")
    return Input("long.wav", file.getvalue(), "more than ten minutes")


def _from_a_phone(random: Generator) -> tuple[bytes, str, str] | None:
    recordings = _phone_recordings()
    if not recordings:
        return None
    ending, content = recordings[random.integers(len(recordings))]
    return content, ending, "from a phone"


@cache
def _phone_recordings() -> list[tuple[str, bytes]]:
    """What phones and browsers record; none where there is no ffmpeg to make it with."""
    if shutil.which("ffmpeg") is None:
        return []
    made, random = [], np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.wav"
        source.write_bytes(encoded(random, "hits", "wav", "PCM_16"))
        for ending, codec in (
            ("m4a", "aac"),
            ("aac", "aac"),
            ("webm", "libopus"),
            ("wma", "wmav2"),
            ("m4a", "alac"),
        ):
            target = Path(folder) / f"made.{ending}"
            command = ["ffmpeg", "-y", "-v", "error", "-i", source, "-c:a", codec, target]
            if subprocess.run(command, capture_output=True).returncode == 0:
                made.append((ending, target.read_bytes()))
    return made


def damaged(random: Generator, content: bytes) -> tuple[bytes, str]:
    """The bytes, spoiled in one way or, four times in ten, as they were; and the way, in words."""
    changes: dict[str, Callable[[Generator, bytearray], bytes | bytearray]] = {
        "bytes changed": _bytes_changed,
        "header changed": _header_changed,
        "a lying size": _lying_size,
        "cut short": lambda random, content: content[: random.integers(0, len(content))],
        "beginning lost": lambda random, content: content[random.integers(0, len(content)) :],
        "a part lost": _part_lost,
        "a part repeated": _part_repeated,
        "noise within": _noise_within,
        "noise after": lambda random, content: content + random.bytes(random.integers(1, 5000)),
    }
    if random.random() < 0.4 or len(content) < 2:
        return content, ""
    change = list(changes)[random.integers(len(changes))]
    return bytes(changes[change](random, bytearray(content))), change


def _bytes_changed(random: Generator, content: bytearray) -> bytearray:
    for place in random.integers(0, len(content), random.integers(1, 40)):
        content[place] = random.integers(256)
    return content


def _header_changed(random: Generator, content: bytearray) -> bytearray:
    for place in random.integers(0, min(len(content), 128), random.integers(1, 6)):
        content[place] = random.integers(256)
    return content


def _lying_size(random: Generator, content: bytearray) -> bytearray:
    place = random.integers(0, min(len(content), 100))
    size = int(random.choice([1, 2, 4, 4, 4]))
    value = EXTREMES[random.integers(len(EXTREMES))] & ((1 << 8 * size) - 1)
    content[place : place + size] = value.to_bytes(size, ("little", "big")[random.integers(2)])
    return content


def _part_of(random: Generator, content: bytearray) -> slice:
    start = int(random.integers(0, len(content)))
    return slice(start, start + int(random.integers(1, 4000)))


def _part_lost(random: Generator, content: bytearray) -> bytearray:
    del content[_part_of(random, content)]
    return content


def _part_repeated(random: Generator, content: bytearray) -> bytearray:
    place = int(random.integers(0, len(content)))
    return content[:place] + content[_part_of(random, content)] + content[place:]


def _noise_within(random: Generator, content: bytearray) -> bytearray:
    place = int(random.integers(0, len(content)))
    return content[:place] + random.bytes(random.integers(1, 2000)) + content[place:]


def use_recording(path: Path, given: Input) -> str:
    """All that happens to a recording before training."""
    prepared = prepare(path, given.sample_rate)
    if not np.isfinite(prepared.recording.samples).all():
        raise Broken("the samples are not all numbers")
    for finding in prepared.findings:
        if not finding.advice or not math.isfinite(finding.value + finding.limit):
            raise Broken(f"not a finding: {finding}")
    if len(prepared.hits) < 2:
        return "one hit"
    take = make_take(prepared.hits)
    for values in (take.onset, take.timbre, take.reference_timbre, take.inputs):
        if not values.isfinite().all():
            raise Broken("the features are not all numbers")
    return "used"


# --- presets -----------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    0, -1, 1e308, -1e308, 10**400, float("nan"), float("inf"), "180", "", None, True, [], {}, [[]], 0.5, 1e-320,
    "x" * 10_000, {"min": 1}, "\ud800", "\0", 180,
)  # fmt: skip


def make_preset(random: Generator) -> Input:
    preset = load_preset(("snare-1", "kick", "cowbell")[random.integers(3)]).to_json()
    what = ("as it is", "other values", "keys lost or added", "repeated keys", "deep", "huge", "bytes")[
        random.integers(7)
    ]
    if what == "other values":
        for _ in range(random.integers(1, 5)):
            part = (preset, preset["values"], preset["damping"])[random.integers(3)]
            if part:
                part[list(part)[random.integers(len(part))]] = VALUES[random.integers(len(VALUES))]
            preset["values"] = preset["values"] if isinstance(preset["values"], dict) else {}
            preset["damping"] = preset["damping"] if isinstance(preset["damping"], dict) else {}
    elif what == "keys lost or added":
        for _ in range(random.integers(1, 4)):
            part = (preset, preset["values"], preset["damping"])[random.integers(3)]
            if random.random() < 0.5 and len(part) > 2 and part is not preset:
                del part[list(part)[random.integers(len(part))]]
            else:
                part[("more", "", "osc1.freq ", "🥁", "\n")[random.integers(5)]] = VALUES[
                    random.integers(len(VALUES))
                ]
    elif what == "deep":
        depth, (left, right) = (
            int(10 ** random.uniform(1, 4.4)),
            (("[", "]"), ('{"values":', "}"))[random.integers(2)],
        )
        return Input("mine.json", (left * depth + "1" + right * depth).encode(), what)
    elif what == "huge":
        preset["description"] = "x" * int(10 ** random.uniform(2, 7))
    text = json.dumps(preset)
    if what == "repeated keys":
        place = text.index('"osc1.freq"')
        text = text[:place] + f'"{list(preset["values"])[random.integers(14)]}": 1, ' + text[place:]
    content = text.encode("utf-8", "surrogatepass")
    if what == "bytes":
        while content == text.encode():
            content, _ = damaged(random, content)
    return Input(f"{NAMES[random.integers(len(NAMES))]}.json", content, what)


def use_preset(path: Path, given: Input) -> str:
    preset = load_preset(path)
    for vector in (preset.normalized(), preset.damping_vector()):
        if vector.shape != (14,) or not ((vector >= 0) & (vector <= 1)).all():
            raise Broken("the preset is out of range")
    return "used"


# --- model files -------------------------------------------------------------------------------------------


class Hungry(model_files.Answer):
    """Asks for 160 GB, with nothing but arithmetic."""

    def forward(self, features):
        row = torch.ones(200_000) * features.sum()
        return self.rows + (row[:, None] * row[None]).mean()


class Slow(model_files.Answer):
    """An hour of arithmetic in little memory."""

    def forward(self, features):
        square = torch.ones(3000, 3000) * features.sum()
        return self.rows + square.matmul(square).mean() * 0


class Laughing(model_files.Answer):
    """A few lines that stand for ten thousand million operations."""

    def one(self, rows):
        return rows.tanh().tanh().tanh().tanh().tanh().tanh().tanh().tanh().tanh().tanh()

    def two(self, rows):
        return self.one(self.one(self.one(self.one(self.one(self.one(self.one(self.one(self.one(rows)))))))))

    def three(self, rows):
        return self.two(self.two(self.two(self.two(self.two(self.two(self.two(self.two(self.two(rows)))))))))

    def four(self, rows):
        return self.three(self.three(self.three(self.three(self.three(self.three(self.three(rows)))))))

    def five(self, rows):
        return self.four(self.four(self.four(self.four(self.four(self.four(self.four(rows)))))))

    def six(self, rows):
        return self.five(self.five(self.five(self.five(self.five(self.five(self.five(rows)))))))

    def forward(self, features):
        return self.six(self.six(self.six(self.six(self.six(self.six(self.six(self.rows)))))))


STRANGERS = (
    "Answer Wide ThreeDimensional Pair Double InfiniteAtZero TwoInputs FourFeatures Random RmsNorm Loop Print ReadFile "
    "SaveFile OnLoad Long NoForward"
).split()
TRAP = Path(tempfile.gettempdir()) / "timbrekit-trap-that-was-sprung"


@cache
def our_models() -> list[bytes]:
    mappings = [model_files.trained_mapping(name, seed) for seed, name in enumerate(MODEL_NAMES)]
    return [serialize(mapping, model_files.metadata_of(mapping)) for mapping in mappings]


@cache
def strangers_models() -> list[bytes]:
    modules = [getattr(model_files, name)() for name in STRANGERS]
    modules += [
        model_files.Published(),
        model_files.Published(nn.GELU()),
        model_files.Published(nn.Dropout(0.2)),
    ]
    return [model_files.scripted(module.eval()) for module in modules]


@cache
def greedy_models() -> list[bytes]:
    return [model_files.scripted(module().eval()) for module in (Hungry, Slow, Laughing)]


@cache
def other_files() -> list[bytes]:
    """What else has the ending .pt, some of it with a trap that unpickling would spring."""
    contents: list[Any] = [model_files.Published().state_dict(), model_files.Malicious(TRAP), {"a": [1, 2]}]
    made = []
    for content in contents:
        for zipped in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=zipped)
            made.append(file.getvalue())
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"archive/{name}", bytes(15 << 20))
    return [*made, bomb.getvalue()]


# Words of TorchScript and what may stand in their place in a damaged or forged model.
REPLACED = (
    (b"tanh", b"exp"), (b"tanh", b"rand"), (b"linear", b"matmul"), (b"relu", b"log"), (b"torch.", b"ops."),
    (b"32", b"99999999"), (b"[32]", b"[]"), (b"cat", b"stack"), (b"CONSTANTS.c0", b"CONSTANTS.c9"),
    (b"Tensor", b"int"), (b"return", b"while True: pass\n    return"), (b"-1.", b"nan"), (b"mul", b"where"),
    (b"CONSTANTS.c2", b"torch.zeros([100000, 100000])"), (b"\n", b"\n\0"), (b"forward", b"backward"),
)  # fmt: skip


def make_model(random: Generator) -> Input:
    kind = random.random()
    if kind < 0.001:
        return Input("m.pt", greedy_models()[random.integers(3)], "greedy")
    if kind < 0.05:
        return Input("m.pt", random.bytes(int(10 ** random.uniform(0, 5))), "garbage")
    if kind < 0.15:
        others = other_files()
        content, change = damaged(random, others[random.integers(len(others))])
        return Input("m.pt", content, f"other file, {change}" if change else "other file")
    what, models = ("ours", our_models()) if kind < 0.7 else ("a stranger's", strangers_models())
    content = models[random.integers(len(models))]
    how = random.integers(4)
    if how == 0:
        content, change = damaged(random, content)
    elif how == 1:
        content, change = _part_damaged(random, content), "a part damaged"
    elif how == 2:
        content, change = _code_changed(random, content), "code changed"
    else:
        content, change = _part_exchanged(random, content), "a part exchanged"
    return Input("m.pt", content, f"{what}, {change}" if change else what)


def _part_damaged(random: Generator, content: bytes) -> bytes:
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    chosen = names[random.integers(len(names))]

    def change(name: str, data: bytes) -> tuple[str, bytes]:
        return name, damaged(random, data)[0] if name == chosen else data

    return model_files.rezipped(
        content, change, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[random.integers(2)]
    )


def _code_changed(random: Generator, content: bytes) -> bytes:
    def change(name: str, data: bytes) -> tuple[str, bytes]:
        if name.endswith(".py"):
            for _ in range(random.integers(1, 4)):
                data = data.replace(*REPLACED[random.integers(len(REPLACED))], int(random.choice([-1, 1])))
        return name, data

    return model_files.rezipped(content, change)


def _part_exchanged(random: Generator, content: bytes) -> bytes:
    models = our_models() + strangers_models()
    with zipfile.ZipFile(io.BytesIO(models[random.integers(len(models))])) as other:
        parts = {name.partition("/")[2]: other.read(name) for name in other.namelist()}
    chosen = list(parts)[random.integers(len(parts))]

    def change(name: str, data: bytes) -> tuple[str, bytes]:
        part = name.partition("/")[2]
        return name, parts[part] if part == chosen else data

    return model_files.rezipped(content, change)


def use_model(path: Path, given: Input) -> str:
    result = check_model(path)
    if TRAP.exists():
        raise Broken("a pickle was followed")
    if result.ready == bool(result.problems):
        raise Broken(f"neither ready nor refused: {result}")
    for problem in result.problems:
        if not problem.isprintable() or not 20 < len(problem) < 1000:
            raise Broken(f"not a clear line: {problem!r}")
    if given.what == "greedy" and result.ready:
        raise Broken("a greedy model is called ready")
    return "used" if result.ready else "refused"


KINDS: dict[str, tuple[Callable[[Generator], Input], Callable[[Path, Input], str]]] = {
    "recordings": (make_recording, use_recording),
    "presets": (make_preset, use_preset),
    "models": (make_model, use_model),
}


def make_input(kind: str, seed: int, number: int) -> Input:
    """The input of that number. The encoders that are used for it may print."""
    make, _ = KINDS[kind]
    return make(np.random.default_rng([seed, list(KINDS).index(kind), number]))


def try_input(kind: str, given: Input, folder: Path) -> Outcome:
    """Use it as a user would."""
    _, use = KINDS[kind]
    path = folder / given.name
    path.write_bytes(given.content)
    try:
        return answer_to(use, path, given)
    finally:
        path.unlink()
