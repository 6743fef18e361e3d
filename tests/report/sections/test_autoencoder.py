"""What the page says of an autoencoder's code, against the finals alone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from experiments.benchmarks import simulated
from helpers.cross_fitted import N_TEST, N_TRAIN, SEEDS, VALUES, chosen
from kregkit.known import CODE_LAYER
from kregkit.report.cells import Setting
from kregkit.report.data.tables import tables
from kregkit.report.figures import code
from kregkit.report.report import Report
from kregkit.report.sections import autoencoder
from kregkit.report.wording import numbers
from kregkit.store import Contents

UNITS = 30
TARGET = "activity"


@pytest.fixture(scope="module")
def contents() -> Contents:
    """A simulated study whose trials have a code that L1 uses less of."""
    random = np.random.default_rng(5)
    size = simulated.Size(SEEDS, N_TRAIN, N_TEST)
    made = simulated.contents(random, size, simulated.truth(random))
    usage = []
    for regularizer in made.finals["regularizer"]:
        own = random.uniform(0.1, 0.9, UNITS)
        own[: random.integers(3, 9)] = 0.0
        own[-random.integers(1, 4) :] = 1.0
        usage.append((own * (0.6 if regularizer == "L1" else 1.0)).tolist())
    last = pl.col("strength") == simulated.STRENGTHS[-1]
    finals = made.finals.with_columns(
        pl.when(last).then(0.1).otherwise("val_score").alias("val_score"),
        pl.when(last).then(0.1).otherwise("test_score").alias("test_score"),
        pl.Series("code_usage", usage),
        pl.lit("regression").alias("task"),
        pl.col("val_data_loss").alias("test_data_loss"),
    )
    zeros = random.uniform(0.2, 0.6, made.rows.height)
    rows = made.rows.with_columns(
        pl.lit(CODE_LAYER).alias("layer"), pl.Series("zero_fraction", zeros)
    )
    return replace(made, rows=rows, finals=finals)


@pytest.fixture(scope="module")
def report(contents: Contents) -> Report:
    return Report(tables(contents))


MEASURES = {
    "Active units per row": lambda row: sum(row["code_usage"]),
    "Units never active": lambda row: row["code_usage"].count(0.0),
    "Always active": lambda row: row["code_usage"].count(1.0),
    "Busiest tenth's share": lambda row: (
        np.sort(row["code_usage"])[-UNITS // 10 :].sum() / np.sum(row["code_usage"])
    ),
    "Test R²": VALUES["test_score"][1],
}
MEASURE_NAMES = {
    "Active units per row": "active_units",
    "Units never active": "unused_units",
    "Always active": "constant_units",
    "Busiest tenth's share": "busiest_share",
    "Test R²": "test_score",
}


def shown_bounds(note: str) -> str:
    return note[note.index("[") :]


@pytest.mark.parametrize("cost", autoencoder.COSTS)
@pytest.mark.parametrize("regularizer", ["L1", "L2"])
def test_a_row_is_the_mean_and_t_interval_of_the_finals(
    contents: Contents, report: Report, regularizer: str, cost: float
) -> None:
    table = autoencoder.section(report.study).tables[1]
    own = next(
        row
        for row in table.rows
        if row[0].value == f"{regularizer} on the {TARGET}"
        and row[1].value == f"{cost:g}"
    )
    found = chosen(contents, regularizer, TARGET, f"within {100 * cost:g}")
    if not found:
        assert own[2].value == "not reached"
        return
    base = contents.finals.filter(pl.col("regularizer").is_null())
    bases = {row["seed"]: row for row in base.iter_rows(named=True)}
    for column, value in MEASURES.items():
        cell = own[table.head.index(column)]
        measure = next(
            p for p, name in autoencoder._COLUMNS.items() if name == column
        ).measure
        values = np.array([value(found[seed]) for seed in range(SEEDS)], float)
        assert cell.value == numbers.plain(measure, float(np.mean(values)), True)
        effects = values - [value(bases[seed]) for seed in range(SEEDS)]
        held = {"Test R²": N_TEST}.get(column, simulated.N_VAL)
        error = np.std(effects, ddof=1) * np.sqrt(1 / SEEDS + held / N_TRAIN)
        half = stats.t.ppf(0.975, SEEDS - 1) * error
        if half == 0:
            continue
        bounds = [
            numbers.effect(measure, "difference", np.mean(effects) + one, True)
            for one in (-half, half)
        ]
        assert shown_bounds(cell.note) == f"[{bounds[0]}, {bounds[1]}]"


def test_the_code_comes_after_the_answer_and_only_where_there_is_one(
    contents: Contents, report: Report
) -> None:
    assert [part.anchor for part in report.page.parts][:2] == ["answer", "code"]
    none = contents.finals.with_columns(pl.lit(None).alias("code_usage"))
    without = Report(tables(replace(contents, finals=none)))
    assert "code" not in [section.anchor for section in without.page.sections]


def test_the_figure_has_every_trial_that_has_not_collapsed(report: Report) -> None:
    made = report.tables
    figure = code.against_error(made, "active_units")
    assert figure is not None
    drawn = np.concatenate(
        [
            line.get_xydata()
            for line in figure.plot().axes[0].lines
            if line.get_linestyle() == "None"
        ]
    )
    settings = [*made.baselines]
    for series, strengths in made.strengths.items():
        settings += [Setting(series, x) for x in strengths[:-1]]  # the last collapsed
    trials = [trial.trial for one in settings for trial in made.done(one)]
    finals = made.finals.filter(pl.col("trial").is_in(trials))
    expected = [
        (sum(row["code_usage"]), made.values[row["trial"], code.LOSS])
        for row in finals.iter_rows(named=True)
    ]
    np.testing.assert_allclose(sorted(drawn.tolist()), sorted(expected), 1e-12)
