"""A report in Python: the same content as the files, loaded as far as it is used."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from helpers import report_store
from helpers.parsed import Parsed
from kregkit import report
from kregkit.report.page import canvas
from kregkit.report.page.svg import without_letters
from kregkit.report.report import Report

Loaded = Callable[[str], Report]

COLORS = {
    "ink": canvas.INK,
    "card": canvas.PAPER,
    "axis": canvas.AXIS,
    "grid": canvas.GRID,
    "l1": canvas.L1,
    "l2": canvas.L2,
}
FRAMES = ("cells", "operating", "trajectories", "trials", "values")


@pytest.mark.parametrize("store", ["three", "six", "logged"])
@pytest.mark.parametrize("name", FRAMES)
def test_frames_hold_what_the_csv_files_hold(
    store: str, name: str, loaded: Loaded, reports: Path
) -> None:
    frame: pl.DataFrame = getattr(loaded(store), name)
    file = reports / store / f"tables/{name}.csv"
    assert file.exists() == (frame.height > 0)
    if frame.height:
        assert pl.read_csv(file, schema=frame.schema).equals(frame)
    else:
        assert (store, name) == ("logged", "operating")
        assert "strength" in frame.columns


def test_counts_are_integers_in_frames_and_files(stores: Path, reports: Path) -> None:
    loaded = report.load(stores / "six")
    for name, columns in (
        ("trajectories", ["moment"]),
        ("trials", ["seed", "failed_epoch"]),
        ("cells", ["n", "failed", "pairs", "agree"]),
    ):
        text = pl.read_csv(reports / f"six/tables/{name}.csv", infer_schema=False)
        for column in columns:
            assert getattr(loaded, name).schema[column] == pl.Int64
            assert text[column].drop_nulls().str.contains(r"^\d+$").all()


@pytest.mark.parametrize("name", FRAMES)
def test_columns_are_those_that_the_docstring_names(name: str, loaded: Loaded) -> None:
    text = str(loaded("six").__doc__)
    columns = getattr(loaded("six"), name).columns
    assert [column for column in columns if column not in text] == []


def test_figures_are_those_of_the_report(stores: Path, reports: Path) -> None:
    figures = report.load(stores / "three").figures
    files = {path.stem for path in (reports / "three/figures").glob("*.svg")}
    assert set(figures) == files
    text = (reports / "three/index.html").read_text()
    first = next(iter(figures.values()))
    themed = re.sub(r": var\(--(\w+)\)", lambda m: f": {COLORS.get(m[1])}", text)
    assert without_letters(first.svg).replace("<svg ", "", 1) in themed
    assert first._repr_svg_() == first.svg
    assert first.caption in text
    assert first.alt
    drawn = first.plot()
    assert isinstance(drawn, Figure)
    assert drawn.axes[0].get_title("left") == "Penalty on the kernel W"


def test_a_notebook_shows_what_was_seen_and_text_is_escaped(stores: Path) -> None:
    loaded = report.load(str(stores / "six"))
    assert loaded.title == report_store.HOSTILE
    html = loaded._repr_html_()
    assert html == loaded.html()
    parsed = Parsed(html)
    assert report_store.HOSTILE in parsed.text
    assert {tag for tag, _ in parsed.elements} <= {"div", "h3", "p", "ul", "li", "b"}
    assert "54 trials" in parsed.text
    assert "Without a regularizer" in parsed.text
    assert all(text in parsed.text for text in loaded.answer)
    assert "54 trials; see .answer" in repr(loaded)
    assert len(html) < 10_000


LOAD = """
import sys
from kregkit.report import load
loaded = load(sys.argv[1])
loaded.trials, loaded.cells, loaded.values, loaded.trajectories, loaded.operating
repr(loaded)
sys.exit(repr({"matplotlib", "keras", "jinja2"} & set(sys.modules)))
"""


@pytest.mark.parametrize("more", ["", "loaded.figures\n"])
def test_loading_imports_matplotlib_for_figures_alone(stores: Path, more: str) -> None:
    code = LOAD.replace("sys.exit", f"{more}sys.exit")
    command = [sys.executable, "-c", code, str(stores / "logged")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("matplotlib" in done.stderr) == bool(more)
    assert "keras" not in done.stderr
    assert more or done.stderr == "set()\n"


def test_a_report_is_a_value(stores: Path) -> None:
    loaded = report.load(stores / "logged")
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.left_out = ("x",)  # type: ignore[misc]
