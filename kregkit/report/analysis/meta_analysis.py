"""Claims over several studies: each part pooled by random effects.

Only effects of one unit are pooled, and only where they come from
`FEWEST_DATA` sets of data at least; fewer are listed and not pooled. The score of a
classification and that of a regression are not of one unit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from kregkit.report.analysis.claims import CLAIMS, Claim, Tested, judge
from kregkit.report.analysis.contrasts import COUNTED, Analysis
from kregkit.report.analysis.verdicts import Contrast, Judged, Part, holm
from kregkit.report.cells import About, Unknown
from kregkit.report.statistics import Estimate, Pooled, random_effects

FEWEST_DATA: Final = 3


@dataclass(frozen=True)
class One:
    """One of several studies: what it is called, its data, and its claims."""

    name: str
    data: str
    study: Analysis
    tested: tuple[Tested, ...]


@dataclass(frozen=True)
class PooledPart:
    """A part of a claim: its contrast in every study that has it, and together."""

    about: About
    found: tuple[tuple[str, Part], ...]  # by the name of the study, as it judges it
    shape: Contrast  # what it asks: that of a study that is pooled, if one is
    pooled: Pooled | None


@dataclass(frozen=True)
class PooledClaim:
    """A claim over several studies; judged null: no part could be pooled."""

    claim: Claim
    parts: tuple[PooledPart, ...]
    judged: Judged | None


def read(named: Sequence[tuple[str, Analysis]]) -> tuple[One, ...]:
    """Judge each study by itself."""
    made = []
    for name, study in named:
        data = str(study.tables.finals["data"].drop_nulls().first())
        made.append(One(name, data, study, judge(study)))
    return tuple(made)


def pool(found: Sequence[tuple[str, Estimate]]) -> Pooled | None:
    """Pool estimates, each with the name of its data, if those are enough.

    Studies of one data set are averaged first: they share its rows, and are one point.
    """
    by_data: dict[str, list[Estimate]] = {}
    for data, one in found:
        by_data.setdefault(data, []).append(one)
    if len(by_data) < FEWEST_DATA:
        return None
    return random_effects([_average(own) for own in by_data.values()])


def _average(own: Sequence[Estimate]) -> Estimate:
    """Return the mean of studies with the mean of their errors.

    That is the error of a mean whose terms err alike; it is less if they do not.
    """
    count = len(own)
    return Estimate(
        min(one.n for one in own),
        math.fsum(one.value for one in own) / count,
        math.fsum(one.error for one in own) / count,
        min(one.freedom for one in own),
    )


def claims(studies: Sequence[One]) -> tuple[PooledClaim, ...]:
    """Judge every claim over all studies, as one family."""
    parts = {claim.number: _parts(claim.number, studies) for claim in CLAIMS}
    family = {
        number: [_contrast(part) for part in own]
        for number, own in parts.items()
        if any(part.pooled for part in own)
    }
    judged = holm(family)
    return tuple(
        PooledClaim(claim, parts[claim.number], judged.get(claim.number))
        for claim in CLAIMS
    )


def _parts(number: int, studies: Sequence[One]) -> tuple[PooledPart, ...]:
    by_about: dict[About, list[tuple[One, Part]]] = {}
    for one in studies:
        for tested in one.tested:
            if tested.claim.number == number and tested.judged:
                for part in tested.judged.parts:
                    own = by_about.setdefault(part.contrast.about, [])
                    own.append((one, part))
    return tuple(_part(about, found) for about, found in by_about.items())


def _part(about: About, found: Sequence[tuple[One, Part]]) -> PooledPart:
    alike = [
        (one.data, part.contrast)
        for one, part in found
        if part.contrast.estimate and poolable(one.study, part.contrast.measure)
    ]
    shape = alike[0][1] if alike else found[0][1].contrast
    estimates = [(data, one.estimate) for data, one in alike if one.estimate]
    named = tuple((one.name, part) for one, part in found)
    return PooledPart(about, named, shape, pool(estimates))


def poolable(study: Analysis, measure: str) -> bool:
    """Return whether a study's effects on a measure have the unit of the others."""
    return measure not in COUNTED or not study.tables.facts.regression


def _contrast(part: PooledPart) -> Contrast:
    """Return the pooled part as a contrast, whose "seeds" are the studies."""
    effects = tuple(
        (i, one.contrast.estimate.value if one.contrast.estimate else None)
        for i, (_, one) in enumerate(part.found)
    )
    if part.pooled is None:
        measured = sum(effect is not None for _, effect in effects)
        why = Unknown("few data sets", measured, FEWEST_DATA)
        return replace(part.shape, effects=effects, estimate=None, why=why)
    pooled = part.pooled.estimate
    return replace(part.shape, effects=effects, estimate=pooled, why=None)
