"""What cannot be read or compared is refused, in one line that names the file."""

from pathlib import Path

import polars as pl
import pytest

from helpers.trials import ENVIRONMENT, refused, store_of, trial
from kregkit import schema
from kregkit.errors import PartError, StoreError, VersionError
from kregkit.store import TABLES, VERSIONS, Store, check_versions, frame


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "truncated"])
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, table: str, damage: str
) -> None:
    store = store_of(tmp_path, "a", "b")
    file = sorted((store.path / "parts").iterdir())[1] / f"{table}.parquet"
    whole = file.read_bytes()
    damaged = {
        "missing": [None],
        "empty": [b""],
        "garbage": [b"name,age\n1,2\n", b"PAR1" * 100, bytes(2000)],
        "truncated": [whole[:n] for n in range(1, len(whole), 97)] + [whole[:-1]],
    }
    for content in damaged[damage]:
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        message = refused(PartError, store.read)
        assert message.startswith(f"{file}: damaged or missing: ")
        if table == "finals":
            for call in (store.finished, store.failed):
                assert refused(PartError, call) == message
    file.write_bytes(whole)
    assert store.finished() == {"a", "b"}


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a")
    file = next((tmp_path / "parts").iterdir()) / "rows.parquet"
    good = pl.read_parquet(file)
    for other in (
        good.drop("l1"),
        good.with_columns(more=1),
        good.with_columns(pl.col("l1").cast(pl.Float32)),
    ):
        other.write_parquet(file)
        assert refused(PartError, store.read) == (
            f"{file}: its columns differ from this kregkit's store format"
        )


def test_a_column_that_was_added_is_null_where_an_older_store_lacks_it(
    tmp_path: Path,
) -> None:
    store = store_of(tmp_path, "a")
    part = next((tmp_path / "parts").iterdir())
    rows, file = part / "rows.parquet", part / "finals.parquet"
    added = {
        "rows": ["kkt_residual", "gradient_ratio"],
        "finals": [
            "learning_rate",
            "input_shape",
            "code_usage",
            "logit_scale",
            "inputs_near_ignored",
            "kernel_quantiles",
            "bias_quantiles",
            "activation_quantiles",
            "step_law_error",
            "inputs",
            "classes",
            "metric_names",
            "train_metrics",
            "val_metrics",
            "test_metrics",
        ],
    }
    assert set().union(*added.values()) == set(schema.ADDED)
    old = pl.read_parquet(file).drop(added["finals"])
    old.write_parquet(file)
    pl.read_parquet(rows).drop(added["rows"]).write_parquet(rows)
    store.write(*trial("b", learning_rate=0.5))
    assert store.read().finals["learning_rate"].to_list() == [None, 0.5]
    assert store.read().finals["bias_quantiles"].to_list() == [None, None]
    assert store.read().finals["test_metrics"].to_list() == [None, None]
    assert store.read().rows["gradient_ratio"].null_count() == store.read().rows.height
    old.drop("schema_version").write_parquet(file)
    assert "differ from this kregkit's store format" in refused(PartError, store.read)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_part_that_cannot_be_read_is_left_out_whole(
    tmp_path: Path, table: str
) -> None:
    store = store_of(tmp_path, "a", "b", "c")
    whole = store.read(skip_unreadable=True)
    assert whole.left_out == ()
    assert whole.finals.equals(store.read().finals)
    part = sorted((tmp_path / "parts").iterdir())[1]
    (gone,) = pl.read_parquet(part / "finals.parquet")["trial"]
    (part / f"{table}.parquet").write_bytes(b"PAR1")
    found = store.read(skip_unreadable=True)
    assert found.left_out == (part.name,)
    for name in TABLES:
        assert set(getattr(found, name)["trial"]) == {"a", "b", "c"} - {gone}
        expected = getattr(whole, name).filter(pl.col("trial") != gone)
        assert getattr(found, name).equals(expected)
    for other in (tmp_path / "parts").iterdir():
        (other / "rows.parquet").unlink()
    message = refused(StoreError, lambda: store.read(skip_unreadable=True))
    assert message == (
        f"{tmp_path}: holds no finished trial; parts that cannot be read: 3"
    )


@pytest.mark.parametrize("table", [0, 1, 2])
def test_a_trial_in_two_parts_with_different_results_is_refused(
    tmp_path: Path, table: int
) -> None:
    store = store_of(tmp_path, "a")
    again, other = trial("a"), trial("b")
    changed = [("loss", 9.0), ("test_score", 0.75), ("values", [0.0, 2.0])][table]
    again[table][-1][changed[0]] = changed[1]
    first = set((tmp_path / "parts").iterdir())
    store.write(*(one + two for one, two in zip(again, other, strict=True)))
    second = set((tmp_path / "parts").iterdir()) - first
    message = refused(StoreError, store.read)
    assert message == (
        f"{max(*first, *second)}: trial a is stored twice with different results"
    )


@pytest.mark.parametrize("column", VERSIONS)
def test_trials_of_different_versions_are_not_compared(
    tmp_path: Path, column: str
) -> None:
    store = store_of(tmp_path, "a")
    here = ENVIRONMENT[column]
    store.check_resumable(ENVIRONMENT)
    message = refused(
        VersionError, lambda: store.check_resumable(ENVIRONMENT | {column: "9.9"})
    )
    first, second = sorted([here, "9.9"])
    assert message == (
        f"{tmp_path}: trials of different versions cannot be compared: {column} is "
        f"{first!r} and {second!r}"
    )
    store.write(*trial("b", **{column: "9.9"}))
    assert refused(VersionError, store.read) == message
    assert store.finished() == {"a", "b"}


def test_another_store_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.write(*trial("a", schema_version=7))
    expected = f"{tmp_path}: written with store format 7; this kregkit reads format 1"
    for call in (store.read, lambda: store.check_resumable(ENVIRONMENT)):
        assert refused(VersionError, call) == expected
    check_versions(frame(trial("a")[1], schema.FINALS), "here")


def test_what_is_no_store_or_has_no_trial_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for path in (tmp_path, tmp_path / "none", file):
        assert refused(StoreError, Store(path).read) == (
            f"{path}: not a store (it has no folder 'parts')"
        )
        assert Store(path).finished() == frozenset()
    store = store_of(tmp_path / "empty")
    message = refused(StoreError, store.read)
    assert message == f"{store.path}: holds no finished trial"
    assert (store.finished(), store.failed()) == (frozenset(), 0)
    store.check_resumable(ENVIRONMENT)


def test_a_file_where_a_folder_should_be_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for path, reason in ((file, "Not a directory"), (file / "in", "Not a directory")):
        message = refused(StoreError, Store(path).begin)
        assert message == f"{path}: cannot be written: {reason}"
    (tmp_path / "parts").write_text("x")
    message = refused(StoreError, Store(tmp_path).begin)
    assert message == f"{tmp_path}: cannot be written: File exists"
    never_begun = Store(tmp_path / "none")
    message = refused(StoreError, lambda: never_begun.write(*trial("a")))
    assert (
        message == f"{never_begun.path}: cannot be written: No such file or directory"
    )


def test_a_study_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe\x00")
    message = refused(StoreError, store.study)
    assert message.startswith(f"{tmp_path / 'study.toml'}: cannot be read: ")
