"""The figures of a comparison.

A figure draws numbers of the tables, and its alternative text is
written from the same numbers.
"""

from collections.abc import Sequence

from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import Series, Setting, of_model, role_of, whole
from kregkit.report.data.tables import Tables
from kregkit.report.data.trajectories import Trajectories
from kregkit.report.figures.filters import first_layer
from kregkit.report.figures.frontier import frontier
from kregkit.report.figures.layers import layer_maps
from kregkit.report.figures.score import score
from kregkit.report.figures.trajectory import trajectory
from kregkit.report.figures.weights import beside_baseline
from kregkit.report.page.canvas import slug
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels


def groups(tables: Tables, target: str) -> list[tuple[Series, ...]]:
    """Return the series that share a figure and a baseline, each regularizer once."""
    found: dict[tuple[str, str, float, int], list[Series]] = {}
    for series in tables.strengths:
        if series.target == target:
            words = (series.layers or "", series.solver or "")
            place = (*words, series.learning_rate or 0.0)
            again = 0
            while any(
                other.regularizer == series.regularizer
                for other in found.get((*place, again), [])
            ):
                again += 1
            found.setdefault((*place, again), []).append(series)
    return [tuple(group) for group in found.values()]


def of_target(
    tables: Tables, runs: Trajectories, points: Sequence[Operating], target: str
) -> tuple[Figure, ...]:
    """Return the figures of one target: scores, layers, trajectories, weights."""
    own = role_of(target)
    made: list[Figure | None] = []
    for i, group in enumerate(groups(tables, target)):
        name = slug(target, str(i + 1))
        sparsities = ["near_zero_fraction", "hoyer"]
        if _any_zero(tables, group, own):
            sparsities.insert(0, "zero_fraction")
        made.append(score(tables, name, group))
        places = [whole(own, measure) for measure in (*sparsities, "l2")]
        for place in (*places, of_model("jacobian_ratio")):
            made.append(frontier(tables, name, group, place))
        for j, series in enumerate(group):
            full = slug(name, str(j + 1), series.regularizer)
            made.append(layer_maps(tables, series, full))
        in_group = [point for point in points if point.series in group]
        made.append(first_layer(tables, in_group, name))
        for role in dict.fromkeys([own, *labels.TENSORS]):
            made.append(trajectory(tables, runs, name, group, role, "l2"))
        for measure in sparsities:
            made.append(trajectory(tables, runs, name, group, own, measure))
    for i, point in enumerate(points):
        name = slug(target, "weights", str(i + 1), point.series.regularizer)
        made.append(beside_baseline(tables, point, name))
    return tuple(figure for figure in made if figure is not None)


def _any_zero(tables: Tables, group: Sequence[Series], role: str) -> bool:
    place = whole(role, "zero_fraction")
    settings = [Setting(s, x) for s in group for x in tables.strengths[s]]
    every = [group[0].baseline, *settings]
    return any((tables.cell(setting, place).mean or 0) > 0 for setting in every)
