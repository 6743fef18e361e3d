"""Operating points: the strengths at which regularizers are compared.

The one rule: a strength is chosen on validation, from the strengths of the sweep,
without interpolation; what is then reported is the test part.
"""

from dataclasses import dataclass

from kregkit.report.cells import Place, Series, Setting
from kregkit.report.tables import Tables

VALIDATION = Place("model", "", "model", "val_score")


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


def strong(tables: Tables, series: Series) -> Operating:
    """Return the largest strength with mean val_score effect >= -tolerance.

    A strength at which a trial failed is not chosen.
    """
    rounding = 1e-12
    chosen = None
    for strength in tables.strengths[series]:
        cell = tables.cell(Setting(series, strength), VALIDATION)
        if cell.failed or cell.effect is None:
            continue
        if cell.effect >= -tables.facts.tolerance - rounding:
            chosen = strength
    return Operating(series, chosen, chosen == tables.strengths[series][-1])
