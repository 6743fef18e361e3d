"""What verdicts are called, and what they rest on, in words.

A page of one study and one of several say the same thing in the same words.
"""

from collections import Counter

from kregkit.report.analysis.verdicts import Contrast, Judged, OfClaim, Part, Rule
from kregkit.report.page.page import Entry
from kregkit.report.sections.laws import NOT_TESTED
from kregkit.report.wording import contrasts, numbers

Row = tuple[Entry, ...]

VERDICTS: dict[OfClaim, str] = {
    "supported": "Supported",
    "partly": "Holds in part",
    "negligible": "No effect that counts",
    "contradicted": "Contradicted",
    "undecided": "Undecided",
}

CLAIMED: dict[Rule, str] = {
    "falls": "claimed: less",
    "rises": "claimed: more",
    "stays": "claimed: the same",
    "not below": "claimed: not less",
}

SHORT = {VERDICTS["negligible"]: "without effect"}

ASKED = (
    "Answers to the question “kernel, bias or activity regularizer?” make these claims"
)

MEANING = (
    "Supported: the interval excludes no effect, and the estimate is at least the "
    "smallest effect that counts, which was fixed before the data. No effect that "
    "counts: the interval lies within that size. Contradicted: it excludes no "
    "effect in the other direction. Where no change is claimed (“the same”, “not "
    "less”), supported: the interval lies within that size; contradicted: beyond it. "
    "Undecided otherwise: a large p never supports anything. Not tested: too few "
    "seeds, or nothing to measure. A claim of several parts is supported when all of "
    "them are, and holds in part when one is and another is contradicted or has no "
    "effect that counts; without a supported part it is contradicted, or has no effect "
    "that counts, when one of its parts is or has. Laws are exact statements, checked "
    "in every trial; one that holds in part does in some of the settings."
)
"""What the verdicts mean."""

INTERVALS = (
    "Intervals are mean ± t·error with n − 1 degrees of freedom over n seeds. Where "
    "the split is redrawn for every seed, the training parts overlap: of all that is "
    "measured on held-out rows (scores, losses and their gap, noise, the Jacobian, "
    "f(0), activations) the squared error is s²·(1/n + rows held out/rows trained on), "
    "that of Nadeau and Bengio; of weights it is s²/n. Scores count rows: where one "
    "differs by the same amount in every seed, its spread cannot be estimated, and it "
    "has no interval."
)
"""What the intervals are."""

MEASURED = (
    "‖f(0)‖₂ is of centred logits. Quantiles are of the magnitudes above zero alone. y "
    "are the outputs of all layers, the logits among them. Hoyer of W, b or y is the "
    "mean over layers, weighted by their size, and undefined where a layer is zero "
    "throughout. Claim 8 lets every kernel regularizer be chosen, also those of the "
    "proximal solver and decoupled decay."
)
"""What the words of the claims are measured by."""


def part_lead(number: int, place: int, one: Contrast) -> Row:
    """Return how a part begins its row below that of its claim."""
    return Entry(f"{number}.{place}"), Entry(contrasts.of(one.about), CLAIMED[one.rule])


def of_claim(judged: Judged) -> str:
    """Return the verdict of a claim in words."""
    known = any(part.contrast.estimate for part in judged.parts)
    return VERDICTS[judged.verdict] if known else NOT_TESTED


def of_part(part: Part) -> str:
    """Return the verdict of a part in words."""
    return VERDICTS[part.verdict] if part.contrast.estimate else NOT_TESTED


def mixed(judged: Judged) -> str:
    """Return how many parts have which verdict, or "" where all have the same."""
    found = Counter(map(of_part, judged.parts))
    if len(found) == 1:
        return ""
    counted = (
        f"{found[one]} {SHORT.get(one, one.lower())}"
        for one in (*VERDICTS.values(), NOT_TESTED)
        if one in found
    )
    return f"parts: {', '.join(counted)}"


def shown(one: Contrast, value: float | None, regression: bool) -> str:
    """Return an effect of a contrast."""
    return numbers.effect(one.measure, one.kind, value, regression)


def bounds(
    one: Contrast, low: float | None, high: float | None, regression: bool
) -> str:
    """Return an interval of a contrast."""
    return f"[{shown(one, low, regression)}, {shown(one, high, regression)}]"
