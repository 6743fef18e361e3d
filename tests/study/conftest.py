"""One small study, trained once by each engine for every test of this folder."""

import pytest

from helpers.small_study import trained, written


def _trained_by(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp(engine)
    file = written(folder)
    assert trained(file, folder, engine=engine) == (10, 0)
    return file, folder


@pytest.fixture(scope="session")
def batched(tmp_path_factory):
    """Return the study file, and the folder that holds its store, made as a batch."""
    return _trained_by("batch", tmp_path_factory)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """Return the study file, and the folder that holds its store, made by fit."""
    return _trained_by("fit", tmp_path_factory)


@pytest.fixture(params=["batch", "fit"])
def engine(request):
    """Return the name of an engine."""
    return request.param


@pytest.fixture
def small(engine, request):
    """Return the study file, and the folder that holds its store, of an engine."""
    return request.getfixturevalue("batched" if engine == "batch" else "fitted")
