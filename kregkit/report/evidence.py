"""The sections of the claims: the verdicts at a glance, then the evidence for each.

The one rule: every number here is of a `Contrast`, and a claim that was not tested
says why.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from kregkit.report import function, law_pages, numbers
from kregkit.report.claims import Tested
from kregkit.report.law_pages import NOT_TESTED
from kregkit.report.page import Entry, Section, Table
from kregkit.report.plot_forest import forest
from kregkit.report.statistics import LEVEL
from kregkit.report.tables import Tables
from kregkit.report.verdicts import Contrast, Judged, Part, Verdict

VERDICTS: dict[Verdict, str] = {
    "supported": "Supported",
    "negligible": "No effect that counts",
    "contradicted": "Contradicted",
    "undecided": "Undecided",
}


SHORT = {name: text.lower() for name, text in VERDICTS.items()} | {
    "negligible": "without effect"
}

MEANING = (
    "Supported: the interval excludes no effect, and the estimate is at least the "
    "smallest effect that counts, which was fixed before the data. No effect that "
    "counts: the interval lies within that size. Contradicted: it excludes no "
    "effect in the other direction. Undecided otherwise: a large p never supports "
    "anything. A claim is contradicted when one of its parts is; else it has no effect "
    "that counts when one of its parts has none; it is supported when all of them are."
)
"""What the verdicts mean."""

INTERVALS = (
    "Intervals are mean ± t·error with n − 1 degrees of freedom over n seeds. Where "
    "the split is redrawn for every seed, the training parts overlap: of all that is "
    "measured on held-out rows (scores, losses and their gap, noise, the Jacobian, "
    "f(0), activations) the squared error is s²·(1/n + rows held out/rows trained on), "
    "that of Nadeau and Bengio; of weights it is s²/n. A score that differs by the "
    "same in every seed has no interval: it counts rows, and its spread is not known."
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


def sections(tables: Tables, tested: Sequence[Tested]) -> Iterator[Section]:
    """Return the claims at a glance, and a section for each claim."""
    regression = tables.facts.regression
    checked = law_pages.checked(tables)
    made = {one.claim.number: _claim(one, regression) for one in tested}
    made |= {one.number: one.section for one in checked}
    rows = {one.claim.number: _glance(one, regression) for one in tested}
    rows |= {one.number: one.row for one in checked}
    yield Section(
        "claims",
        "The claims",
        "Claims",
        lead=(
            "What answers to the question of kernel, bias and activity regularizers "
            "claim, tested on this study. 3 and 7 are laws, checked and not tested."
        ),
        tables=(
            Table(
                "Claims and verdicts",
                ("No.", "Claim", "Verdict", "What was seen"),
                tuple(rows[number] for number in sorted(rows)),
                leading=4,
                prose=True,
            ),
        ),
        notes=method(tested, tables),
    )
    for number in sorted(made):
        yield made[number]


def method(tested: Sequence[Tested], tables: Tables) -> tuple[str, ...]:
    """Return what the verdicts mean, and how what they rest on was measured."""
    family = sum(one.judged is not None for one in tested)
    return (
        MEANING,
        f"The {family} tested claims are one family: by Holm's procedure no verdict of "
        f"it is false with {100 * LEVEL:.0f} %, the parts of a claim sharing its part "
        "of the error. Each interval is at the level that its verdict rests on. "
        "Effects are against the baseline of the same seed, at the strength that the "
        "other seeds chose on validation. They speak of re-running this study on this "
        "data set.",
        INTERVALS,
        f"{_noise(tables)}{MEASURED}",
    )


def _noise(tables: Tables) -> str:
    """Return what the noise is that a claim speaks of, or ""."""
    sizes = map(function.noise_size, tables.finals.iter_rows(named=True))
    found = sorted({size for size in sizes if size is not None})
    if not found:
        return ""
    words = " to ".join(
        numbers.significant(size) for size in (found[0], found[-1])[: len(found)]
    )
    return f"Noise is Gaussian, with standard deviation {words} on the scaled inputs. "


def _glance(one: Tested, regression: bool) -> tuple[Entry, ...]:
    number, name = Entry(str(one.claim.number)), Entry(one.claim.name)
    if one.judged is None:
        words = "The study has not trained what this claim needs."
        return number, name, Entry(NOT_TESTED), Entry(words)
    parts = one.judged.parts
    if all(part.contrast.estimate is None for part in parts):
        why = dict.fromkeys(part.contrast.why for part in parts)
        return number, name, Entry(NOT_TESTED), Entry(_sentence("; ".join(why)))
    seen = (f"{part.contrast.about} {_size(part, regression)}" for part in parts)
    verdict = Entry(VERDICTS[one.judged.verdict], mixed(one.judged))
    return number, name, verdict, Entry(_sentence("; ".join(seen)))


def mixed(judged: Judged) -> str:
    """Return how many parts have which verdict, or "" where all have the same."""
    found = Counter(part.verdict for part in judged.parts)
    if len(found) == 1:
        return ""
    counted = (f"{found[one]} {SHORT[one]}" for one in VERDICTS if one in found)
    return f"parts: {', '.join(counted)}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _claim(one: Tested, regression: bool) -> Section:
    claim, number = one.claim, str(one.claim.number)
    head = ("Part", "Effect", "Interval", "Counts from", "Verdict", "Seeds")
    tables, figures, notes = [], [], []
    if one.judged is None:
        notes.append("The study has not trained what this claim needs.")
    else:
        parts = one.judged.parts
        level = numbers.percent(parts[0].level)
        rows = tuple(_row(part, regression) for part in parts)
        caption = f"The parts of the claim, with {level} intervals"
        tables.append(Table(caption, head, rows))
        units: list[str] = []
        for i, part in enumerate(parts):
            unit = "ratio" if part.contrast.kind == "log ratio" else part.contrast.unit
            if unit not in units:
                units.append(unit)
                drawn = forest(f"{number}-{i}", claim.name, parts[i:], regression)
                figures += [drawn] if drawn else []
        notes += [_seen(part, regression) for part in parts if part.detectable]
    if one.beside:
        rows = tuple(_beside(contrast, regression) for contrast in one.beside)
        caption = (
            f"Beside it, estimates without a verdict, each with its own "
            f"{100 * LEVEL:.0f} % interval"
        )
        tables.append(Table(caption, ("What", "Effect", "Interval", "Seeds"), rows))
    return Section(
        f"claim-{number}",
        f"Claim {number}: {claim.name}",
        f"Claim {number}",
        lead=f"“{claim.says}” Measured at {claim.where}. What counts: {claim.counts}.",
        tables=tuple(tables),
        figures=tuple(figures),
        notes=tuple(notes),
    )


def _row(part: Part, regression: bool) -> tuple[Entry, ...]:
    one = part.contrast
    seeds = Entry(str(len(one.effects)))
    asked = Entry(_asked(one, regression))
    if one.estimate is None:
        blank = Entry(numbers.UNDEFINED)
        return Entry(one.about, one.why), blank, blank, asked, Entry(NOT_TESTED), seeds
    return (
        Entry(one.about),
        Entry(shown(one, one.estimate.value, regression)),
        Entry(bounds(one, part.low, part.high, regression)),
        asked,
        Entry(VERDICTS[part.verdict]),
        seeds,
    )


def _beside(one: Contrast, regression: bool) -> tuple[Entry, ...]:
    seeds = Entry(str(len(one.effects)))
    if one.estimate is None:
        blank = Entry(numbers.UNDEFINED)
        return Entry(one.about, one.why), blank, blank, seeds
    between = bounds(one, *one.estimate.interval(), regression)
    effect = shown(one, one.estimate.value, regression)
    return Entry(one.about), Entry(effect), Entry(between), seeds


def _seen(part: Part, regression: bool) -> str:
    one = part.contrast
    sign = -1 if one.rule == "falls" else 1
    effect = shown(one, sign * (part.detectable or 0.0), regression)
    return (
        f"{one.about}: an effect of {effect} is what a study of this size finds in "
        "four of five runs; a smaller one it may miss."
    )


def _size(part: Part, regression: bool) -> str:
    one = part.contrast
    if one.estimate is None:
        return numbers.UNDEFINED
    between = bounds(one, part.low, part.high, regression)
    return f"{shown(one, one.estimate.value, regression)} {between}"


def shown(one: Contrast, value: float | None, regression: bool) -> str:
    """Return an effect of a contrast."""
    return numbers.effect(one.unit, one.kind, value, regression)


def bounds(
    one: Contrast, low: float | None, high: float | None, regression: bool
) -> str:
    """Return an interval of a contrast."""
    return f"[{shown(one, low, regression)}, {shown(one, high, regression)}]"


def _asked(one: Contrast, regression: bool) -> str:
    sizes = [shown(one, s * one.smallest, regression) for s in (-1, 1)]
    if one.rule == "stays":
        return f"within {sizes[0]} and {sizes[1]}"
    if one.rule == "not below":
        return f"above {sizes[0]}"
    return sizes[0] if one.rule == "falls" else sizes[1]
