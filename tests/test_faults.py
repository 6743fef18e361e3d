"""The seeded faults of `faults.toml` are where they say, and so are their tests.

`make test-faults` sows them. Nothing is run here: where a line of the package changes,
its fault must change with it, or it would be sown nowhere.
"""

import ast
import tomllib

import pytest

from helpers import ROOT, TESTS

FAULTS = tomllib.loads((TESTS / "faults.toml").read_text("utf-8"))["fault"]
KEYS = {"file", "text", "put", "why", "test"}
ROOMS = [
    *("_keras", "regularizers", "optimizers", "callbacks", "watch", "kkt"),
    *("measure.py", "groups.py", "weights.py", "store.py", "cli.py"),
    *("study/file", "study/data", "study/plan.py", "study/problem", "study/probes"),
    *("study/engines/fit", "study/engines/batch"),
    *("report/data", "report/analysis", "report/sections", "report/figures"),
    "report/page",
]
each = pytest.mark.parametrize("fault", FAULTS, ids=lambda own: own["why"][:40])


@each
def test_a_fault_changes_one_place_to_other_python(fault):
    assert KEYS <= set(fault) <= KEYS | {"short"}
    source = (ROOT / fault["file"]).read_text("utf-8")
    assert source.count(fault["text"]) == 1
    sown = source.replace(fault["text"], fault["put"])
    assert ast.dump(ast.parse(sown)) != ast.dump(ast.parse(source))


@each
def test_the_test_of_a_fault_exists(fault):
    file, name = fault["test"].split("[")[0].split("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_of_the_package_has_a_fault(room):
    assert (ROOT / "kregkit" / room).exists()
    assert any(fault["file"].startswith(f"kregkit/{room}") for fault in FAULTS)
