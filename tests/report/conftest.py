import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import report_store
from kregkit import report
from kregkit.report.data.tables import Tables, tables
from kregkit.report.report import Report
from kregkit.store import Store


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stores: 3 seeds and a failed trial; 6 seeds and exact zeros; logged."""
    folder = tmp_path_factory.mktemp("stores")
    swept = report_store.cells((1e-5, 1e-4, 1e-3))
    report_store.write_study(folder / "three", swept, fails=[report_store.FAILED])
    swept = report_store.cells((1e-4, 1e-3), ("kernel", "bias"))
    report_store.write_study(folder / "six", swept, 6, report_store.HOSTILE, exact=True)
    report_store.write_logged(folder / "logged")
    return folder


@pytest.fixture(scope="session")
def reports(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    for store in sorted(stores.iterdir()):
        report.make(store, folder / store.name)
    return folder


@pytest.fixture(scope="session")
def read(stores: Path) -> Callable[[str], Tables]:
    found = {path.name: tables(Store(path).read()) for path in stores.iterdir()}
    return found.__getitem__


@pytest.fixture(scope="session")
def loaded(stores: Path) -> Callable[[str], Report]:
    """Return what loads a store of these, each once."""
    return functools.cache(lambda name: report.load(stores / name))
