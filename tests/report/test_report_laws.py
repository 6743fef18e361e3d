import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import report_store

from kregkit.report.cells import Setting
from kregkit.report.collapse import collapse_strength
from kregkit.report.laws import steps, thresholds
from kregkit.report.tables import Tables, tables
from kregkit.store import Contents, Store

STRENGTH = 1e-3


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    folder = tmp_path_factory.mktemp("laws")
    cells = report_store.cells((STRENGTH,), ("kernel",))
    return Store(report_store.write_study(folder, cells, 2, exact=True)).read()


def with_u(contents: Contents, off: float) -> Tables:
    """Return tables in which u obeys the law but for a share of `off` of λ."""
    kind = dict(contents.finals.select("trial", "regularizer").iter_rows())
    us = []
    for trial, values in contents.tensors.select("trial", "values").iter_rows():
        w = np.array(values)
        law = {"L1": np.sign(w) * STRENGTH, "L2": 2 * STRENGTH * w}.get(kind[trial])
        u = None
        if law is not None:
            u = (law * (1 + off) + (w == 0) * 0.9 * STRENGTH).tolist()
        us.append(u)
    tensors = contents.tensors.with_columns(u=pl.Series(us, dtype=pl.List(pl.Float32)))
    rows = contents.rows.with_columns(
        penalty=pl.when(pl.col("role") == "kernel").then(1.0)
    )
    return tables(Contents(contents.study, rows, contents.finals, tensors))


@pytest.mark.parametrize(
    ("off", "holds"), [(0.0, True), (0.09, True), (-0.09, True), (0.11, False)]
)
def test_the_threshold_law(contents: Contents, off: float, holds: bool) -> None:
    found = thresholds(with_u(contents, off))
    assert [one.setting.strength for one in found] == [STRENGTH] * 2
    by_name = {str(one.setting.series and one.setting.series[1]): one for one in found}
    zeros = np.mean(
        [
            np.mean(np.concatenate(own["values"].to_list()) == 0)
            for _, own in contents.tensors.join(
                contents.finals.filter(pl.col("regularizer") == "L1"), on="trial"
            )
            .filter(pl.col("role") == "kernel")
            .group_by("trial")
        ]
    )
    assert by_name["L2"].slope == pytest.approx(1 + off, rel=1e-5)
    assert by_name["L2"].holds == holds
    # Zeros, at which u is inside, are within; the others as far as `off` says.
    expected = 1.0 if holds else zeros
    assert by_name["L1"].share == pytest.approx(expected, abs=1e-6)
    assert 0 < zeros < 1
    assert by_name["L1"].holds == (expected >= 0.9)


def test_the_error_of_a_step_is_the_largest_of_the_series(contents: Contents) -> None:
    numbers = pl.int_range(pl.len()).cast(pl.Float64)
    finals = contents.finals.with_columns(step_law_error=numbers)
    one = tables(Contents(contents.study, contents.rows, finals, contents.tensors))
    errors = dict(finals.select("trial", "step_law_error").iter_rows())
    for series, worst in steps(one).items():
        done = one.done(Setting(series, STRENGTH))
        assert worst == max(errors[trial.trial] for trial in done)


# Test scores along strengths 1e-4 to 1e-1; baseline 0.9, a constant has 0.1.
@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.9, 0.9, 0.8, 0.2), 10 ** (-2 + 0.5)),
        ((0.9, 0.7, 0.3, 0.1), 10**-2.5),
        ((0.9, 0.4, 0.9, 0.1), 10 ** (-4 + 0.8)),  # the first of two
        ((0.9, 0.9, 0.8, 0.5), None),  # half is not below half
        ((0.4, 0.3, 0.2, 0.1), None),  # there is no strength before it
    ],
)
def test_the_collapse_strength_is_where_half_is_lost(
    tmp_path: Path, scores: tuple[float, ...], expected: float | None
) -> None:
    strengths = (1e-4, 1e-3, 1e-2, 1e-1)
    cells = report_store.cells(strengths, ("kernel",), ("L1",))
    contents = Store(report_store.write_study(tmp_path, cells, 1)).read()
    score = pl.col("strength").replace_strict(
        dict(zip(strengths, scores, strict=True)), default=0.9
    )
    finals = contents.finals.with_columns(test_score=score, majority_score=0.1)
    one = tables(Contents(None, contents.rows, finals, contents.tensors))
    found = collapse_strength(one, next(iter(one.strengths)))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert math.isclose(found, expected, rel_tol=1e-9)
