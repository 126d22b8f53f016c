"""The drums of an experiment: recordings, and folders of single hits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrekit import SAMPLE_RATE
from timbrekit.errors import RecordingError, printable
from timbrekit.recording import Recording, resample
from timbrekit.recording.decode import open_audio, shown
from timbrekit.recording.prepare import Prepared, prepare

SOUND_ENDINGS = (".wav", ".wave", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
FEWEST_HITS = 5  # of which one is held out for testing, and one for validation
LEAD_SECONDS = 0.5  # of silence before the first of single hits, as before the first stroke of a recording
# from the start of one single hit to that of the next at least: a hit may ring for a second
RING_SECONDS = 1.1
GAP_SECONDS = 0.1  # of silence after each single hit at least


@dataclass(frozen=True)
class Drum:
    """One recording, or one folder of files that hold a hit each."""

    name: str
    path: Path
    files: tuple[Path, ...] = ()  # of a folder, in the order of their names

    def prepare(self) -> Prepared:
        """Read it and find its hits as the plug-in would, at the suggested settings.

        Raises:
            RecordingError: a file cannot be read, or there are too few hits to hold some out.
        """
        prepared = prepare(_joined(self) if self.files else self.path)
        if len(prepared.hits) < FEWEST_HITS:
            raise RecordingError(
                f"Only {len(prepared.hits)} hits were found in {self.name}, and a table needs at least {FEWEST_HITS} "
                "of each drum, so that some can be held out (100 or more make a good table). Add hits, or leave this "
                "drum out."
            )
        return prepared


def find_drums(paths: Sequence[str | Path]) -> list[Drum]:
    """The drums in recordings and folders.

    Each folder that holds sound files is a drum, at any depth: both the folder of one drum and the folder of a whole
    data set can be given. Hidden files and folders are passed over.

    Raises:
        RecordingError: no such path, a folder without a sound file, or two drums of the same name.
    """
    drums = [drum for path in map(Path, paths) for drum in _drums_of(path)]
    if not drums:
        raise RecordingError("Name at least one recording, or a folder with a folder of hits for each drum.")
    named: dict[str, Drum] = {}
    for drum in drums:
        if drum.name in named:
            raise RecordingError(
                f"Two drums are called {drum.name}: {named[drum.name].path} and {drum.path}. Rename one of them: "
                "results are kept by name."
            )
        named[drum.name] = drum
    return drums


def _drums_of(path: Path) -> Iterator[Drum]:
    if not path.exists():
        raise RecordingError(f"There is no recording or folder {path}. Check the name and where it is.")
    if not path.is_dir():
        yield Drum(printable(path.stem), path)
        return
    resolved = path.resolve()  # "." has no name of its own
    for folder in [resolved, *sorted(resolved.rglob("*"))]:
        inside = folder.relative_to(resolved)
        if not folder.is_dir() or any(part.startswith((".", "__MACOSX")) for part in inside.parts):
            continue
        seen = [each for each in sorted(folder.iterdir()) if not each.name.startswith(".")]
        files = tuple(each for each in seen if each.suffix.lower() in SOUND_ENDINGS and each.is_file())
        if files:
            yield Drum(printable(inside.as_posix() if inside.parts else folder.name), folder, files)
        elif not any(each.is_dir() for each in seen):
            raise RecordingError(
                f"The folder {folder} holds no sound file. Put a drum's hits in it as WAV files, or remove it."
            )


def _joined(drum: Drum, sample_rate: int = SAMPLE_RATE) -> Recording:
    """All files one after the other, with silence between them for as long as a hit may ring."""
    ring, gap = round(RING_SECONDS * sample_rate), round(GAP_SECONDS * sample_rate)
    parts = [np.zeros(round(LEAD_SECONDS * sample_rate), np.float32)]
    for file in drum.files:
        samples, rate, channels = _read(file, drum.name)
        hit = resample(samples, rate, sample_rate)
        parts += [hit, np.zeros(max(ring - len(hit), gap), np.float32)]
    return Recording(np.concatenate(parts), sample_rate, rate, channels, drum.path, ())


def _read(file: Path, drum: str) -> tuple[np.ndarray, int, int]:
    """Mono samples of a file of any length, its rate and number of channels."""
    try:
        with open_audio(file) as stream:
            blocks = []
            while len(block := stream.read()):
                blocks.append(block.mean(1))
            rate, channels, complaint = stream.rate, stream.channels, stream.complaint
    except RecordingError as error:
        raise RecordingError(f"In the drum {drum}: {error}") from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if complaint or not len(samples) or not np.isfinite(samples).all():
        what = "breaks off" if complaint else "holds numbers that are none" if len(samples) else "is empty"
        raise RecordingError(
            f"In the drum {drum}: {shown(file)} {what}. Export it again as 24-bit WAV, or take it out of the folder."
        )
    return samples, rate, channels
