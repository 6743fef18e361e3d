"""The matrix of a study against the finals alone, and what several studies agree on."""

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from experiments.benchmarks import simulated
from helpers.cross_fitted import N_TEST, N_TRAIN, SEEDS, VALUES, seeds_of
from helpers.simulated_studies import study
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.data.tables import tables
from kregkit.report.sections.matrix import columns, matrix, matrix_of_several
from kregkit.report.wording import numbers

TARGETS = {"kernel": "on the kernel W", "bias": "on the bias b"}


@pytest.fixture(scope="module")
def contents():
    random = np.random.default_rng(5)
    size = simulated.Size(SEEDS, N_TRAIN, N_TEST)
    return simulated.contents(random, size, simulated.truth(random))


def entries(made, group, name):
    """Return the bars of the row whose name begins so, by column."""
    rows = dict(made.groups)[group]
    (bars,) = (own for title, own in rows if title.startswith(f"{name},"))
    return {head: bar for (head, _), bar in zip(made.head, bars, strict=True)}


@pytest.mark.parametrize("regularizer", ["L1", "L2"])
@pytest.mark.parametrize("target", TARGETS)
def test_an_entry_is_the_paired_effect_at_the_strongest_that_keeps_the_score(
    contents, regularizer, target
):
    _, value = VALUES["test_score"]
    base = contents.finals.filter(pl.col("regularizer").is_null())
    bases = {row["seed"]: row for row in base.iter_rows(named=True)}
    kept = {
        strength: own
        for strength, own in seeds_of(contents, regularizer, target).items()
        if np.mean([own[s]["val_score"] - bases[s]["val_score"] for s in own]) >= -0.01
    }
    made = matrix(Analysis(tables(contents)))
    bar = entries(made, TARGETS[target], regularizer)["Test accuracy"]
    own = kept[max(kept)]
    effects = [value(own[s]) - value(bases[s]) for s in range(SEEDS)]
    mean = np.mean(effects)
    assert bar.value == numbers.brief("test_score", "difference", mean, False)
    error = np.std(effects, ddof=1) * np.sqrt(1 / SEEDS + N_TEST / N_TRAIN)
    half = stats.t.ppf(0.975, SEEDS - 1) * error
    assert bar.sure == (abs(mean) > half)
    assert bar.tone == ("good" if mean > 0 else "bad")


def test_bars_point_as_their_values_and_the_longest_is_whole(contents):
    made = matrix(Analysis(tables(contents)))
    rows = [bars for group, own in made.groups if group for _, bars in own]
    for column in zip(*rows, strict=True):
        known = [bar for bar in column if bar.value != numbers.UNDEFINED]
        assert max(abs(bar.length) for bar in known) in (0, pytest.approx(1))
        for bar in known:
            if bar.value[0] in "−+":
                assert (bar.length < 0) == bar.value.startswith("−")


def test_the_baseline_is_the_mean_of_its_seeds(contents):
    (_, ((name, bars),)), *_ = matrix(Analysis(tables(contents))).groups
    assert name == "no regularizer"
    base = contents.finals.filter(pl.col("regularizer").is_null())
    assert bars[0].value == numbers.percent(base["test_score"].mean())


def test_with_few_seeds_nothing_is_sure():
    random = np.random.default_rng(1)
    size = simulated.Size(3, N_TRAIN, N_TEST)
    made = matrix(
        Analysis(tables(simulated.contents(random, size, simulated.truth(random))))
    )
    bars = [bar for group, own in made.groups if group for _, b in own for bar in b]
    assert bars
    assert not any(bar.sure for bar in bars)


def test_several_studies_show_the_median_and_how_many_agree():
    studies = dict(study(seed) for seed in range(3))
    made = matrix_of_several([(n, Analysis(tables(c))) for n, c in studies.items()])
    rows = dict(made.groups)["on the kernel W"]
    (row,) = (bars for name, bars in rows if name == "L2")
    norm = next(b for (h, _), b in zip(made.head, row, strict=True) if h == "‖W‖")
    each = [matrix(Analysis(tables(c))) for c in studies.values()]
    own = [entries(one, "on the kernel W", "L2")["‖W‖"] for one in each]
    shown = sorted(float(bar.value.replace("−", "-").rstrip(" %")) for bar in own)
    assert float(norm.value.replace("−", "-").rstrip(" %")) == shown[1]
    agree = sum(bar.sure and bar.value.startswith("−") for bar in own)
    assert norm.note == f"{agree}/3"
    counted = [bar.note for _, bars in rows for bar in bars]
    assert {"", "3/3"} < {*counted}  # some are shown by fewer studies than have them
    for name, bar in zip(studies, own, strict=True):
        assert f"{name} {bar.value}" in norm.told


def test_r_squared_is_not_in_the_median_of_accuracies():
    studies = dict([study(0), study(1), study(3, task="regression")])
    made = matrix_of_several([(n, Analysis(tables(c))) for n, c in studies.items()])
    rows = dict(made.groups)["on the bias b"]
    (row,) = (bars for name, bars in rows if name == "L2")
    told = {h: bar.told for (h, _), bar in zip(made.head, row, strict=True)}
    assert "four" not in told["Test accuracy"]
    assert "four" in told["‖W‖"]


def test_measures_that_a_store_lacks_have_no_column(contents):
    found = tables(replace(contents, rows=contents.rows.clear()))
    head = {name for name, _ in matrix(Analysis(found)).head}
    assert "‖W‖" not in head
    assert "Test accuracy" in head
    assert len(columns(regression=True)) > len(head)
    assert not any(re.search("accuracy", c.name) for c in columns(regression=True))
