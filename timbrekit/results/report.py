"""How good a model is, in numbers, in a picture's data and in a drummer's words."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from timbrekit import __version__
from timbrekit.export.model_file import HOSTS, MEL, SCHEMA, listener_of, problem_with_host
from timbrekit.features import TIMBRE_FEATURE_UNITS, TIMBRE_FEATURES, TimbreFeatures
from timbrekit.plugin.as_played import AsPlayed, Followed, by_feature, error_ratio
from timbrekit.plugin.knobs import DETECTOR, NEURALITY, WHERE
from timbrekit.plugin.primer import Primer
from timbrekit.presets import Preset
from timbrekit.results.unseen import Unseen
from timbrekit.results.verdict import judge
from timbrekit.training.objective import SynthPlayer
from timbrekit.training.take import CHUNK, Take
from timbrekit.training.train import Trained

RENDERS = 4  # noises and phases over which a held-out error is averaged
SAME = 0.02  # change of an error that nobody hears
CARD_WIDTH = 108  # characters of a line of card.txt


@dataclass(frozen=True)
class HeldOut(Followed):
    """Training-time error on hits that were not trained on, each rendered several times, with the inputs of a plug-in
    that knows the ranges."""

    measured_on: str  # "test", or what there was where the take is too short to hold hits out
    hits: int  # that it was measured on


def measure_held_out(
    take: Take,
    trained: Trained,
    preset: Preset,
    features: TimbreFeatures | None = None,
    fresh_noise: bool = True,
) -> HeldOut:
    """Play the held-out hits, each with several noises and phases, and compare.

    Args:
        take: measured with the same features.
        trained: on this take or on one of the same hits.
        preset: that it modulates.
        features: the gated ones at the take's rate by default; others for comparisons.
        fresh_noise: False measures with the one noise of the published training, each hit once.
    """
    split = trained.split
    name = next(name for name in ("test", "validation", "train") if len(getattr(split, name)))
    indices = torch.from_numpy(getattr(split, name))
    features = features or TimbreFeatures(take.hits.sample_rate)
    player = SynthPlayer(preset, take, features, fresh_noise, trained.settings.seed)
    generator = torch.Generator().manual_seed(trained.settings.seed)
    renders = RENDERS if fresh_noise else 1
    with torch.no_grad():
        parameters = trained.mapping.parameters_for(take.inputs)
    return render_and_compare(player.differences, parameters, take, indices, name, generator, renders)


def render_and_compare(
    play: Callable[[Tensor, Tensor, torch.Generator], Tensor],
    parameters: Tensor,
    take: Take,
    indices: Tensor,
    name: str,
    generator: torch.Generator,
    renders: int = RENDERS,
) -> HeldOut:
    """Play hits ``indices`` ``(m,)`` of a take several times and compare.

    Args:
        play: parameters of some hits, their indices and a source of noise to ``(batch, 7)`` differences.
        parameters: ``(n, …)`` of all of the take's hits.
        name: of the part of the split that they are.
    """
    with torch.no_grad():
        played = [
            play(parameters[part], part, generator) for _ in range(renders) for part in indices.split(CHUNK)
        ]
    intended = take.intended[indices].repeat(renders, 1)
    return HeldOut(torch.cat(played).numpy(), intended.numpy(), name, len(indices))


def build_report(
    name: str,
    preset: Preset,
    take: Take,
    trained: Trained,
    held_out: HeldOut,
    played: dict[str, AsPlayed],
    primer: Primer | None,
    findings: list[dict[str, Any]],
    unseen: Unseen | None,
    bounds: dict[str, NDArray[np.float32]] | None = None,
) -> dict[str, Any]:
    """report.json: plain values, the keys that scripts rely on among them.

    Args:
        name: of the instrument.
        played: measurements by situation: "cold" (a plug-in just opened), and "after_primer", "second_pass" and
            "other_rate" where given; empty where training was stopped.
        primer: None for a host that needs none.
        unseen: what it plays of hits that it has never heard, from which alone the verdict comes; None where training
            was stopped.
        bounds: played or predicted differences of all hits by name of the bound.
    """
    intended = take.intended.numpy()
    cold = played["cold"].summary() if played else {}
    report = {
        "schema": SCHEMA,
        "name": name,
        "timbrekit": __version__,
        "preset": preset.name,
        "model_size": trained.settings.model,
        "recipe": trained.settings.recipe,
        "sample_rate": take.hits.sample_rate,
        "hits_kept": len(take),
        "hits_dropped": len(take.hits.dropped),
        "dropped": [{"position": d.position, "reason": d.reason} for d in take.hits.dropped],
        "detector": take.hits.settings.to_json(),
        "error_ratio": held_out.error_ratio,
        "error_ratio_per_feature": by_feature(held_out.ratio_per_feature),
        "error_measured_on": held_out.measured_on,
        "error_preset_unchanged": by_feature(np.abs(held_out.intended).mean(0)),
        "error_model": by_feature(np.abs(held_out.played - held_out.intended).mean(0)),
        "units": dict(zip(TIMBRE_FEATURES, TIMBRE_FEATURE_UNITS, strict=True)),
        "as_played": {
            **cold,
            **{name: measured.summary() for name, measured in played.items() if name != "cold"},
        },
        "training": {
            "epochs": len(trained.history),
            "seconds": trained.seconds,
            "interrupted": trained.interrupted,
            "seed": trained.settings.seed,
            "train_loss": [epoch.train_loss for epoch in trained.history],
            "validation_loss": [epoch.validation_loss for epoch in trained.history],
        },
        "findings": findings,
    }
    if primer:
        deviations = {str(rate): value for rate, value in primer.deviations.items()}
        report["primer"] = {"seconds": primer.seconds, "largest_deviation": deviations}
    if trained.settings.listener == MEL:
        report["listener"] = MEL
    if bounds:
        report["bounds"] = {
            name: {"error_ratio": float(ratio.mean()), "error_ratio_per_feature": by_feature(ratio)}
            for name, ratio in ((name, error_ratio(values, intended)) for name, values in bounds.items())
        }
    if unseen:
        return with_verdict(report, unseen)
    whose = "the hits it was trained on" if held_out.measured_on == "train" else "hits it was not trained on"
    stopped = (
        "Not measured as it plays, as it was stopped before. By the figure that training knows, it misses"
    )
    return {**report, "verdict": f"{stopped} {held_out.error_ratio:.0%} of how your hits differ, on {whose}."}


def with_verdict(report: dict[str, Any], unseen: Unseen) -> dict[str, Any]:
    """The report with what was measured on unseen playing, in place of what stood there before."""
    said = judge(unseen)
    told = {"word": said.word, "ticks": said.ticks, "verdict": said.text}
    return {**report, "unseen": unseen.summary(), **told}


def write_card(
    report: dict[str, Any], preset: Preset, model: str = "model.pt", primer: str = "primer.wav"
) -> str:
    """card.txt: what was trained, how good it is, what to load and what to dial in.

    Args:
        report: as :func:`build_report` made it.
        preset: that it plays.
        model, primer: names of those files where the card lies.
    """
    rate = report["sample_rate"]
    other, unseen = report["as_played"].get("other_rate"), report.get("unseen")
    how = "mel listener, at" if listener_of(report) == MEL else f"{report['model_size']}, for a DAW at"
    lines = [
        name_of(report, preset),
        "",
        "HOW GOOD IT IS",
        *textwrap.wrap(report["verdict"], CARD_WIDTH),
        "",
        "PLAY IT",
        *_how_to_play(report, preset, model, primer),
        "",
        "WHAT WAS TRAINED",
        f"Preset {preset.title}, {report['hits_kept']} hits, {how} {rate} Hz.",
    ]
    if unseen:
        lines += [
            f"Error on unseen hits: {unseen['error_ratio']:.2f}; of a sound that only gets louder with you: "
            f"{unseen['velocity_only']['error_ratio']:.2f}.",
            "(0 follows exactly, 1 is a sound that never changes.)",
        ]
    if other:
        lines += textwrap.wrap(_at_other_rate(report, other), CARD_WIDTH)
    lines.append(
        f"Made by timbrekit {report.get('timbrekit', '0.1')} with seed {report['training']['seed']}."
    )
    return "\n".join(lines) + "\n"


def _at_other_rate(report: dict[str, Any], other: dict[str, Any]) -> str:
    there = other["sample_rate"]
    change = other["error_ratio"] / report["as_played"]["after_primer"]["error_ratio"] - 1
    if abs(change) < SAME:
        return f"In a DAW at {there} Hz it follows you as well."
    more = "larger" if change > 0 else "smaller"
    advice = f"Train again with --sample-rate {there} if that is your rate."
    return f"In a DAW at {there} Hz its error is {abs(change):.0%} {more}. {advice}"


def name_of(report: dict[str, Any], preset: Preset) -> str:
    """The instrument's name. Reports of before 0.3 have none."""
    return report.get("name") or preset.title


