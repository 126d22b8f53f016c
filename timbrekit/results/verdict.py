"""What a drummer is told of a model: one word, three ticks and one thing to try, all from the same unseen hits."""

from dataclasses import dataclass

import numpy as np

from timbrekit.features import TIMBRE_FEATURES
from timbrekit.results.unseen import Unseen

CLOSE = 0.7  # error ratio below which all features but one have to be for "closely"
FAIR = 0.85  # mean error ratio up to which it is "in outline"
TICK, HALF_TICK = 0.7, 0.95  # error ratios up to which something is followed well, and partly
BACKWARDS = -0.3  # rank correlation from which on down something runs the wrong way
FEW_HITS = 10  # an error measured on fewer hangs on chance
WELL, PARTLY, NOT = "✓", "~", "✗"
WORDS = {WELL: "well", PARTLY: "partly", NOT: "not"}
# What a drummer knows, of which features, and how it sounds where it runs backwards.
HEARD = {
    "loudness": (("loudness transient", "loudness sustain"), "what you play louder comes out softer"),
    "brightness": (("centroid transient", "centroid sustain"), "what you play brighter comes out darker"),
    "length": (("temporal centroid",), "what rings longer on your drum comes out shorter"),
}
WHERE = {
    "second take": "on the other recording, which it had never heard",
    "end of take": "on the end of your take, which it was not trained on",
    "trained hits": "on the very hits it was trained on",
}


@dataclass(frozen=True)
class Verdict:
    """Its parts. :attr:`text` is all of them as a paragraph."""

    word: str  # "closely", "in outline", "a little", "not"
    how: str  # a sentence that says how closely
    ticks: dict[str, str]  # ✓, ~ or ✗ for loudness, brightness and length
    notes: tuple[str, ...]  # sentences on what stands beside the figure
    advice: str | None  # one thing to try

    @property
    def text(self) -> str:
        ticks = ", ".join(f"{name} {WORDS[tick]}" for name, tick in self.ticks.items())
        return " ".join([self.how, f"One by one: {ticks}.", *self.notes, *filter(None, [self.advice])])


def judge(unseen: Unseen) -> Verdict:
    """The verdict on a model from what it played of unseen hits. docs/concepts.md has the rules."""
    ratios = dict(zip(TIMBRE_FEATURES, unseen.ratio_per_feature, strict=True))
    ranks = dict(zip(TIMBRE_FEATURES, unseen.rank_correlation, strict=True))
    ratio, loudness_alone, hits = unseen.error_ratio, unseen.velocity.error_ratio, len(unseen.played)
    beats_loudness = ratio < loudness_alone
    far = sum(value >= CLOSE for value in ratios.values())
    if ratio >= 1:
        word, how = "not", "On the whole the model does not follow your playing"
    elif far <= 1 and beats_loudness:
        word, how = "closely", "The model follows your playing closely"
    elif ratio <= FAIR:
        word, how = "in outline", "The model follows your playing in outline"
    else:
        word, how = "a little", "The model follows your playing only a little"
    figure = (
        f"it misses {ratio:.0%} of how your hits differ"
        if ratio < 1
        else "it is further off than a sound that never changes"
    )
    rough = " (a rough figure)" if hits < FEW_HITS else ""
    ticks, backwards = {}, []
    for name, (features, words) in HEARD.items():
        mean = np.mean([ratios[feature] for feature in features])
        turned = hits >= FEW_HITS and any(ranks[feature] <= BACKWARDS for feature in features)
        ticks[name] = (
            WELL if mean <= TICK and not turned else PARTLY if mean <= HALF_TICK and not turned else NOT
        )
        if turned:
            backwards.append(f"{name.capitalize()} runs backwards: {words}.")
    notes = [
        f"A sound that only gets louder with you misses {loudness_alone:.0%}"
        + ("." if beats_loudness else ": this model is no better than that.")
    ]
    notes += backwards
    if unseen.scatter is not None:
        notes.append(
            f"Your own hits on one spot differ by {unseen.scatter:.0%}; no model can be closer to you than that."
        )
    return Verdict(
        word,
        f"{how}: {WHERE[unseen.source]} ({hits} {'hit' if hits == 1 else 'hits'}), {figure}{rough}.",
        ticks,
        tuple(notes),
        _advice(unseen, word, ticks, beats_loudness, bool(backwards)),
    )


def _advice(
    unseen: Unseen, word: str, ticks: dict[str, str], beats_loudness: bool, backwards: bool
) -> str | None:
    if unseen.source == "trained hits":
        return "There were too few hits to hold some out, so this figure flatters: record more."
    if len(unseen.played) < FEW_HITS:
        return "Play something else for twenty seconds and measure with that, to know better."
    if not beats_loudness or word == "not":
        return "Try another preset, or record a take with more different strokes."
    if backwards:
        return "Try another preset: this one cannot turn that way with your playing."
    if ticks["loudness"] == NOT:
        return "Record a take with wider dynamics, from ghost notes to accents."
    if ticks["brightness"] == NOT:
        return "Record more strokes that differ in brightness: centre, edge, rim."
    if word != "closely":
        return "A longer take with more of what you play would bring it closer."
    return None
