"""``python -m tests.by_hand.drums FOLDER [--pictures DIR]``: how near drum models come to recorded hits, by class.

FOLDER holds single hits, named as in Sonic Pi's sample set, and may hold folders ``series_*`` with one drum's hits
``sn_vlV_rrN`` from soft (V = 1) to hard. Prints for every hit the three figures beside the floor that two noises of the
same model give, and those of modes and noise alone; then, for each series, how near the softest and a middle layer come
when they are left out; then both tables of docs/drum.md. Draws hit and model as spectrograms.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from timbrekit.drums import MadeDrum, make_drum
from timbrekit.notebook.plots import plot_spectrogram
from timbrekit.recording.one_shot import read_hit
from timbrekit.results.likeness import measure
from timbrekit.results.plots import new_figure, to_png
from timbrekit.synth.drum_analysis import loudness_of
from timbrekit.synth.drum_model import DrumModel

CLASSES = {
    "kick": ("bd_", "drum_bass", "drum_heavy_kick", "elec_hollow_kick"),
    "snare": ("drum_snare", "elec_hi_snare", "elec_mid_snare", "elec_filt_snare", "elec_snare", "sn_"),
    "tom": ("drum_tom", "elec_fuzz_tom"),
    "cymbal": ("drum_cymbal", "hat_"),
    "other": ("",),
}
PUBLISHED = {
    "kick": (0.92, 1.06),
    "snare": (0.91, 1.03),
    "tom": (0.81, 1.27),
    "cymbal": (0.98, 1.43),
}  # MSS, LSD
COLUMNS = ("mss", "mss_floor", "lsd", "lsd_floor", "onset_error", "onset_error_floor", "mss_sn", "onset_sn")
ROW = "{:22} " + "{:>9} " * (len(COLUMNS) + 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--only", default="", help="one class")
    options = parser.parse_args()
    print(ROW.format("hit", "guessed", "modes", *COLUMNS, "seconds"))
    left = sorted(options.folder.glob("*.flac"))
    lines = [
        "| | hits | MSS | above its floor | published | LSD | published | onset error | without onset part |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, starts in CLASSES.items():
        paths = [path for path in left if path.name.startswith(starts)]
        left = [path for path in left if path not in paths]
        if options.only in ("", name):
            lines.append(_table(name, paths, options.pictures))
    lines += ["", "| left out | MSS | its own fit | ratio | by its twin |", "|---|---|---|---|---|"]
    if options.only in ("", "series"):
        for folder in sorted(options.folder.glob("series_*")):
            lines += _series(folder)
    print("", *lines, sep="\n")


def _table(name: str, paths: list[Path], pictures: Path | None) -> str:
    rows = []
    for path in paths:
        began = time.process_time()
        made = make_drum([path])
        seconds = time.process_time() - began
        without = measure(made.render(parts=("modes", "noise")), made.hit)
        figures = made.figures() | {"mss_sn": without.mss, "onset_sn": without.onset_error}
        rows.append([figures[column] for column in COLUMNS])
        shown = (f"{value:.3f}" for value in rows[-1])
        print(
            ROW.format(path.stem, made.drum.kind, len(made.drum.frequency), *shown, f"{seconds:.1f}"),
            flush=True,
        )
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            (pictures / f"{name}_{path.stem}.png").write_bytes(_picture(made, path.stem))
    mss, floor, lsd, lsd_floor, onset, _, _, without = np.mean(rows, 0)
    published = PUBLISHED.get(name, ("", ""))
    return (
        f"| {name} | {len(rows)} | {mss:.2f} ({floor:.2f}) | {mss / floor - 1:.0%} | {published[0]} | "
        f"{lsd:.2f} ({lsd_floor:.2f}) | {published[1]} | {onset:.2f} | {without:.2f} |"
    )


def _series(folder: Path) -> list[str]:
    """Rows on the first stroke of a layer, played at its own loudness by the model of the others, and of its twin."""
    paths, lines = sorted(folder.glob("*_rr1.flac")), []
    for missing in (0, len(paths) // 2):
        others = make_drum([path for path in paths if path != paths[missing]])
        own = make_drum([paths[missing]])
        twin = make_drum([Path(str(paths[missing]).replace("_rr1", "_rr2"))])
        hit = read_hit(paths[missing])[0][: len(own.hit)]
        by_others, by_twin = (measure(_struck(made, hit), hit).mss for made in (others, twin))
        fit = measure(own.render(), hit).mss
        lines.append(
            f"| {folder.name}, layer {missing + 1} of {len(paths)} | {by_others:.2f} | {fit:.2f} | "
            f"{by_others / fit:.2f} | {by_twin / fit:.2f} |"
        )
    return lines


def _struck(made: MadeDrum, hit: np.ndarray) -> np.ndarray:
    """The drum, struck as hard as the hit."""
    strike = next(p for p in made.drum.parameters() if p.key == "strike")
    loudness = np.clip(loudness_of(hit, 48_000), strike.minimum, strike.maximum)
    values = made.preset.values | {"strike": float(loudness)}
    physical = np.array([values[p.key] for p in made.preset.parameters])
    return DrumModel(made.drum).stream(physical, [0], len(hit), 48_000)


def _picture(made: MadeDrum, title: str) -> bytes:
    figure, axes = new_figure(11, 3.4, 1, 2)
    seconds = min(1.0, len(made.hit) / 48_000)
    sounds = ((title, made.hit), ("model", made.render()))
    for place, (name, sound) in zip(np.ravel(axes), sounds, strict=True):
        plot_spectrogram(place, sound[: int(seconds * 48_000)], 48_000, title=name)
    return to_png(figure)


if __name__ == "__main__":
    main()
