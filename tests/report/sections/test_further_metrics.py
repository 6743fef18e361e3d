"""The further metrics of a study: table, frame and file, against NumPy and SciPy."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from helpers import report_store
from kregkit import report
from kregkit.report.frames import csvs
from kregkit.report.sections.further_metrics import sections
from kregkit.schema import METRICS
from kregkit.store import Store

NAMES = ["accuracy", "own:brier_score", "roc_auc"]
STRENGTHS = (1e-4, 1e-3)
SEEDS = 6
CELLS = report_store.cells(STRENGTHS, ("kernel",))
RANDOM = np.random.default_rng(0)
SHAPE = (len(CELLS), SEEDS)
MEASURED = RANDOM.normal(size=(*SHAPE, 2))
LOSSES = RANDOM.normal(size=SHAPE)
N_TEST, N_TRAIN = 360, 1149


def write(path: Path, seeds: int = SEEDS, **changed: Any) -> None:
    """Write a store whose roc_auc is not defined in the second seed of L2 trials."""
    store = Store(path)
    store.begin(report_store.STUDY.format(name="m", title='"m"', seeds=seeds))
    for i, cell in enumerate(CELLS):
        for seed in range(seeds):
            trial = f"{i * SEEDS + seed:016x}"
            rows, final, tensors = report_store.train(trial, cell, seed)
            lacking = cell["regularizer"] == "L2" and seed == 1
            own = [0.5, MEASURED[i, seed, 0], None if lacking else MEASURED[i, seed, 1]]
            final |= {"val_data_loss": LOSSES[i, seed], "metric_names": NAMES}
            final |= {f"{part}_metrics": own for part in ("train", "val", "test")}
            store.write(rows, [final | changed], tensors)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metrics")
    write(path)
    return path


def chosen(first: int) -> list[int]:
    """Return for each seed the cell that the other seeds choose; `first` is weakest."""
    effects = LOSSES[first : first + len(STRENGTHS)] - LOSSES[0]
    others = [np.delete(effects, seed, axis=1).mean(axis=1) for seed in range(SEEDS)]
    return [first + int(means.argmin()) for means in others]


def interval(effects: np.ndarray) -> list[float]:
    half = stats.t.ppf(0.975, SEEDS - 1) * effects.std(ddof=1)
    half *= np.sqrt(1 / SEEDS + N_TEST / N_TRAIN)
    return [effects.mean() - half, effects.mean() + half]


def test_the_frame_is_the_paired_difference_at_the_lowest_loss(store: Path) -> None:
    frame = report.load(store).metrics
    assert frame["metric"].to_list() == NAMES * 2
    for first, regularizer in ((1, "L1"), (3, "L2")):
        at = chosen(first)
        every = (LOSSES[first : first + 2] - LOSSES[0]).mean(axis=1).argmin()
        for k, name in enumerate(NAMES[1:]):
            (row,) = frame.filter(regularizer=regularizer, metric=name).iter_rows(
                named=True
            )
            assert row["strength"] == STRENGTHS[every]
            base = MEASURED[0, :, k]
            own = np.array([MEASURED[i, seed, k] for seed, i in enumerate(at)])
            assert row["baseline"] == pytest.approx(base.mean())
            if (regularizer, name) == ("L2", "roc_auc"):
                assert (row["mean"], row["effect"], row["low"]) == (None, None, None)
                assert row["why"] == "it is not defined in 1 of 6 seeds"
                continue
            assert row["mean"] == pytest.approx(own.mean())
            assert row["effect"] == pytest.approx((own - base).mean())
            assert [row["low"], row["high"]] == pytest.approx(interval(own - base))
            assert (row["seeds"], row["why"]) == (SEEDS, None)
    # Some seed is evaluated at another strength than all together choose.
    assert any(len({*chosen(first)}) > 1 for first in (1, 3))


def test_equal_differences_have_no_interval(store: Path) -> None:
    for row in (
        report.load(store).metrics.filter(metric="accuracy").iter_rows(named=True)
    ):
        assert (row["baseline"], row["mean"], row["effect"]) == (0.5, 0.5, 0.0)
        assert (row["low"], row["high"]) == (None, None)
        assert row["why"].startswith("every seed has the same difference")


def test_the_page_has_a_table_and_the_folder_a_file(
    store: Path, tmp_path: Path
) -> None:
    loaded = report.load(store)
    loaded.write(tmp_path)
    file = pl.read_csv(tmp_path / "tables/metrics.csv", schema=loaded.metrics.schema)
    assert file.equals(loaded.metrics)
    assert [c for c in loaded.metrics.columns if c not in str(loaded.__doc__)] == []
    (section,) = [part for part in loaded.page.sections if part.anchor == "metrics"]
    (table,) = section.tables
    assert [row[3].value for row in table.rows] == NAMES * 2
    shown = {tuple(e.value for e in r[:4]): r[4:] for r in table.rows}
    one = shown["L1", "the kernel W", *_strength(loaded, "L1"), "own:brier_score"]
    row = loaded.metrics.row(1, named=True)
    # A number of the user's, whatever its name: not in percent.
    values = [float(e.value.replace("−", "-")) for e in one]
    expected = [row["baseline"], row["mean"], row["effect"]]
    assert values == pytest.approx(expected, rel=1e-2, abs=1e-3)
    assert one[2].note.startswith("[")
    undefined = shown["L2", "the kernel W", *_strength(loaded, "L2"), "roc_auc"]
    assert [entry.value for entry in undefined[1:]] == ["–", "–"]
    text = (tmp_path / "index.html").read_text()
    assert "Further metrics" in text
    assert all(METRICS[name][1] in text for name in ("accuracy", "roc_auc"))
    assert "standardised: errors" not in text
    assert "| accuracy |" in (tmp_path / "report.md").read_text()


def _strength(loaded: Any, regularizer: str) -> tuple[str]:
    (found,) = loaded.metrics.filter(regularizer=regularizer)["strength"].unique()
    return (f"{found:.0e}".replace("e-0", "e-"),)


def test_few_seeds_have_no_interval_and_a_regression_says_its_unit(
    tmp_path: Path,
) -> None:
    write(tmp_path, seeds=3, task="regression")
    loaded = report.load(tmp_path)
    row = loaded.metrics.row(1, named=True)
    assert row["why"] == "3 seeds are fewer than the 5 of an interval"
    assert (row["low"], row["high"], row["effect"] is None) == (None, None, False)
    (section,) = sections(loaded.study)
    assert "standard deviations of the training part" in section.notes[-1]
    entry = section.tables[0].rows[1][-1]
    assert entry.note.startswith("seeds [")


@pytest.mark.parametrize("name", ["three", "logged"])
def test_a_store_without_metrics_has_no_table_and_no_file(
    name: str, stores: Path
) -> None:
    loaded = report.load(stores / name)
    assert loaded.metrics.is_empty()
    assert "metrics" not in {part.anchor for part in loaded.page.sections}
    assert "tables/metrics.csv" not in csvs(loaded.written)
