"""Stores of many trials: what is read of them, and what a page leaves out."""

from pathlib import Path

import polars as pl
import pytest

from kregkit import report
from kregkit.report import frames
from kregkit.report.data.roles import condensed
from kregkit.report.data.tables import read, tables
from kregkit.report.page import markdown
from kregkit.report.page.page import Figure
from kregkit.report.report import Report
from kregkit.report.sections import appendix, targets
from kregkit.store import Store


@pytest.mark.parametrize("name", ["three", "six", "logged"])
def test_what_is_read_part_by_part_gives_the_same_report(
    stores: Path, name: str
) -> None:
    store = stores / name
    whole, some = Store(store).read(), read(store)
    assert (some.rows.height < whole.rows.height) == (name != "logged")
    one, other = Report(tables(some)), Report(tables(whole))
    assert markdown.render(one.page) == markdown.render(other.page)
    for table, frame in other.frames.items():
        assert one.frames[table].equals(frame)


def test_rows_are_condensed_once(stores: Path) -> None:
    once = condensed(Store(stores / "three").read().rows)
    assert condensed(once).equals(once)
    layers = once.filter((pl.col("layer") != "") | (pl.col("role") == "model"))
    ends = layers.group_by("trial").agg(pl.col("epoch").n_unique())
    assert ends["epoch"].to_list() == [1] * ends.height
    assert layers["epoch"].unique().sort().to_list() == [3, 10]  # one has failed
    whole = once.filter((pl.col("layer") == "") & (pl.col("role") != "model"))
    assert whole["epoch"].unique().sort().to_list() == list(range(11))


def test_what_is_too_large_is_left_out_said_and_still_to_be_had(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Figure, "svg", "<svg />")  # what is drawn is not asked here
    whole = report.load(stores / "three").files
    sizes = {
        name: len(whole[f"tables/{name}.csv"].splitlines()) - 1 for name in frames.NAMES
    }
    most = sizes["values"] - 1
    for module in (frames, appendix):
        monkeypatch.setattr(module, "MOST", most)
    monkeypatch.setattr(targets, "MOST_ROWS", 20)
    loaded = report.load(stores / "three")
    some, large = loaded.files, [n for n, rows in sizes.items() if rows > most]
    assert "values" in large
    assert {*whole} - {*some} == {f"tables/{name}.csv" for name in large}
    text = some["index.html"].decode()
    assert f"more than {most:,} rows: {', '.join(large)}." in text
    assert "Layer by layer there are" in text
    assert "Layer by layer there are" not in whole["index.html"].decode()
    assert len(text) < len(whole["index.html"])
    assert loaded.values.height == sizes["values"]


@pytest.mark.parametrize("name", frames.NAMES)
def test_sizes_are_those_of_the_tables(stores: Path, name: str) -> None:
    loaded = report.load(stores / "six")
    size = frames.size(name, loaded.tables, loaded.runs)
    made = loaded.frames[name].height
    assert size == made if name != "operating" else size >= made
