"""From sound files of a drum's hits to a preset that a mapping can be trained on, and to stems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from timbrekit.errors import RecordingError
from timbrekit.presets import Preset, parse_preset
from timbrekit.recording import resample, write_wav
from timbrekit.recording.one_shot import check_one_stroke, read_hit
from timbrekit.results.likeness import beside_floor
from timbrekit.synth import DRUM
from timbrekit.synth.drum import MOST_HITS, ONSET_RATE, Drum, parse_drum
from timbrekit.synth.drum_analysis import LONGEST, analyse
from timbrekit.synth.drum_blend import blend_drums
from timbrekit.synth.drum_model import DrumModel
from timbrekit.training.take import Take

STEMS = {"modes": ("modes",), "noise": ("noise",), "onset": ("onset",), "sum": ("modes", "noise", "onset")}
SHORTEST_OF_A_TAKE = 0.12  # s of a hit in a drummed recording that a drum is made of
SEED_STEP = 20_011  # samples of the noise table between two seeds


@dataclass(frozen=True)
class MadeDrum:
    """A drum with the hit that it was made after."""

    preset: Preset
    drum: Drum  # as read back from the preset: what everybody else gets
    hit: np.ndarray  # (samples,) the reference hit at 48 kHz, 2 s at most
    lead: int  # samples of its file before it begins

    def render(self, seed: int = 0, parts: tuple[str, ...] = STEMS["sum"], blend: float = 0.0) -> np.ndarray:
        """``(samples,)`` the preset for as long as the hit; of a blend so many per cent of the other drum."""
        model = DrumModel(self.drum, parts)
        alone = {"blend": blend} if self.drum.other else {}
        row = torch.from_numpy(replace(self.preset, values=self.preset.values | alone).normalized())[None]
        start = torch.tensor([seed * SEED_STEP])
        return model.render(ONSET_RATE, len(self.hit), row, (start,))[0].numpy()

    def figures(self) -> dict[str, float]:
        """How near the preset comes to the hit, as :func:`timbrekit.results.likeness.beside_floor`."""
        return beside_floor(self.render, self.hit)


def make_drum(
    paths: Sequence[str | Path],
    name: str = "drum",
    progress: Callable[[str], None] | None = None,
    blend: Sequence[str | Path] = (),
) -> MadeDrum:
    """Read hits and model the drum.

    Args:
        paths: one to eight sound files, each one stroke of the same drum, in any order.
        name: of the preset.
        progress: called with a few words at each step.
        blend: likewise, of another drum: what is made then lies half way between the two, and one more parameter leads
            from the one to the other.

    Raises:
        RecordingError: there are too many, or a file cannot be read or is not one hit.
    """
    say = progress or (lambda words: None)
    read, analysed = _analysed(paths, say)
    title = f"{name} ({analysed.kind})"[:500]
    described = f"{_counted(paths)} of a drum, {len(analysed.frequency)} modes."
    if blend:
        _, other = _analysed(blend, say)
        analysed = blend_drums(analysed, other)
        title = f"{name} ({analysed.kind} and {other.kind})"[:500]
        described = f"{_counted(paths)} of a drum and {_counted(blend)} of another, blended."
    content = analysed.to_json()
    drum = parse_drum(content, "The drum")
    preset = Preset(name, title, drum.values(), described, synth=DRUM, drum=content)
    preset = parse_preset(preset.to_json(), f"The preset {name!r}", name)
    hit, lead = read[drum.reference]
    return MadeDrum(preset, drum, hit[: int(LONGEST * ONSET_RATE)], lead)


def _analysed(
    paths: Sequence[str | Path], say: Callable[[str], None]
) -> tuple[list[tuple[np.ndarray, int]], Drum]:
    """Hits, each with how many samples of its file come before, and the drum that they make."""
    if not 1 <= len(paths) <= MOST_HITS:
        raise RecordingError(f"{len(paths)} hits were given; a drum is made of one to {MOST_HITS}.")
    say(f"Reading {_counted(paths)}")
    read = [read_hit(path) for path in paths]
    return read, analyse([hit for hit, _ in read], say)


def _counted(paths: Sequence[str | Path]) -> str:
    return f"{len(paths)} hit{'s' if len(paths) > 1 else ''}"


def write_stems(made: MadeDrum, folder: str | Path) -> list[Path]:
    """Write the parts of the drum as 24-bit WAV at 48 kHz, in line with the file of the hit.

    The parts add up to ``sum.wav`` but for the drive, whose least is still a soft limit (0.01 dB at full scale).

    Raises:
        OutputError: the folder cannot be written.
    """
    written = []
    for stem, parts in STEMS.items():
        sound = np.concatenate([np.zeros(made.lead, np.float32), made.render(parts=parts)])
        write_wav(Path(folder) / f"{stem}.wav", sound, ONSET_RATE)
        written.append(Path(folder) / f"{stem}.wav")
    return written


def median_hit(take: Take) -> np.ndarray:
    """The hit of a drummed recording that stands for all of it, ``(samples,)`` at 48 kHz, to make a drum of.

    Of the hits that are long enough and fade, the one that lies nearest to the take's medians; the reference hit if it
    is one of those.

    Raises:
        RecordingError: none is.
    """
    hits = take.hits
    middle = take.timbre.quantile(0.5, 0)
    distance = (take.timbre - middle).abs() / (take.timbre - middle).abs().mean(0).clamp_min(1e-6)
    order = distance.mean(1).argsort(stable=True).tolist()
    if take.reference is not None:
        order.insert(0, take.reference)
    for index in order:
        hit = hits.segments[index][: hits.lengths[index]]
        if len(hit) < SHORTEST_OF_A_TAKE * hits.sample_rate:
            continue
        try:
            check_one_stroke(hit, Path(f"hit {index + 1}"))
        except RecordingError:
            continue
        return resample(hit, hits.sample_rate, ONSET_RATE)
    raise RecordingError(
        f"No hit of the recording lasts {1000 * SHORTEST_OF_A_TAKE:.0f} ms and fades before the next one. Record one "
        "stroke on its own, and upload that."
    )
