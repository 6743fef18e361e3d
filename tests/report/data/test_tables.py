import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.stats

from experiments.benchmarks import simulated
from helpers import report_store
from kregkit.errors import StoreError
from kregkit.report import load
from kregkit.report.cells import BASELINE, Place, Series, Setting, whole
from kregkit.report.data.function_measures import GAP
from kregkit.report.data.roles import pooled
from kregkit.report.data.tables import Tables, tables
from kregkit.schema import ROWS
from kregkit.store import Contents, Store, frame

Read = Callable[[str], Tables]
L1_KERNEL = Setting(Series("kernel", "L1", "all", "gradient", "{}"), 1e-3)


def model(measure: str) -> Place:
    return Place("model", "", "model", measure)


@functools.cache
def stored(store: Path) -> Contents:
    return Store(store).read()


def trial_ids(store: Path, setting: Setting) -> dict[int, str]:
    finals = stored(store).finals.filter(pl.col("status") == "done")
    own = finals.filter(pl.col("regularizer").is_null())
    if setting.series is not None:
        own = finals.filter(
            pl.col("regularizer") == setting.series.regularizer,
            pl.col("target") == setting.series.target,
            pl.col("strength") == setting.strength,
        )
    return dict(zip(own["seed"], own["trial"], strict=True))


def laid_end_to_end(store: Path, trial: str, role: str) -> np.ndarray:
    tensors = stored(store).tensors
    own = tensors.filter(pl.col("trial") == trial, pl.col("role") == role)
    return np.concatenate([np.asarray(values) for values in own["values"]])


@pytest.mark.parametrize("role", ["kernel", "bias"])
@pytest.mark.parametrize(
    "measure", ["l1", "l2", "max_abs", "zero_fraction", "near_zero_fraction"]
)
def test_pooled_measures_are_those_of_the_layers_laid_end_to_end(
    stores: Path, read: Read, role: str, measure: str
) -> None:
    for trial in trial_ids(stores / "six", L1_KERNEL).values():
        w = laid_end_to_end(stores / "six", trial, role)
        expected = report_store.measures(w)[measure]
        found = read("six").values[trial, whole(role, measure)]
        assert found == pytest.approx(expected, rel=1e-6)  # tensors are float32


def test_pooled_hoyer_is_the_mean_weighted_by_size(stores: Path, read: Read) -> None:
    (trial, *_) = trial_ids(stores / "six", L1_KERNEL).values()
    own = (
        Store(stores / "six")
        .read()
        .rows.filter(
            pl.col("trial") == trial, pl.col("role") == "kernel", pl.col("epoch") == 10
        )
    )
    expected = np.average(own["hoyer"], weights=own["size"])
    found = read("six").values[trial, whole("kernel", "hoyer")]
    assert found == pytest.approx(expected)


def one_row(layer: str, size: int, **measured: float | None) -> dict[str, object]:
    return {"trial": "a", "step": 1, "epoch": 1, "layer": layer, "tensor": "bias"} | {
        "role": "bias",
        "size": size,
        **measured,
    }


def test_a_pooled_measure_is_undefined_where_that_of_a_layer_is() -> None:
    rows = [one_row("x", 4, hoyer=0.5, l2=3.0), one_row("y", 4, hoyer=None, l2=4.0)]
    (found,) = pooled(frame(rows, ROWS)).iter_rows(named=True)
    assert found["hoyer"] is None
    assert found["l2"] == 5.0
    assert found["l1"] is None


def test_a_layer_of_one_element_has_no_say_in_hoyer() -> None:
    rows = [one_row("x", 4, hoyer=0.5), one_row("y", 1, hoyer=None)]
    (found,) = pooled(frame(rows, ROWS)).iter_rows(named=True)
    assert found["hoyer"] == 0.5


def paired(store: Path, setting: Setting, column: str) -> np.ndarray:
    finals = Store(store).read().finals
    value = dict(zip(finals["trial"], finals[column], strict=True))
    own, base = trial_ids(store, setting), trial_ids(store, BASELINE)
    return np.array([value[own[seed]] - value[base[seed]] for seed in sorted(own)])


