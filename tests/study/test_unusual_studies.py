"""Studies with unusual data, models and sweeps: their reports are complete."""

import re
from pathlib import Path

import pytest

from helpers.small_study import trained, written
from kregkit import report
from kregkit.report.page.markdown import render
from kregkit.report.sections.evidence import NOT_TESTED

HEAD = (
    'name = "unusual"\nseeds = {seeds}\n[train]\nepochs = 1\n[data]\nname = "{data}"\n'
)
MLP = '[model]\nname = "mlp"\nhidden = [4]\n'
SWEEP = '[[sweep]]\nregularizer = ["L1", "L2"]\ntarget = {}\nstrength = {}\n'
ALL = '["kernel", "bias", "activity"]'
PROXIMAL = SWEEP.format('["kernel", "bias"]', "[1e-3]") + 'solver = "proximal"\n'
UNBIASED = """\
import keras

def build(shape, outputs):
    return keras.Sequential([
        keras.Input(shape),
        keras.layers.Dense(4, activation="relu", use_bias=False),
        keras.layers.Dense(outputs, use_bias=False),
    ])
"""
ONE_UNIT = UNBIASED.replace("Dense(4", "Dense(1").replace(
    '"relu", use_bias=False', '"relu"'
)


def head(data: str = "iris", seeds: int = 5) -> str:
    return HEAD.format(data=data, seeds=seeds)


LINEAR = '[model]\nname = "linear"\n'
OWN = '[model]\nbuild = "unusual_{}:build"\n'
STUDIES = {
    "one layer, a bias of one element": head("diabetes")
    + LINEAR
    + SWEEP.format('["kernel", "bias"]', "[1e-3, 1e-1]"),
    "no bias": head() + OWN.format("unbiased") + SWEEP.format('"kernel"', "[1e-3]"),
    "a layer of one unit": head() + OWN.format("one") + SWEEP.format(ALL, "[1e-3]"),
    "two classes": head("breast_cancer") + MLP + SWEEP.format(ALL, "[1e-3]"),
    "images": head("digits")
    + '[model]\nname = "cnn"\nfilters = [2]\nhidden = []\n'
    + SWEEP.format(ALL, "[1e-3]"),
    "a reconstruction": head()
    + '[model]\nname = "autoencoder"\nhidden = [3]\n'
    + SWEEP.format(ALL, "[1e-3]"),
    "the bias alone": head() + MLP + SWEEP.format('"bias"', "[1e-3]"),
    "the activity alone": head() + MLP + SWEEP.format('"activity"', "[1e-3]"),
    "both solvers": head("wine") + MLP + SWEEP.format(ALL, "[1e-3]") + PROXIMAL,
    "the proximal solver alone": head("wine") + MLP + PROXIMAL,
    "three seeds": head(seeds=3) + MLP + SWEEP.format(ALL, "[1e-3]"),
    "one seed": head(seeds=1) + MLP + SWEEP.format(ALL, "[1e-3]"),
    "never collapses": head() + MLP + SWEEP.format(ALL, "[1e-12, 1e-11]"),
    "always collapses": head() + MLP + SWEEP.format(ALL, "[1e3, 1e4]"),
    "every trial fails": head() + MLP + SWEEP.format('"kernel"', "[1e30]"),
}

WITHOUT_TEST = ("the activity alone", "three seeds", "one seed", "every trial fails")


@pytest.mark.long
@pytest.mark.parametrize("name", STUDIES)
def test_it_is_reported_and_every_claim_has_its_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unusual_unbiased.py").write_text(UNBIASED)
    (tmp_path / "unusual_one.py").write_text(ONE_UNIT)
    trained(written(tmp_path, STUDIES[name]), tmp_path / "out")
    found = report.load(tmp_path / "out" / "store")
    sections = {section.anchor: section for section in found.page.sections}
    (claims,) = sections["verdicts"].tables
    numbers = [row[0].value for row in claims.rows]
    assert [n for n in numbers if "." not in n] == [str(n) for n in range(1, 10)]
    assert numbers == sorted(numbers, key=float)
    in_parts = {n.split(".")[0] for n in numbers if "." in n}
    for row in claims.rows:
        assert row[2].value
        assert bool(row[3].value) != (row[0].value in in_parts)
    tested = {row[2].value for row in claims.rows if row[0].value not in ("3", "7")}
    assert (tested == {NOT_TESTED}) == (name in WITHOUT_TEST)
    text = render(found.page).decode()
    assert not re.search(r"\b(nan|inf|None|null)\b", text)
    assert all(figure.svg for figure in found.figures.values())
