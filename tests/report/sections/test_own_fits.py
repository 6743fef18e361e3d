"""What a single run did, and how runs compare, against the rows of their stores."""

import re
from dataclasses import replace

import polars as pl
import pytest

from helpers import report_store
from kregkit import report
from kregkit.errors import StoreError
from kregkit.report.data.tables import tables
from kregkit.report.sections.descriptive import runs_of
from kregkit.report.sections.own_fits import answer
from kregkit.store import Store


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "mine"
    report_store.write_logged(path)
    return path


def changed(contents, **columns):
    """Return the contents with other numbers in the last row of the model."""
    last = (pl.col("role") == "model") & (pl.col("step") == pl.col("step").max())
    rows = contents.rows.with_columns(
        pl.when(last).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in columns.items()
    )
    return replace(contents, rows=rows)


def entries(section):
    rows = [row for _, group in section.matrix.groups for row in group]
    heads = [name for name, _ in section.matrix.head]
    return {name: dict(zip(heads, bars, strict=True)) for name, bars in rows}


def test_a_run_says_its_score_its_loss_and_how_far_it_overfits(logged):
    contents = changed(
        Store(logged).read(), data_loss=0.25, val_data_loss=0.75, val_score=0.875
    )
    section = answer(runs_of(tables(contents)))
    assert section.statements[0].text == (
        "The run ends with a validation score of 87.5 %, a validation loss of 0.750, "
        "0.500 above the training loss (overfitting)."
    )


def test_norms_and_zeros_are_those_of_the_rows(logged):
    contents = Store(logged).read()
    (run,) = runs_of(tables(contents))
    shown = entries(answer([run]))
    rows = contents.rows.filter(pl.col("role") == "kernel", pl.col("layer") != "")
    for step, name in ((rows["step"].max(), "at the end"), (0, "before training")):
        own = rows.filter(step=step)
        if not own.height:
            continue
        norm = float((own["l2"] ** 2).sum() ** 0.5)
        told = shown[name]["‖W‖"].told or shown[name]["‖W‖"].value
        assert float(re.findall(r"[\d.]+", told)[0]) == pytest.approx(norm, rel=5e-3)
        zeros = (own["zero_fraction"] * own["size"]).sum() / own["size"].sum()
        text = shown[name]["Zeros in W"].value
        assert float(text.strip("<% ")) == pytest.approx(100 * zeros, abs=0.1)


def test_runs_are_compared_with_the_first(logged):
    contents = Store(logged).read()
    made = {}
    for name, loss in (("plain", 0.5), ("better", 0.4), ("worse", 0.75)):
        own = changed(contents, data_loss=0.3, val_data_loss=loss)
        (run,) = runs_of(tables(own), name)
        made[name] = run
    section = answer([*made.values()])
    found = {name: row["Validation loss"] for name, row in entries(section).items()}
    assert [bar.value for bar in found.values()] == ["0.500", "−0.10", "+0.25"]
    assert [bar.tone for bar in found.values()][1:] == ["good", "bad"]
    assert found["worse"].length == 1
    assert found["better"].length == pytest.approx(-0.4)
    assert "chance" in section.statements[-1].text


def test_the_command_compares_stores_of_runs_by_their_folders(logged, tmp_path):
    other = tmp_path / "other"
    report_store.write_logged(other)
    made = report.make_several([logged, other], tmp_path / "out")
    text = made.with_name("report.md").read_text(encoding="utf-8")
    assert text.startswith("# 2 training runs compared")
    assert "| mine |" in text
    assert "| other |" in text


def test_a_run_and_a_study_are_not_compared(logged, tmp_path):
    cells = report_store.cells((1e-4,), ("kernel",))
    study = report_store.write_study(tmp_path / "study", cells, 2)
    with pytest.raises(StoreError) as raised:
        report.make_several([study, logged], tmp_path / "out")
    assert str(raised.value) == (
        f"{logged}: has no regularizer to compare with a baseline, and {study} has"
    )