def test_score_effect_is_the_paired_difference_with_the_corrected_interval(
    stores: Path, read: Read
) -> None:
    differences = paired(stores / "six", L1_KERNEL, "test_score")
    cell = read("six").cell(L1_KERNEL, model("test_score"))
    scale = differences.std(ddof=1) * np.sqrt(1 / 6 + 360 / 1149)
    expected = scipy.stats.t.interval(0.95, 5, differences.mean(), scale)
    assert (cell.n, cell.failed, cell.pairs) == (6, 0, 6)
    assert cell.effect == pytest.approx(differences.mean())
    assert (cell.low, cell.high) == pytest.approx(expected)


def test_gap_is_validation_minus_training_loss(stores: Path, read: Read) -> None:
    val = paired(stores / "six", L1_KERNEL, "val_data_loss")
    train = paired(stores / "six", L1_KERNEL, "train_data_loss")
    cell = read("six").cell(L1_KERNEL, model(GAP))
    assert cell.effect == pytest.approx((val - train).mean())


def test_norm_effect_is_the_log_ratio_with_the_plain_interval(
    stores: Path, read: Read
) -> None:
    store = stores / "six"
    own, base = trial_ids(store, L1_KERNEL), trial_ids(store, BASELINE)
    norms = [
        [np.linalg.norm(laid_end_to_end(store, ids[seed], "kernel")) for seed in own]
        for ids in (own, base)
    ]
    logs = np.log(np.array(norms[0]) / np.array(norms[1]))
    cell = read("six").cell(L1_KERNEL, whole("kernel", "l2"))
    expected = scipy.stats.t.interval(0.95, 5, logs.mean(), scipy.stats.sem(logs))
    assert cell.kind == "log ratio"
    assert cell.mean == pytest.approx(np.mean(norms[0]), rel=1e-6)
    assert cell.effect == pytest.approx(logs.mean(), rel=1e-5)
    assert (cell.low, cell.high) == pytest.approx(expected, rel=1e-4)


def test_a_split_that_stays_needs_no_correction(stores: Path) -> None:
    contents = Store(stores / "six").read()
    fixed = contents.finals.with_columns(split_redrawn=pl.lit(False))
    cell = tables(replace(contents, finals=fixed)).cell(L1_KERNEL, model("test_score"))
    differences = paired(stores / "six", L1_KERNEL, "test_score")
    sem = scipy.stats.sem(differences)
    expected = scipy.stats.t.interval(0.95, 5, differences.mean(), sem)
    assert (cell.low, cell.high) == pytest.approx(expected)


def test_three_seeds_have_effects_and_no_interval(read: Read) -> None:
    for cell in read("three").cells:
        assert cell.low is None
        assert cell.high is None


def test_a_failed_trial_is_counted_and_left_out(stores: Path, read: Read) -> None:
    cell = read("three").cell(L1_KERNEL, model("test_score"))
    assert (cell.n, cell.failed, cell.pairs) == (2, 1, 2)
    own = trial_ids(stores / "three", L1_KERNEL)
    assert sorted(own) == [0, 2]
    differences = paired(stores / "three", L1_KERNEL, "test_score")
    assert cell.effect == pytest.approx(differences.mean())


def test_nan_in_a_store_is_undefined(stores: Path) -> None:
    contents = Store(stores / "three").read()
    nan = contents.finals.with_columns(test_score=pl.lit(float("nan")))
    cell = tables(replace(contents, finals=nan)).cell(L1_KERNEL, model("test_score"))
    assert cell.mean is None
    assert cell.effect is None


def test_two_baselines_of_one_seed_are_refused(stores: Path) -> None:
    contents = Store(stores / "three").read()
    seeds = contents.finals.with_columns(seed=pl.lit(0))
    with pytest.raises(StoreError, match="repeats another of its seed"):
        tables(replace(contents, finals=seeds))


def test_series_come_kernel_bias_activity(read: Read) -> None:
    targets = [series.target for series in read("three").strengths]
    assert targets == ["kernel", "kernel", "bias", "bias", "activity", "activity"]


