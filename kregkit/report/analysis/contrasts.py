"""Contrasts of one study: paired effects at cross-fitted operating points.

A seed is evaluated at the strength that the other seeds chose on
validation, and compared with the same seed of the baseline, or of the other series at
that one's own strength.
"""

from collections.abc import Sequence
from typing import Final

from kregkit.report import statistics
from kregkit.report.analysis import operating
from kregkit.report.analysis.operating import Chosen
from kregkit.report.analysis.verdicts import Contrast, Rule
from kregkit.report.cells import Place, Series, Setting, Trial
from kregkit.report.data.tables import Tables, kind
from kregkit.report.statistics import FEWEST

COUNTED: Final = frozenset({"train_score", "val_score", "test_score", "noise_cost"})
"""Measures that count rows: equal values in all seeds do not mean no spread."""

NO_SPREAD: Final = "every seed has the same difference, so that its spread is not known"


class Study:
    """The tables of a study, asked for contrasts."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._strong: dict[tuple[Series, float | None], Chosen] = {}

    def series(self, regularizer: str, target: str, *solvers: str) -> Series | None:
        """Return the first series of a regularizer on a target, by the first solver."""
        for solver in solvers or ("gradient", "proximal"):
            for one in self.tables.strengths:
                if (one.regularizer, one.target, one.solver) == (
                    regularizer,
                    target,
                    solver,
                ):
                    return one
        return None

    def of(self, *targets: str) -> list[Series]:
        """Return every series on these targets."""
        return [one for one in self.tables.strengths if one.target in targets]

    def strong(self, series: Series, tolerance: float | None = None) -> Chosen:
        """Return the `strong` setting of every seed."""
        key = (series, tolerance)
        if key not in self._strong:
            self._strong[key] = operating.strong(self.tables, series, tolerance)
        return self._strong[key]

    def best(self, among: Sequence[Series]) -> Chosen:
        """Return the setting with the lowest validation data loss, for every seed."""
        return operating.best(self.tables, among)

    def to_baseline(
        self, about: str, rule: Rule, smallest: float, chosen: Chosen, place: Place
    ) -> Contrast:
        """Compare the chosen settings with the baseline."""
        base: dict[int | None, Setting | None] = {
            seed: setting.baseline if setting else None
            for seed, setting in chosen.items()
        }
        return self.between(about, rule, smallest, chosen, base, place)

    def between(
        self,
        about: str,
        rule: Rule,
        smallest: float,
        one: Chosen,
        other: Chosen,
        place: Place,
    ) -> Contrast:
        """Compare two choices, seed by seed: the first minus (or over) the second."""
        of = kind(place)
        compare = statistics.log_ratio if of == "log ratio" else statistics.difference
        seeds = sorted(seed for seed in {*one} & {*other} if seed is not None)
        effects = [
            compare(self.value(one[s], s, place), self.value(other[s], s, place))
            for s in seeds
        ]
        known = statistics.estimate(effects, self.tables.overlap(place))
        why = self._why(seeds, one, other, effects)
        if not why and known and known.error == 0 and place.measure in COUNTED:
            why = NO_SPREAD
        return Contrast(
            about,
            rule,
            smallest,
            place.measure,
            of,
            tuple(zip(seeds, effects, strict=True)),
            None if why else known,
            why,
        )

    def value(self, setting: Setting | None, seed: int, place: Place) -> float | None:
        """Return what was measured of a seed's trial; null where it is not defined."""
        trial = self._trial(setting, seed) if setting else None
        return self.tables.values.get((trial.trial, place)) if trial else None

    def _trial(self, setting: Setting, seed: int) -> Trial | None:
        return self.tables.by_seed(setting).get(seed)

    @staticmethod
    def _why(
        seeds: Sequence[int],
        one: Chosen,
        other: Chosen,
        effects: Sequence[float | None],
    ) -> str:
        """Return why there is no estimate, or ""."""
        if len(seeds) < FEWEST:
            return f"{len(seeds)} seeds are fewer than the {FEWEST} of an interval"
        reached = sum(one[s] is not None and other[s] is not None for s in seeds)
        if reached < len(seeds):
            return (
                "the sweep holds no strength that keeps the validation score, in "
                f"{len(seeds) - reached} of {len(seeds)} seeds"
            )
        undefined = sum(effect is None for effect in effects)
        if undefined:
            return f"it is not defined in {undefined} of {len(seeds)} seeds"
        return ""
