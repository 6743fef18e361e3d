from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from experiments.benchmarks import simulated
from kregkit.report.analysis.operating import best, operating, strong
from kregkit.report.cells import Series
from kregkit.report.data.tables import Tables, tables
from kregkit.store import Contents

SEEDS = 6


@pytest.fixture(scope="module")
def contents() -> Contents:
    random = np.random.default_rng(3)
    size = simulated.Size(SEEDS, 1000, 300)
    return simulated.contents(random, size, simulated.truth(random))


def made(contents: Contents, **columns: pl.Expr) -> Tables:
    return tables(replace(contents, finals=contents.finals.with_columns(**columns)))


def scores(
    contents: Contents, series: Series, column: str
) -> Iterator[tuple[float, dict[int, float]]]:
    """The difference to the baseline, by strength and seed, from the finals."""
    finals = contents.finals
    base = finals.filter(pl.col("target").is_null())
    by_seed = dict(base.select("seed", column).iter_rows())
    own = finals.filter(
        pl.col("target") == series.target, pl.col("regularizer") == series.regularizer
    )
    for (strength,), part in own.sort("strength").group_by(
        "strength", maintain_order=True
    ):
        found = part.select("seed", column).iter_rows()
        yield strength, {seed: value - by_seed[seed] for seed, value in found}


def test_strong_is_the_largest_strength_that_the_other_seeds_allow(
    contents: Contents,
) -> None:
    one = made(contents)
    several = set()
    for series in one.strengths:
        chosen = strong(one, series)
        for left_out in (None, *range(SEEDS)):
            expected = None
            for strength, found in scores(contents, series, "val_score"):
                others = [v for seed, v in found.items() if seed != left_out]
                if np.mean(others) >= -0.01:
                    expected = strength
            setting = chosen[left_out]
            assert (setting and setting.strength) == expected
            several.add(expected)
    assert len(several) > 1


def test_best_has_the_lowest_validation_loss_of_the_other_seeds(
    contents: Contents,
) -> None:
    one = made(contents)
    among = [series for series in one.strengths if series.target == "kernel"]
    for left_out, setting in best(one, among).items():
        means = {
            (series, strength): np.mean([v for s, v in found.items() if s != left_out])
            for series in among
            for strength, found in scores(contents, series, "val_data_loss")
        }
        assert setting is not None
        assert (setting.series, setting.strength) == min(means, key=means.__getitem__)


def test_the_seed_itself_does_not_take_part_in_the_choice(contents: Contents) -> None:
    one = made(contents)
    series = next(iter(one.strengths))
    ruined = pl.when(pl.col("seed") == 2, pl.col("target").is_not_null()).then(0.0)
    other = made(contents, val_score=ruined.otherwise(pl.col("val_score")))
    assert strong(other, series)[2] == strong(one, series)[2]
    assert strong(other, series)[0] is None


def test_a_strength_at_which_another_seed_failed_is_not_chosen(
    contents: Contents,
) -> None:
    series = next(iter(made(contents).strengths))
    fails = (
        (pl.col("seed") == 1)
        & (pl.col("target") == series.target)
        & (pl.col("regularizer") == series.regularizer)
        & (pl.col("strength") > 1e-4)
    )
    status = pl.when(fails).then(pl.lit("failed")).otherwise(pl.col("status"))
    chosen = strong(made(contents, status=status), series)
    assert {setting and setting.strength for setting in chosen.values()} == {1e-4, 1e-2}
    assert chosen[1] is not None
    assert chosen[1].strength == 1e-2  # its own failure does not count


@pytest.mark.parametrize(
    ("lost", "expected", "at_edge"),
    [(0.0, 1e-1, True), (0.5, None, False)],
)
def test_the_edge_of_the_sweep_and_no_strength_at_all_are_said(
    contents: Contents, lost: float, expected: float | None, at_edge: bool
) -> None:
    swept = pl.when(pl.col("target").is_not_null()).then(0.9 - lost).otherwise(0.9)
    one = made(contents, val_score=swept)
    point = operating(one, next(iter(one.strengths)))
    assert (point.strength, point.at_edge) == (expected, at_edge)
