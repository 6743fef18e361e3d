"""Two regularizers of one target at equal score, in every measure that a goal needs.

Each is at its own strength, which the other seeds chose on validation;
at equal strength two regularizers are not comparable. These are estimates without a
verdict: the verdicts are those of the claims.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.operating import Chosen
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import (
    TARGET_ROLE,
    About,
    Place,
    Series,
    of_model,
    role_of,
    whole,
    without_layers,
)

TOLERANCES: Final = (0.5, 1.0, 2.0)
"""Of the baseline's validation score, in units of `Facts.tolerance`."""

MAIN: Final = TOLERANCES.index(1.0)
"""The place of the point at which the claims are tested."""

_OF_TARGET: Final = (
    "l2",
    "zero_fraction",
    "near_zero_fraction",
    "hoyer",
    "q99_over_q50",
)
_OF_MODEL: Final = ("test_score", "relative_gap", "noise_cost", "jacobian_ratio")


@dataclass(frozen=True)
class Pair:
    """Two series that differ in nothing but the regularizer."""

    one: Series
    other: Series

    def known(self, study: Analysis) -> "Pair":
        """Return the pair as other studies know it."""
        every = study.tables.strengths
        return Pair(without_layers(self.one, every), without_layers(self.other, every))


@dataclass(frozen=True)
class ComparedRow:
    """One measure of a pair: a contrast at each tolerance, and one at `best`."""

    about: About
    contrasts: tuple[Contrast, ...]


def pairs(study: Analysis, one: str, other: str) -> Iterator[Pair]:
    """Yield the pairs of two regularizers, by target, layers and solver."""
    every = study.tables.strengths
    for series in every:
        twin = series._replace(regularizer=other)
        if series.regularizer == one and twin in every:
            yield Pair(series, twin)


def points(study: Analysis, pair: Pair) -> tuple[tuple[Chosen, Chosen], ...]:
    """Return what each of the two is compared at: by tolerance, then at `best`."""
    unit = study.tables.facts.tolerance
    strong = [
        (study.strong(pair.one, unit * part), study.strong(pair.other, unit * part))
        for part in TOLERANCES
    ]
    return (*strong, (study.best([pair.one]), study.best([pair.other])))


def rows(study: Analysis, pair: Pair) -> Iterator[ComparedRow]:
    """Yield a row for each measure that the study has of either."""
    chosen = points(study, pair)
    for place in _places(pair.one.target):
        about = About(place, pair.one, pair.other)
        found = tuple(study.between(about, "rises", 0.0, *both) for both in chosen)
        if any(effect is not None for one in found for _, effect in one.effects):
            yield ComparedRow(about, found)


def _places(target: str) -> Iterator[Place]:
    yield from map(of_model, _OF_MODEL)
    role = role_of(target)
    if role in TARGET_ROLE.values():
        yield from (whole(role, name) for name in _OF_TARGET)
    if role == "kernel":
        yield whole(role, "unit_zero_fraction")
        yield of_model("inputs_ignored")
