import subprocess
import sys
from pathlib import Path

import pytest

from helpers import report_store
from kregkit import report
from kregkit.errors import StoreError, VersionError
from kregkit.store import Store


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


MAKE = """
import sys
from pathlib import Path
from kregkit import report
report.make(Path(sys.argv[1]), Path(sys.argv[2]))
heavy = {"keras", "tensorflow", "matplotlib.pyplot"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""


def in_new_process(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_another_process_makes_the_same_bytes_without_keras(
    stores: Path, reports: Path, tmp_path: Path
) -> None:
    done = in_new_process(MAKE, stores / "three", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert everything(tmp_path / "out") == everything(reports / "three")


def test_the_test_for_keras_can_fail(stores: Path, tmp_path: Path) -> None:
    loads = "import types; sys.modules['keras'] = types.ModuleType('keras')\n"
    code = MAKE.replace("heavy =", f"{loads}heavy =")
    done = in_new_process(code, stores / "logged", tmp_path / "out")
    assert done.stderr == "loaded: ['keras']\n"


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, kregkit.report\n"
        "heavy = {'polars', 'matplotlib', 'scipy', 'jinja2', 'numpy'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = in_new_process(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_store_that_is_not_toml_is_refused_with_its_path(
    stores: Path, tmp_path: Path
) -> None:
    store = report_store.write_logged(tmp_path / "store")
    (store / "study.toml").write_text("name = ")
    with pytest.raises(StoreError, match=r"study\.toml: not TOML") as error:
        report.make(store, tmp_path / "out")
    assert str(error.value).startswith(f"{store}: ")
    assert not (tmp_path / "out").exists()


def test_mixed_versions_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    swept = report_store.cells([1e-4], ["kernel"], ["L1"])
    report_store.write_study(tmp_path / "store", swept, seeds=1)
    rows, final, tensors = report_store.train("ff", report_store.BASELINE, 7)
    Store(tmp_path / "store").write(rows, [final | {"backend": "jax"}], tensors)
    with pytest.raises(VersionError, match="backend is 'jax' and 'tensorflow'"):
        report.make(tmp_path / "store", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_store_is_never_overwritten_by_its_report(stores: Path) -> None:
    with pytest.raises(StoreError, match="not part of a kregkit report"):
        report.make(stores / "logged", stores / "logged")
    assert Store(stores / "logged").finished()