def test_the_end_of_a_trial_is_its_own_last_moment(stores: Path, read: Read) -> None:
    contents = Store(stores / "three").read()
    (trial, *_) = trial_ids(stores / "three", L1_KERNEL).values()
    kept = (pl.col("trial") != trial) | (pl.col("epoch") <= 5)
    shorter = tables(replace(contents, rows=contents.rows.filter(kept)))
    key = (trial, whole("kernel", "l2"))
    own = contents.rows.filter(
        pl.col("trial") == trial, pl.col("role") == "kernel", pl.col("epoch") == 5
    )
    assert shorter.values[key] == pytest.approx(np.linalg.norm(own["l2"]))
    assert shorter.values[key] != read("three").values[key]


RATES = (1e-3, 3e-3)


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of two learning rates, whose baselines have other scores.

    Trials at the study's own rate, which its file does not name, are of an older
    store: they have none.
    """
    path = tmp_path_factory.mktemp("rates")
    own = report_store.cells((1e-4, 1e-3), ("kernel",))
    other = [
        dict(cell, learning_rate=3e-3, test_score=0.5 + 0.1 * bool(cell["target"]))
        for cell in own
    ]
    return report_store.write_study(path, [*own, *other], seeds=2)


def test_a_trial_is_compared_with_the_baseline_of_its_learning_rate(
    rates: Path,
) -> None:
    made = tables(Store(rates).read())
    finals = (
        Store(rates).read().finals.with_columns(pl.col("learning_rate").fill_null(1e-3))
    )
    at = [Setting(None, None, rate) for rate in RATES]
    assert set(made.baselines) == set(at)
    for rate in RATES:
        series = Series("kernel", "L1", "all", "gradient", "{}", rate)
        cell = made.cell(Setting(series, 1e-3), model("test_score"))
        own = finals.filter(learning_rate=rate).sort("seed")
        base = own.filter(pl.col("regularizer").is_null())["test_score"]
        one = own.filter(regularizer="L1", strength=1e-3)["test_score"]
        assert (cell.n, cell.pairs) == (2, 2)
        assert cell.effect == pytest.approx((one - base).mean())
        assert cell.effect != 0
    assert cell.effect == pytest.approx(0.1)


def test_learning_rates_are_told_apart_on_the_page(rates: Path) -> None:
    made = load(rates).files
    page = made["report.md"].decode()
    for words in ("L1 · lr 1e-3", "L1 · lr 3e-3", "baseline · lr 3e-3", "0.001, 0.003"):
        assert words in page
    cells = pl.read_csv(made["tables/cells.csv"])
    assert set(cells["learning_rate"]) == set(RATES)


def test_one_learning_rate_is_not_mentioned(tmp_path: Path) -> None:
    """A store is the same to a report whether its trials have their rate or not."""
    swept = report_store.cells((1e-4,), ("kernel",))
    old, new = tmp_path / "old", tmp_path / "new"
    report_store.write_study(old, swept, seeds=2)
    report_store.write_study(new, swept, seeds=2, finals={"learning_rate": 1e-3})
    assert load(old).files == load(new).files
    for content in load(new).files.values():
        assert b"lr 1e-3" not in content
        assert b"learning_rate" not in content


@pytest.mark.parametrize("n_val", [100, 300])
@pytest.mark.parametrize("role", ["kernel", "activation"])
def test_activations_have_the_interval_of_what_is_held_out(
    role: str, n_val: int
) -> None:
    """The probe is 256 rows of the validation part, or all where it has fewer."""
    random = np.random.default_rng(3)
    size = simulated.Size(6, 1000, 300)
    made = simulated.contents(random, size, simulated.truth(random))
    finals = made.finals.with_columns(n_val=pl.lit(n_val, pl.Int64))
    one = tables(replace(made, finals=finals))
    series = next(iter(one.strengths))
    setting = Setting(series, one.strengths[series][0])
    cell = one.cell(setting, whole(role, "hoyer"))
    values = [
        one.values[trial.trial, whole(role, "hoyer")]
        for s in (setting, series.baseline)
        for trial in one.done(s)
    ]
    effects = np.subtract(values[:6], values[6:])
    held = min(n_val, 256) / 1000 if role == "activation" else 0.0
    error = effects.std(ddof=1) * np.sqrt(1 / 6 + held)
    half = scipy.stats.t.ppf(0.975, 5) * error
    center = effects.mean()
    np.testing.assert_allclose([cell.low, cell.high], [center - half, center + half])