def _how_to_play(report: dict[str, Any], preset: Preset, model: str, primer: str) -> list[str]:
    described = {"synth": preset.synth, "listener": listener_of(report)}
    refused = {host: problem_with_host(described, host) for host in HOSTS}
    file = f'"{model}"' if " " in model else model
    lines = []
    if not refused["page"]:
        lines += [
            "On any computer, tablet or phone: open the page (a double click), or make one:",
            f"   timbrekit page {file} --out play.html",
        ]
    if not refused["nn-tilde"]:
        lines += [
            "In Max or Pure Data: load the .ts file in the object nn~, or make one:",
            f"   timbrekit export {file} --to nn-tilde --out play.ts",
        ]
    if not refused["torchdrum"]:
        return [*lines, "", *_in_torchdrum(report, model, primer)]
    why = f"This model plays the synthesiser {preset.synth}, and TorchDrum holds the 808 alone."
    if described["listener"] == MEL:
        why = "TorchDrum hears a hit for 5 ms. The mel listener listens on while it rings, and corrects the sound."
    why += (
        " So TorchDrum cannot play it. Here no primer and no settings are needed: play at the same gain as in the "
        "recording it was trained on."
    )
    return [
        *lines,
        *("With any recording, into a sound file:", f"   timbrekit rehearse {file} RECORDING OUT.wav"),
        *textwrap.wrap(why, CARD_WIDTH),
    ]


def _in_torchdrum(report: dict[str, Any], model: str, primer: str) -> list[str]:
    detector, seconds = report["detector"], report["primer"]["seconds"]
    knobs = [
        f"     {knob.name:20} {f'{detector[knob.key]:g} {knob.unit}':14} ({knob.does})" for knob in DETECTOR
    ]
    return [
        "In music software on a Mac with Apple Silicon: in TorchDrum.",
        f"   Get it at {WHERE} (under Releases), put TorchDrum.vst3 into",
        "   Library/Audio/Plug-Ins/VST3 of your home folder, and start your music software again.",
        f"1. Put TorchDrum on the track with your drum, press Load, and open {model}.",
        "2. Dial in what the model was trained with:",
        *knobs,
        f"3. Send {primer} ({seconds:.1f} s) through the plug-in once, at unchanged level, each time the",
        "   plug-in is opened or reset. The plug-in scales what it hears by the softest and loudest, darkest and",
        "   brightest hit it has met since it was opened, and does not save them; the primer holds yours.",
        "   Without it: play your softest, loudest, darkest and brightest hit first.",
        f"4. Leave {NEURALITY.title} at 1. 0 is the preset alone, more is exaggerated.",
        "5. Play at the same gain as in the recording it was trained on.",
    ]
