"""`kregkit init` writes a study that runs as it is, and says what it guessed."""

import re
import tomllib

import numpy as np
import polars as pl
import pytest

import kregkit
from helpers.commands import run
from kregkit.study.run import planned
from kregkit.study.starter import write_starter

ROWS = 90


def columns(*names):
    """Return a table with these columns, the last of two classes."""
    random = np.random.default_rng(0)
    data = {name: random.normal(size=ROWS).round(3) for name in names[:-1]}
    return pl.DataFrame({**data, names[-1]: np.arange(ROWS) % 2})


def csv(separator, *names):
    return lambda file: columns(*names).write_csv(file, separator=separator)


def spaced(file):
    """Write names that are quoted after a blank, one of them on two lines."""
    first, *rows = columns("a", "b", "y").write_csv().splitlines()
    assert first == "a,b,y"
    file.write_text("\n".join(['"a\nof it", "b", "y"', *rows, ""]))


def arrays(file):
    np.savez(file, x=np.eye(ROWS)[:, :4], y=np.arange(ROWS) % 2)


BY_NAME = "predicted, by its name."
AS_LAST = "predicted, because it is the last."
FILES = {
    # the file, what writes it, its label and the reason
    "the last": ("d.csv", csv(",", "a", "b", "kind"), "kind", AS_LAST),
    "by name": ("d.csv", csv(",", "Target", "a", "b"), "Target", BY_NAME),
    "semicolons": ("d.csv", csv(";", "a", "b", "y"), "y", BY_NAME),
    "a quoted name": ("d.csv", csv(",", "a", 'say "é", \\x'), 'say "é", \\x', AS_LAST),
    "quoted after blanks": ("d.csv", spaced, "y", BY_NAME),
    "Parquet": (
        "d.parquet",
        lambda file: columns("a", "class").write_parquet(file),
        "class",
        BY_NAME,
    ),
    "arrays": ("d d.npz", arrays, None, ""),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_data_files_study_names_its_label_and_why(kind, tmp_path, monkeypatch):
    name, write, label, why = FILES[kind]
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    write(tmp_path / name)
    out = write_starter(tmp_path / name, tmp_path / "sub" / "s.toml")
    text = out.read_text()
    data = tomllib.loads(text)["data"]
    assert data.get("label") == label
    assert data["file"] == f"../{name}"
    assert re.findall("# A guess: this column is (.*) Name another", text) == (
        [why] if why else []
    )
    config, _, trials = planned(out)
    assert config.seeds >= 5
    assert len(trials) > 5


@pytest.mark.parametrize("arguments", [(), ("small.csv",)])
def test_plan_accepts_what_init_writes(arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    columns("a", "b", "label").head(50).write_csv("small.csv")
    assert run(monkeypatch, "init", *arguments, "-o", "s.toml") == 0
    assert capfd.readouterr().out == "Study: s.toml. Next: kregkit plan s.toml\n"
    assert run(monkeypatch, "plan", "s.toml") == 0
    out, err = capfd.readouterr()
    assert ": 255 trials, 5 seeds\n" in out
    assert err == ""


def gaps():
    table = columns("a", "b", "y").with_columns(
        words=pl.Series(["red", "green", "blue"] * 30)
    )
    return table.with_row_index().with_columns(
        pl.when(pl.col("index") % 7 > 0).then(pl.col("b", "words"))
    )


def people():
    found = columns("height", "y")
    rows = pl.int_range(ROWS)
    return found.with_columns(
        id=pl.Series(np.random.default_rng(1).permutation(ROWS) + 100),
        name=pl.format("person {}", rows),
        born=pl.format("19{}-01-02", rows + 10),
        town=pl.format("town {}", rows % 30),
    )


PEOPLE = ["id", "name", "born", "town"]
AS_PEOPLE_HAVE_IT = {
    # the table, what is left out, whether values are missing
    "gaps": (gaps, ["index"], True),
    "identifiers, dates and many words": (people, PEOPLE, False),
    "whole numbers that are repeated": (
        lambda: columns("a", "y").with_columns(n=pl.int_range(ROWS) % 30),
        None,
        False,
    ),
}


@pytest.mark.parametrize("kind", AS_PEOPLE_HAVE_IT)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_init_leaves_out_and_imputes_what_a_study_must(kind, suffix, tmp_path):
    make, left_out, missing = AS_PEOPLE_HAVE_IT[kind]
    file, out = tmp_path / f"d{suffix}", tmp_path / "s.toml"
    table = make()
    table.write_csv(file) if suffix == ".csv" else table.write_parquet(file)
    text = write_starter(file, out).read_text()
    data = tomllib.loads(text)["data"]
    drop, gaps = data.get("drop"), data.get("missing")
    assert (sorted(drop) if drop else None) == (sorted(left_out) if left_out else None)
    assert gaps == ("impute" if missing else None)
    assert planned(out)[2]


@pytest.mark.parametrize("blanks", [0, 5])
def test_init_imputes_missing_values_of_arrays(blanks, tmp_path):
    x = np.random.default_rng(0).normal(size=(ROWS, 3))
    x[:blanks, 1] = np.nan
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(ROWS) % 2)
    out = write_starter(tmp_path / "d.npz", tmp_path / "s.toml")
    data = tomllib.loads(out.read_text())["data"]
    assert data.get("missing") == ("impute" if blanks else None)
    assert planned(out)[2]


@pytest.mark.long
def test_what_init_writes_runs(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "init") == 0
    assert run(monkeypatch, "run", "iris.toml") == 0
    assert "Report: reports/iris/index.html" in capfd.readouterr().out


REFUSED = {
    "there already": (
        ("-o", "there.toml"),
        "there.toml: already exists; name another by --out.",
    ),
    "no folder": (
        ("-o", "no/s.toml"),
        "no/s.toml: cannot be written: No such file or directory.",
    ),
    "no data": (("none.csv",), "none.csv: no such file."),
    "a folder": (("folder.csv",), "folder.csv: is no file."),
    "another kind": (
        ("d.xlsx",),
        "d.xlsx: must be a file that ends in .csv, .npz, .parquet.",
    ),
    "no columns": (("empty.csv",), "empty.csv: is empty."),
    "not text": (("binary.csv",), "binary.csv: is UTF-16; save it as UTF-8."),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_init_cannot_write_is_refused(kind, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.toml").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    before = sorted(tmp_path.iterdir())
    arguments, message = REFUSED[kind]
    assert run(monkeypatch, "init", *arguments) == 2
    assert capfd.readouterr() == ("", f"error: {message}\n")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.toml").read_text() == "mine"


def test_version_is_the_packages(monkeypatch, capfd):
    assert run(monkeypatch, "--version") == 0
    assert capfd.readouterr().out == f"kregkit {kregkit.__version__}\n"
