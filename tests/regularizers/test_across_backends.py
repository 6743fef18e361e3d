"""Every case in float32 on the backend at work, against TensorFlow in float64."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from helpers import TESTS
from helpers.formulas import CASES, Case
from helpers.points import Points, points

pytestmark = [
    pytest.mark.jax,
    pytest.mark.torch,
    pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="is the oracle"),
]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Points:
    """Return what TensorFlow computes, in a process of its own."""
    file = tmp_path_factory.mktemp("points") / "points.npz"
    subprocess.run(
        [sys.executable, "-m", "helpers.points", file, "float64"],
        cwd=TESTS,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        check=True,
        capture_output=True,
    )
    with np.load(file) as held:
        return dict(held)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_points_are_those_of_tensorflow(case: Case, expected: Points) -> None:
    for name, found in points(case, "float32").items():
        wide = expected[f"{case}: {name}"]
        assert found.shape == wide.shape
        off = np.linalg.norm((np.float64(found) - wide).ravel())
        assert off <= 1e-6 * max(np.linalg.norm(wide.ravel()), 1e-3), (name, off)
