"""Operating points: the strengths at which regularizers are compared.

A strength is chosen on validation, from the strengths of the sweep,
without interpolation; what is then reported is the test part. For a claim the seed
that is evaluated does not take part in the choice: it has the strength that the other
seeds chose.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kregkit.report.cells import Place, Series, Setting
from kregkit.report.data.tables import Tables
from kregkit.report.statistics import difference, mean

VALIDATION = Place("model", "", "model", "val_score")
VALIDATION_LOSS = Place("model", "", "model", "val_data_loss")

Chosen = Mapping[int | None, Setting | None]
"""For every seed the setting that the others chose, and for None that of all seeds;
None: there is no such setting."""

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Operating:
    """The `strong` operating point of a series; strength null: not reached."""

    series: Series
    strength: float | None
    at_edge: bool  # it is the strongest of the sweep

    @property
    def setting(self) -> Setting:
        """The setting that was chosen."""
        return Setting(self.series, self.strength)


def operating(tables: Tables, series: Series) -> Operating:
    """Return the `strong` point of a series that all seeds together choose."""
    chosen = strong(tables, series)[None]
    strength = chosen.strength if chosen else None
    return Operating(series, strength, strength == tables.strengths[series][-1])


def strong(tables: Tables, series: Series, tolerance: float | None = None) -> Chosen:
    """Choose the largest strength with mean val_score effect >= -tolerance.

    The tolerance is that of `Facts` unless one is given.
    """
    given = tables.facts.tolerance if tolerance is None else tolerance
    found = [_validated(tables, series, VALIDATION)]
    return _chosen(
        found, lambda means: [s for s, mean in means if mean >= -given - _ROUNDING][-1:]
    )


def best(tables: Tables, among: Sequence[Series]) -> Chosen:
    """Choose the setting of these series with the lowest mean val_data_loss.

    It is the mean of the differences to the baseline of the same seed.
    """
    found = [_validated(tables, series, VALIDATION_LOSS) for series in among]
    return _chosen(
        found,
        lambda means: [s for s, mean in means if mean == min(m for _, m in means)],
    )


class _Validated(NamedTuple):
    """The effects of one strength on validation, by seed; None: failed, undefined."""

    setting: Setting
    effects: Mapping[int, float | None]


def _validated(tables: Tables, series: Series, place: Place) -> list[_Validated]:
    base = tables.by_seed(series.baseline)
    found = []
    for strength in tables.strengths[series]:
        setting = Setting(series, strength)
        effects = {
            seed: difference(
                tables.values.get((trial.trial, place)),
                tables.values.get((base[seed].trial, place)),
            )
            for seed, trial in tables.by_seed(setting).items()
            if seed in base and not base[seed].failed
        }
        found.append(_Validated(setting, effects))
    return found


def _chosen(
    found: Iterable[Iterable[_Validated]],
    choose: Callable[[list[tuple[Setting, float]]], list[Setting]],
) -> Chosen:
    """Choose for every seed by the means over the others, where none has failed."""
    every = [one for series in found for one in series]
    seeds = sorted({seed for one in every for seed in one.effects})
    made: dict[int | None, Setting | None] = {}
    for left_out in (None, *seeds):
        means = []
        for one in every:
            others = [e for seed, e in one.effects.items() if seed != left_out]
            if (center := mean(others)) is not None:
                means.append((one.setting, center))
        made[left_out] = next(iter(choose(means)), None)
    return made
