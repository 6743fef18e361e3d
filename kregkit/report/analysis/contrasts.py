"""Contrasts of one study: paired effects at cross-fitted operating points.

Each seed is evaluated at the strength that the other seeds chose on validation, and
compared with the same seed of the baseline, or of another series at a strength of its
own.
"""

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

from kregkit.report import statistics
from kregkit.report.analysis import operating
from kregkit.report.analysis.operating import Chosen
from kregkit.report.analysis.verdicts import Contrast, Rule
from kregkit.report.cells import (
    About,
    BestOf,
    Place,
    Point,
    Series,
    Setting,
    StoredTrial,
    Unknown,
    without_layers,
)
from kregkit.report.data.tables import Tables, kind
from kregkit.report.statistics import FEWEST

COUNTED: Final = frozenset({"train_score", "val_score", "test_score", "noise_cost"})
"""Measures that count rows: equal values in all seeds do not mean no spread."""


class Which(NamedTuple):
    """Series of a study: of a regularizer, or of any, on one of the targets.

    Those of a regularizer are one series: by the first of the solvers that trained it.
    """

    regularizer: str | None
    targets: tuple[str, ...]
    solvers: tuple[str, ...] = ("gradient", "proximal")


class Analysis:
    """The tables of a study, asked for contrasts."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._strong: dict[tuple[Series, float | None], Chosen] = {}
        self._best: dict[tuple[Series, ...], Chosen] = {}

    def find(self, which: Which) -> list[Series]:
        """Return the series; none: the study has not trained them."""
        on = [one for one in self.tables.strengths if one.target in which.targets]
        if which.regularizer is None:
            return on
        own = [one for one in on if one.regularizer == which.regularizer]
        by_solver = (one for name in which.solvers for one in own if one.solver == name)
        return list(itertools.islice(by_solver, 1))

    def known_as(self, which: Which, found: Sequence[Series]) -> Series | BestOf:
        """Return what is compared, as other studies know it."""
        if which.regularizer is None:
            return BestOf(which.targets)
        return without_layers(found[0], self.tables.strengths)

    def strong(self, series: Series, tolerance: float | None = None) -> Chosen:
        """Return the `strong` setting of every seed."""
        key = (series, tolerance)
        if key not in self._strong:
            self._strong[key] = operating.strong(self.tables, series, tolerance)
        return self._strong[key]

    def best(self, among: Sequence[Series]) -> Chosen:
        """Return the setting with the lowest validation data loss, for every seed."""
        key = tuple(among)
        if key not in self._best:
            self._best[key] = operating.best(self.tables, among)
        return self._best[key]

    def at(self, point: Point, found: Sequence[Series]) -> Chosen:
        """Return the setting of every seed at an operating point."""
        return self.strong(found[0]) if point == "strong" else self.best(found)

    def to_baseline(
        self, about: About, rule: Rule, smallest: float, chosen: Chosen
    ) -> Contrast:
        """Compare the chosen settings with the baseline."""
        base: dict[int | None, Setting | None] = {
            seed: setting.baseline if setting else None
            for seed, setting in chosen.items()
        }
        return self.between(about, rule, smallest, chosen, base)

    def between(
        self, about: About, rule: Rule, smallest: float, one: Chosen, other: Chosen
    ) -> Contrast:
        """Compare two choices, seed by seed: the first minus (or over) the second."""
        place, of = about.place, kind(about.place)
        compare = statistics.log_ratio if of == "log ratio" else statistics.difference
        seeds = sorted(seed for seed in {*one} & {*other} if seed is not None)
        effects = [
            compare(self.value(one[s], s, place), self.value(other[s], s, place))
            for s in seeds
        ]
        known = statistics.estimate(effects, self.tables.overlap(place))
        why = self._why(seeds, one, other, effects)
        if not why and known and known.error == 0 and place.measure in COUNTED:
            why = Unknown("no spread", len(seeds), len(seeds))
        return Contrast(
            about,
            rule,
            smallest,
            of,
            tuple(zip(seeds, effects, strict=True)),
            None if why else known,
            why,
        )

    def mean(self, chosen: Chosen, place: Place) -> float | None:
        """Return the mean over seeds, each at the setting that was chosen for it."""
        found = [self.value(chosen[s], s, place) for s in chosen if s is not None]
        return statistics.mean(found)

    def value(self, setting: Setting | None, seed: int, place: Place) -> float | None:
        """Return what was measured of a seed's trial; null where it is not defined."""
        trial = self._trial(setting, seed) if setting else None
        return self.tables.values.get((trial.trial, place)) if trial else None

    def _trial(self, setting: Setting, seed: int) -> StoredTrial | None:
        return self.tables.by_seed(setting).get(seed)

    @staticmethod
    def _why(
        seeds: Sequence[int],
        one: Chosen,
        other: Chosen,
        effects: Sequence[float | None],
    ) -> Unknown | None:
        """Return why there is no estimate, if there is none."""
        if len(seeds) < FEWEST:
            return Unknown("few seeds", len(seeds), FEWEST)
        missed = sum(one[s] is None or other[s] is None for s in seeds)
        if missed:
            return Unknown("not reached", missed, len(seeds))
        undefined = sum(effect is None for effect in effects)
        return Unknown("not defined", undefined, len(seeds)) if undefined else None
