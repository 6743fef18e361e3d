"""The section of the metrics that a study names."""

from collections.abc import Iterator

from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.cells import Series
from kregkit.report.data.tables import Tables
from kregkit.report.further import MetricRow, names, rows
from kregkit.report.page.page import Entry, Section, Table
from kregkit.report.sections.equal_score import entry
from kregkit.report.statistics import LEVEL
from kregkit.report.wording import labels, numbers
from kregkit.schema import METRICS


def sections(study: Analysis) -> Iterator[Section]:
    """Yield the section of the metrics, where the study has any."""
    found = tuple(rows(study))
    if not found:
        return
    every = list(study.tables.strengths)
    yield Section(
        "metrics",
        "Further metrics",
        "Metrics",
        notes=_notes(study.tables),
        tables=(
            Table(
                "The metrics that the study names, on the test part: means over seeds "
                "without a regularizer and at the lowest validation data loss, and "
                "their difference for the same seed",
                (
                    *("Regularizer", "Target", "Strength", "Metric"),
                    *("Baseline", "Regularized", "Difference"),
                ),
                tuple(_entries(row, every) for row in found),
                leading=4,
            ),
        ),
    )


def _notes(tables: Tables) -> tuple[str, ...]:
    known = [name for name in names(tables) if name in METRICS]
    defined = "; ".join(f"{name}: {METRICS[name][1]}" for name in known)
    scaled = (
        "Targets are standardised: errors are in standard deviations of the training "
        "part."
    )
    return (
        "Each seed is at the strength that the other seeds chose by the lowest "
        "validation data loss; the column has that of all seeds. No metric takes part "
        f"in the choice. Each interval is one of {100 * LEVEL:.0f} % by itself. "
        f"{numbers.UNDEFINED}: not defined in some seed, as a ranking of classes where "
        "the test part lacks one.",
        *([f"{defined}."] if known else []),
        *([scaled] if tables.facts.regression else []),
    )


def _entries(row: MetricRow, every: list[Series]) -> tuple[Entry, ...]:
    series, strength = row.series, row.strength
    target = labels.TARGETS.get(series.target, series.target)
    reached = "not reached" if strength is None else numbers.strength(strength)
    means = (
        numbers.UNDEFINED if value is None else numbers.significant(value)
        for value in (row.baseline, row.mean)
    )
    lead = (labels.series(series, every), target, reached, row.metric, *means)
    # As of a regression: R² and all other numbers are no percentages.
    return *map(Entry, lead), entry(row.contrast, regression=True)
