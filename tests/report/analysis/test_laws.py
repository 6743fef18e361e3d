import numpy as np
import polars as pl
import pytest

from helpers import report_store
from kregkit.report.analysis.laws import steps, thresholds
from kregkit.report.cells import Setting
from kregkit.report.data.tables import Tables, tables
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
