"""The store: whole parts or nothing, and one line for whatever is wrong."""

import dataclasses
from pathlib import Path

import polars as pl
import pytest

from helpers.trials import refused, store_of, trial
from kregkit import schema
from kregkit.errors import StoreError
from kregkit.store import TABLES, Store, frame


def assert_contents_equal(one: Store, other: Store) -> None:
    for table in TABLES:
        assert getattr(one.read(), table).equals(getattr(other.read(), table))


def test_what_is_written_is_read_and_the_rest_is_null(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    store.begin("name = 'x — ü'\n")
    store.write(*trial("a"))
    contents = store.read()
    assert contents.study == "name = 'x — ü'\n" == store.study()
    for table, declared in TABLES.items():
        assert getattr(contents, table).columns == list(declared)
    assert contents.rows["step"].to_list() == [0, 10, 20]
    assert contents.rows["loss"].to_list() == [1.0, 0.5, 1 / 3]
    assert contents.rows["val_loss"].to_list() == [None] * 3
    final = contents.finals.row(0, named=True)
    given = trial("a")[1][0]
    assert final == dict.fromkeys(schema.FINALS) | given
    assert contents.tensors["values"].to_list() == [[0.0, 1.0]]
    assert contents.tensors["shape"].to_list() == [[1, 2]]
    assert store.finished() == {"a"}


def test_types_are_those_of_the_schema_also_where_all_is_null() -> None:
    types = {
        "str": pl.String,
        "int": pl.Int64,
        "float": pl.Float64,
        "bool": pl.Boolean,
        "ints": pl.List(pl.Int64),
        "floats": pl.List(pl.Float32),
        "doubles": pl.List(pl.Float64),
        "strs": pl.List(pl.String),
    }
    for declared in TABLES.values():
        for rows in ((), [{}]):
            made = frame(rows, declared)
            assert dict(made.schema) == {k: types[v] for k, v in declared.items()}
            assert made.null_count().row(0) == (len(rows),) * len(declared)


def test_a_half_written_part_is_ignored_and_begin_drops_it(
    tmp_path: Path,
) -> None:
    store = store_of(tmp_path, "a")
    half = tmp_path / "parts" / ".writing-1234"
    half.mkdir()
    (half / "rows.parquet").write_bytes(b"PAR1 half")
    stray = tmp_path / ".writing-5678"
    stray.write_text("half a study")
    assert store.finished() == {"a"}
    assert store.read().rows.height == 3
    store.begin()
    assert half.exists(), "another process may be writing it"
    store.begin("study")
    assert not half.exists()
    assert not stray.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts", "study.toml"]
    assert store.read().rows.height == 3


def test_begin_keeps_parts_and_replaces_the_study(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a")
    assert store.study() is None
    store.begin("one")
    store.begin()
    assert store.study() == "one"
    store.begin("two")
    assert store.study() == "two"
    assert store.finished() == {"a"}


def test_a_failing_write_leaves_no_part(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a")
    rows, finals, tensors = trial("b")
    tensors[0]["colour"] = "red"
    message = refused(StoreError, lambda: store.write(rows, finals, tensors))
    assert message == (
        f"{tmp_path}: cannot be written: columns that the schema does not declare: "
        "['colour']"
    )
    assert store.finished() == {"a"}
    store.begin("study")
    assert len(list((tmp_path / "parts").iterdir())) == 1
    store.write(*trial("b"))
    assert store.finished() == {"a", "b"}


def test_a_column_that_is_not_declared_is_refused() -> None:
    rows = [{"trial": "a"}, {"trial": "b", "zz": 1, "aa": 2}]
    message = refused(StoreError, lambda: frame(rows, schema.ROWS))
    assert message == "columns that the schema does not declare: ['aa', 'zz']"


def test_a_path_with_wildcards_is_taken_as_it_is(tmp_path: Path) -> None:
    store = store_of(tmp_path / "run[1]*?", "a")
    store_of(tmp_path / "run1x", "b")
    assert store.finished() == {"a"}
    store.begin()
    assert store.read().rows["trial"].unique().to_list() == ["a"]


def test_the_same_trials_cannot_be_written_twice(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a")
    part = next((tmp_path / "parts").iterdir())
    message = refused(StoreError, lambda: store.write(*trial("a", test_score=0.9)))
    assert message == f"{part}: these trials are stored"
    assert store.read().finals["test_score"].to_list() == [0.25]


def test_a_trial_in_two_parts_counts_once_where_equal(tmp_path: Path) -> None:
    store = store_of(tmp_path / "two", "a")
    slower = {"wall_seconds": 99.0, "engine": "batch"}
    nan = {"test_data_loss": float("nan")}
    both = zip(trial("a", **slower), trial("b", **nan), strict=True)
    store.write(*(one + other for one, other in both))
    read = store.read()
    assert read.finals["trial"].to_list() == ["a", "b"]
    assert (read.rows.height, read.tensors.height) == (6, 2)
    parts = [*zip(trial("b", **nan), trial("c"), strict=True)]
    store.write(*(one + other for one, other in parts))
    assert store.read().finals["trial"].to_list() == ["a", "b", "c"]
    assert store.finished() == {"a", "b", "c"}


def test_contents_do_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    forth = store_of(tmp_path / "forth", "a", "b", "c", "d")
    back = store_of(tmp_path / "back", "d", "c", "b", "a")
    at_once = store_of(tmp_path / "at_once", "c")
    trials = [trial(name) for name in ("d", "a", "b")]
    at_once.write(*([row for one in trials for row in one[i]] for i in range(3)))
    assert_contents_equal(forth, back)
    assert_contents_equal(forth, at_once)
    assert forth.read().finals["trial"].to_list() == ["a", "b", "c", "d"]
    assert forth.read().rows["step"].to_list() == [0, 10, 20] * 4


def test_failed_trials_are_counted_and_finished(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a")
    assert store.failed() == 0
    store.write(*trial("b", status="failed", failed_epoch=2, test_score=None))
    assert store.failed() == 1
    assert store.finished() == {"a", "b"}


def test_clear_removes_the_parts_and_nothing_else(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a")
    store.begin("study")
    (tmp_path / "notes.txt").write_text("mine")
    store.clear()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "study.toml"]
    assert store.finished() == frozenset()
    store.clear()
    store.begin()
    store.write(*trial("a"))
    assert store.finished() == {"a"}


def test_a_store_is_immutable(tmp_path: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Store(tmp_path).path = tmp_path
