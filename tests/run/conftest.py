"""One small study, trained once for every test of this folder."""

import pytest
from small_study import trained, written


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Return the study file, and the folder that holds its finished store."""
    folder = tmp_path_factory.mktemp("small")
    file = written(folder)
    assert trained(file, folder) == [False] * 10
    return file, folder
