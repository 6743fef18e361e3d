"""The sections of the claims over several studies: at a glance, then the evidence.

A pooled verdict comes from `meta_analysis`, and stands beside those of the
studies.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kregkit.report.analysis.meta_analysis import (
    FEWEST_DATA,
    One,
    PooledClaim,
    PooledPart,
)
from kregkit.report.analysis.verdicts import Contrast, Judged, Part
from kregkit.report.figures.forest import forest
from kregkit.report.page.canvas import slug
from kregkit.report.page.page import Entry, Section, Table
from kregkit.report.sections.claim_words import counts, where
from kregkit.report.sections.laws import NAMES, NOT_TESTED, checked
from kregkit.report.sections.verdict_words import (
    ASKED,
    CLAIMED,
    INTERVALS,
    MEANING,
    MEASURED,
    VERDICTS,
    Row,
    bounds,
    mixed,
    of_claim,
    of_part,
    part_lead,
    shown,
)
from kregkit.report.statistics import LEVEL, Pooled
from kregkit.report.wording import contrasts, numbers

NOT_POOLED = "Not pooled"
TOO_WIDE = 10
"""Intervals of a norm to this many times its size say nothing, as do those of shares
and scores beyond 100 points."""

BARS = f"{100 * LEVEL:.0f} % intervals (pooled: the one that the verdict rests on)"


def sections(studies: Sequence[One], found: Sequence[PooledClaim]) -> Iterator[Section]:
    """Return the claims at a glance, and a section for each claim."""
    yield _glance(studies, found)
    yield from map(_evidence, found)


def _glance(studies: Sequence[One], found: Sequence[PooledClaim]) -> Section:
    rows = {one.claim.number: _rows_of(one, studies) for one in found}
    laws = [{law.number: law for law in checked(own.study.tables)} for own in studies]
    for number, name in NAMES.items():
        own = [Entry(law[number].row[2].value) for law in laws]
        blank = Entry(numbers.UNDEFINED, "a law")
        rows[number] = [(Entry(str(number)), Entry(name), blank, *own)]
    return Section(
        "claims",
        "The claims",
        "Claims",
        lead=(
            f"{ASKED}, each tested in every study; below a verdict stands the effect, "
            "as a change in percent or in points (pt). If your data are like those of "
            "a study, read its column. A pooled verdict speaks of data sets at large, "
            "which asks for more than the same result in every study: with few data "
            "sets that differ widely most are undecided. 3 and 7 are laws, with "
            "nothing to pool."
        ),
        tables=(
            Table(
                "Claims and verdicts",
                ("No.", "Claim", "Pooled", *(one.name for one in studies)),
                tuple(row for number in sorted(rows) for row in rows[number]),
                leading=3 + len(studies),
                prose=True,
            ),
        ),
        notes=(
            MEANING,
            "Each study's verdicts are one family, and the pooled ones another: Holm's "
            "procedure holds the chance that any verdict of a family is false at "
            f"{100 * (1 - LEVEL):.0f} %. A verdict rests on a wider interval than that "
            f"of {100 * LEVEL:.0f} % which stands beside it; the pooled row gives the "
            "one that its verdict rests on below. An interval beyond what can be (100 "
            f"points, {TOO_WIDE} times a norm) is not printed: so few data sets do not "
            "tell.",
            "Pooled by random effects: weights 1/(error² + τ²), with τ² by Paule and "
            "Mandel and the error by Hartung and Knapp, whose factor is not taken "
            "below 1, with k − 1 degrees of freedom over k data sets. Studies of one "
            "data set share its rows: they are one point, their mean with the mean of "
            "their errors. “Another data set” is the prediction interval of "
            f"{100 * LEVEL:.0f} %, with k − 2 degrees of freedom: where the effect on "
            "one more data set like these is expected. What comes from fewer than "
            f"{FEWEST_DATA} data sets is listed and not pooled; scores of regressions, "
            "which are R² (1 pt is 0.01), are not pooled with accuracies.",
            INTERVALS,
            MEASURED,
        ),
    )


def _rows_of(one: PooledClaim, studies: Sequence[One]) -> list[Row]:
    """Return the row of a claim, and below it those of its parts."""
    number = one.claim.number
    lead = Entry(str(number)), Entry(one.claim.name)
    pooled = (
        {part.contrast.about: part for part in one.judged.parts} if one.judged else {}
    )
    parts = [_row_of(part, pooled.get(part.about), studies) for part in one.parts]
    if len(parts) == 1:
        return [(*lead, *parts[0])]
    own = [_claim_of(study, number) for study in studies]
    claim = (*lead, _claim_entry(one.judged), *own)
    rows = (
        (*part_lead(number, i, part.shape), *row)
        for i, (part, row) in enumerate(zip(one.parts, parts, strict=True), 1)
    )
    return [claim, *rows]


def _row_of(part: PooledPart, judged: Part | None, studies: Sequence[One]) -> Row:
    """Return the pooled verdict of a part, and that of every study."""
    found = dict(part.found)
    verdicts = [
        of_part(found[s.name]) if s.name in found else NOT_TESTED for s in studies
    ]
    pooled = Entry(NOT_POOLED, _agreement(verdicts))
    if judged is not None and judged.contrast.estimate:
        pooled = Entry(of_part(judged), _agreement(verdicts))
    own = (
        Entry(verdict, _effect(found.get(study.name)))
        for study, verdict in zip(studies, verdicts, strict=True)
    )
    return (pooled, *own)


def _effect(part: Part | None) -> str:
    if part is None or part.contrast.estimate is None:
        return ""
    return shown(part.contrast, part.contrast.estimate.value, False)


def _claim_entry(judged: Judged | None, otherwise: str = NOT_POOLED) -> Entry:
    if judged is None or of_claim(judged) == NOT_TESTED:
        return Entry(otherwise)
    return Entry(of_claim(judged), mixed(judged))


def _claim_of(one: One, number: int) -> Entry:
    """Return the verdict of a claim in one study."""
    tested = next(t for t in one.tested if t.claim.number == number)
    return _claim_entry(tested.judged, NOT_TESTED)


def _agreement(verdicts: Sequence[str]) -> str:
    """Return whether the studies that have a verdict agree, or ""."""
    tested = [verdict for verdict in verdicts if verdict != NOT_TESTED]
    decided = {*tested} - {VERDICTS["undecided"]}
    if len(decided) > 1:
        return "the studies disagree"
    if len(tested) > 1 and len({*tested}) == 1 and decided:
        return f"{tested[0].lower()} in each of {len(tested)}"
    return ""


def _evidence(one: PooledClaim) -> Section:
    claim = one.claim
    parts = one.judged.parts if one.judged else ()
    judged = {part.contrast.about: part for part in parts}
    tables = tuple(_table(part, judged.get(part.about)) for part in one.parts)
    figures = []
    for i, part in enumerate(one.parts):
        rows = [*_rows(part), *_pooled_part(judged.get(part.about))]
        name = slug(str(claim.number), str(i))
        drawn = forest(name, contrasts.of(part.about), rows, False, BARS)
        figures += [drawn] if drawn else []
    return Section(
        f"claim-{claim.number}",
        f"Claim {claim.number}: {claim.name}",
        f"Claim {claim.number}",
        lead=f"“{claim.says}” Measured at {where(claim)}. What counts: "
        f"{counts(claim)}.",
        tables=tables,
        figures=tuple(figures),
        notes=() if tables else ("No study has trained what this claim needs.",),
    )


def _rows(part: PooledPart) -> Iterator[tuple[str, Part]]:
    """Yield the name of each study, and its contrast with its 95 % interval."""
    for name, own in part.found:
        low, high = None, None
        if own.contrast.estimate:
            low, high = own.contrast.estimate.interval()
        yield name, replace(own, low=low, high=high, level=LEVEL)


def _pooled_part(judged: Part | None) -> Iterator[tuple[str, Part]]:
    """Yield the pooled part, to draw below those of the studies."""
    if judged is not None and judged.contrast.estimate is not None:
        yield "pooled (its points are the studies)", judged


def _table(part: PooledPart, judged: Part | None) -> Table:
    rows: list[Row] = []
    for name, drawn in _rows(part):
        one = drawn.contrast
        if one.estimate is None:
            unknown = Entry(name, contrasts.why(one.why))
            rows.append((unknown, *[Entry(numbers.UNDEFINED)] * 4))
            continue
        effect = shown(one, one.estimate.value, False)
        interval = bounds(one, drawn.low, drawn.high, False)
        blank = Entry("")
        rows.append(
            (
                Entry(name, of_part(drawn)),
                Entry(effect),
                Entry(interval),
                blank,
                Entry(str(one.estimate.n)),
            )
        )
    if part.pooled is not None and judged is not None:
        rows.append(_pooled_row(part.pooled, judged))
    head = (
        "Study",
        "Effect",
        f"{_level(LEVEL)} interval",
        "Another data set",
        "Seeds or data sets",
    )
    claimed = CLAIMED[part.shape.rule]
    about = contrasts.of(part.about)
    caption = f"{about} ({claimed}), and the verdict that each study gives by itself"
    return Table(caption, head, tuple(rows))


def _level(level: float) -> str:
    return f"{100 * level:.3g} %"


def _pooled_row(pooled: Pooled, judged: Part) -> Row:
    one = judged.contrast
    rests = _told(one, judged.low, judged.high)
    return (
        Entry("Pooled", of_part(judged)),
        Entry(shown(one, pooled.estimate.value, False)),
        Entry(
            _told(one, *pooled.estimate.interval()),
            f"the verdict rests on that of {_level(judged.level)}: {rests}",
        ),
        Entry(_told(one, pooled.low, pooled.high)),
        Entry(str(pooled.estimate.n)),
    )


def _told(one: Contrast, low: float | None, high: float | None) -> str:
    """Return an interval, or that one beyond what can be means nothing."""
    most = math.log(TOO_WIDE) if one.kind == "log ratio" else 1.0
    if low is None or high is None or max(-low, high) > most:
        return "so few data sets do not tell"
    return bounds(one, low, high, False)
