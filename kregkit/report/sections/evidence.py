"""The sections of the claims: the verdicts at a glance, then the evidence for each.

Every number here is of a `Contrast`, and a claim that was not tested
says why.
"""

from collections.abc import Iterator, Sequence

from kregkit.report.analysis.claims import Tested
from kregkit.report.analysis.verdicts import Contrast, Part
from kregkit.report.data import function_measures
from kregkit.report.data.tables import Tables
from kregkit.report.figures.forest import forest
from kregkit.report.page.page import Entry, Section, Table
from kregkit.report.sections import laws
from kregkit.report.sections.claim_words import counts, where
from kregkit.report.sections.laws import NOT_TESTED
from kregkit.report.sections.verdict_words import (
    ASKED,
    INTERVALS,
    MEANING,
    MEASURED,
    Row,
    bounds,
    mixed,
    of_claim,
    of_part,
    part_lead,
    shown,
)
from kregkit.report.statistics import LEVEL
from kregkit.report.wording import contrasts, numbers


def sections(tables: Tables, tested: Sequence[Tested]) -> Iterator[Section]:
    """Return the claims at a glance, and a section for each claim."""
    regression = tables.facts.regression
    checked = laws.checked(tables)
    made = {one.claim.number: _claim(one, regression) for one in tested}
    made |= {one.number: one.section for one in checked}
    rows = {one.claim.number: _glance(one, regression) for one in tested}
    rows |= {one.number: [one.row] for one in checked}
    yield Section(
        "claims",
        "The claims",
        "Claims",
        lead=(
            f"{ASKED}, each tested on this study. 3 and 7 are laws, exact statements "
            "that are checked."
        ),
        tables=(
            Table(
                "Claims and verdicts",
                ("No.", "Claim", "Verdict", "What was seen"),
                tuple(row for number in sorted(rows) for row in rows[number]),
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
        f"The {family} tested claims are one family: Holm's procedure holds the chance "
        f"that any verdict of it is false at {100 * (1 - LEVEL):.0f} %, the parts of a "
        "claim sharing its part of the error. Each interval is at the level that its "
        "verdict rests on. Effects are against the baseline of the same seed, at the "
        "strength that the other seeds chose on validation. They speak of re-running "
        "this study on this data set.",
        INTERVALS,
        f"{_noise(tables)}{MEASURED}",
    )


def _noise(tables: Tables) -> str:
    """Return what the noise is that a claim speaks of, or ""."""
    sizes = map(function_measures.noise_size, tables.finals.iter_rows(named=True))
    found = sorted({size for size in sizes if size is not None})
    if not found:
        return ""
    words = " to ".join(
        numbers.significant(size) for size in (found[0], found[-1])[: len(found)]
    )
    return f"Noise is Gaussian, with standard deviation {words} on the scaled inputs. "


def _glance(one: Tested, regression: bool) -> list[Row]:
    """Return the row of a claim, and below it those of its parts."""
    lead = Entry(str(one.claim.number)), Entry(one.claim.name)
    if one.judged is None:
        words = "The study has not trained what this claim needs."
        return [(*lead, Entry(NOT_TESTED), Entry(words))]
    parts = one.judged.parts
    if of_claim(one.judged) == NOT_TESTED:
        why = dict.fromkeys(contrasts.why(part.contrast.why) for part in parts)
        return [(*lead, Entry(NOT_TESTED), Entry(_sentence("; ".join(why))))]
    if len(parts) == 1:
        seen = f"{contrasts.of(parts[0].contrast.about)}: {_size(parts[0], regression)}"
        return [(*lead, Entry(of_part(parts[0])), Entry(_sentence(seen)))]
    rows = (
        (*part_lead(one.claim.number, i, part.contrast), Entry(of_part(part)))
        for i, part in enumerate(parts, 1)
    )
    sizes = (Entry(_size(part, regression)) for part in parts)
    claim = (*lead, Entry(of_claim(one.judged), mixed(one.judged)), Entry(""))
    return [claim, *((*row, size) for row, size in zip(rows, sizes, strict=True))]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _claim(one: Tested, regression: bool) -> Section:
    claim, number = one.claim, str(one.claim.number)
    head = ("Part", "Verdict", "Effect", "Interval", "Counts from", "Seeds")
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
            unit = (
                "ratio" if part.contrast.kind == "log ratio" else part.contrast.measure
            )
            if unit not in units:
                units.append(unit)
                named = [(contrasts.of(p.contrast.about), p) for p in parts[i:]]
                drawn = forest(f"{number}-{i}", claim.name, named, regression)
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
        lead=f"“{claim.says}” Measured at {where(claim)}. What counts: "
        f"{counts(claim)}.",
        tables=tuple(tables),
        figures=tuple(figures),
        notes=tuple(notes),
    )


def _row(part: Part, regression: bool) -> Row:
    one = part.contrast
    about = Entry(contrasts.of(one.about), contrasts.why(one.why))
    verdict, seeds = Entry(of_part(part)), Entry(str(len(one.effects)))
    asked = Entry(_asked(one, regression))
    if one.estimate is None:
        blank = Entry(numbers.UNDEFINED)
        return about, verdict, blank, blank, asked, seeds
    effect = Entry(shown(one, one.estimate.value, regression))
    between = Entry(bounds(one, part.low, part.high, regression))
    return about, verdict, effect, between, asked, seeds


def _beside(one: Contrast, regression: bool) -> Row:
    seeds = Entry(str(len(one.effects)))
    if one.estimate is None:
        blank = Entry(numbers.UNDEFINED)
        return (
            Entry(contrasts.of(one.about), contrasts.why(one.why)),
            blank,
            blank,
            seeds,
        )
    between = bounds(one, *one.estimate.interval(), regression)
    effect = shown(one, one.estimate.value, regression)
    return Entry(contrasts.of(one.about)), Entry(effect), Entry(between), seeds


def _seen(part: Part, regression: bool) -> str:
    one = part.contrast
    sign = -1 if one.rule == "falls" else 1
    effect = shown(one, sign * (part.detectable or 0.0), regression)
    return (
        f"{contrasts.of(one.about)}: an effect of {effect} is what a study of this "
        "size finds in four of five runs; a smaller one it may miss."
    )


def _size(part: Part, regression: bool) -> str:
    one = part.contrast
    if one.estimate is None:
        return contrasts.why(one.why)
    between = bounds(one, part.low, part.high, regression)
    return f"{shown(one, one.estimate.value, regression)} {between}"


def _asked(one: Contrast, regression: bool) -> str:
    sizes = [shown(one, s * one.smallest, regression) for s in (-1, 1)]
    if one.rule == "stays":
        return f"within {sizes[0]} and {sizes[1]}"
    if one.rule == "not below":
        return f"above {sizes[0]}"
    return sizes[0] if one.rule == "falls" else sizes[1]
