"""What `kregkit report` says of stores and places that it cannot use.

Every refusal is one line and exit status 2, and nothing is written.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from helpers import report_store
from kregkit import cli, report
from kregkit.errors import PartError
from kregkit.store import TABLES, Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        command = ["kregkit", "report", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code, *capfd.readouterr())

    return run


def small(folder: Path) -> Path:
    swept = report_store.cells([1e-4], ["kernel"], ["L1"])
    return report_store.write_study(folder / "store", swept, seeds=2)


def damaged(folder: Path, table: str) -> tuple[Path, Path]:
    """Return a small store and the file of it that cannot be read."""
    store = small(folder)
    file = sorted((store / "parts").iterdir())[0] / f"{table}.parquet"
    file.unlink()
    return store, file


def nothing(path: Path) -> str:
    return f"{path}: not a store (it has no folder 'parts')"


def missing(folder: Path) -> tuple[Sequence[object], str]:
    return [folder / "none", "-o", folder / "out"], nothing(folder / "none")


def a_file(folder: Path) -> tuple[Sequence[object], str]:
    (folder / "file").write_text("x")
    return [folder / "file", "-o", folder / "out"], nothing(folder / "file")


def another_folder(folder: Path) -> tuple[Sequence[object], str]:
    return [folder, "-o", folder / "out"], nothing(folder)


def empty(folder: Path) -> tuple[Sequence[object], str]:
    Store(folder / "store").begin()
    line = f"{folder / 'store'}: holds no finished trial"
    return [folder / "store", "-o", folder / "out"], line


def mixed(folder: Path) -> tuple[Sequence[object], str]:
    store = small(folder)
    rows, final, tensors = report_store.train("ff", report_store.BASELINE, 7)
    Store(store).write(rows, [final | {"keras_version": "3.0"}], tensors)
    return [store, "-o", folder / "out"], (
        f"{store}: trials of different versions cannot be compared: keras_version is "
        "'3.0' and '3.14.1'"
    )


def unreadable(folder: Path) -> tuple[Sequence[object], str]:
    store, file = damaged(folder, "tensors")
    return [store, "-o", folder / "out"], (
        f"{file}: damaged or missing: no such file; --skip-unreadable reports the rest"
    )


def all_unreadable(folder: Path) -> tuple[Sequence[object], str]:
    store = small(folder)
    for file in store.glob("parts/*/rows.parquet"):
        file.unlink()
    return [store, "-o", folder / "out", "--skip-unreadable"], (
        f"{store}: holds no finished trial; parts that cannot be read: 4"
    )


def out_is_a_file(folder: Path) -> tuple[Sequence[object], str]:
    (folder / "taken").write_text("mine")
    store, out = small(folder), folder / "taken"
    return [store, "-o", out], f"{out}: is not a folder"


def out_is_in_a_file(folder: Path) -> tuple[Sequence[object], str]:
    (folder / "taken").write_text("mine")
    store, out = small(folder), folder / "taken" / "out"
    words = f"{out}: cannot be written: {folder / 'taken'} is not a folder"
    return [store, "-o", out], words


def out_is_not_ours(folder: Path) -> tuple[Sequence[object], str]:
    store = small(folder)
    (folder / "out").mkdir()
    (folder / "out" / "notes").write_text("mine")
    return [store, "-o", folder / "out"], (
        f"{folder / 'out'}: holds 'notes', which is not part of a kregkit report; "
        "choose another folder"
    )


BAD = (
    missing,
    a_file,
    another_folder,
    empty,
    mixed,
    unreadable,
    all_unreadable,
    out_is_a_file,
    out_is_in_a_file,
    out_is_not_ours,
)


@pytest.mark.parametrize("bad", BAD)
def test_it_is_refused_in_one_line_and_nothing_is_written(
    bad: Callable[[Path], tuple[Sequence[object], str]], tmp_path: Path, run: Run
) -> None:
    arguments, line = bad(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert run(*arguments) == (2, "", f"error: {line}\n")
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("table", sorted(TABLES))
def test_the_rest_is_reported_and_what_was_left_out_is_said(
    table: str, tmp_path: Path, run: Run
) -> None:
    store, file = damaged(tmp_path, table)
    out, part = tmp_path / "out", file.parent.name
    status, said, _ = run(store, "-o", out, "--skip-unreadable")
    assert (status, said) == (
        0,
        f"Left out: {file.parent} cannot be read.\nReport: {out}/index.html\n",
    )
    text = (out / "report.md").read_text()
    assert f"| Left out | 1 part that cannot be read: {part} |" in text
    assert "3 trials · 2 seeds · 1 part left out" in text
    assert pl.read_csv(out / "tables/trials.csv").height == 3
    values = pl.read_csv(out / "tables/values.csv")
    assert values["trial"].n_unique() == 3


def test_a_store_without_damage_is_reported_alike_and_says_nothing(
    tmp_path: Path, run: Run
) -> None:
    store = small(tmp_path)
    report.make(store, tmp_path / "plain")
    assert run(store, "-o", tmp_path / "out", "--skip-unreadable")[1] == (
        f"Report: {tmp_path}/out/index.html\n"
    )
    for name in ("index.html", "report.md"):
        made = (tmp_path / "out" / name).read_bytes()
        assert made == (tmp_path / "plain" / name).read_bytes()
        assert b"eft out" not in made


def test_in_python_it_is_the_same(tmp_path: Path) -> None:
    store, file = damaged(tmp_path, "rows")
    with pytest.raises(PartError, match=r"rows\.parquet: damaged or missing"):
        report.load(store)
    loaded = report.load(store, skip_unreadable=True)
    assert loaded.left_out == (file.parent.name,)
    assert loaded.trials.height == 3
