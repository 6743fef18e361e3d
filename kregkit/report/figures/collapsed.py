"""What captions say of collapsed strengths."""

from collections.abc import Sequence

from kregkit.report.analysis.collapse import viable_strengths
from kregkit.report.cells import Series
from kregkit.report.data.tables import Tables
from kregkit.report.wording import labels, numbers


def note(tables: Tables, group: Sequence[Series], how: str) -> str:
    """Return what a caption says of collapsed strengths, or "" without any."""
    gone = []
    for series in group:
        kept = viable_strengths(tables, series)
        strengths = [x for x in tables.strengths[series] if x not in kept]
        if strengths:
            name = labels.series(series, list(tables.strengths))
            gone.append(f"{name} {', '.join(map(numbers.strength, strengths))}")
    if not gone:
        return ""
    return (
        f" Collapsed and {how}: {'; '.join(gone)}. There half of what the baseline "
        "scores above the best constant answer is lost in validation."
    )
