"""Values and proximal steps against those of skglm."""

import numpy as np
import pytest
from skglm import penalties as skglm

from kregkit.regularizers import (
    L1,
    L1L2,
    L2,
    MCP,
    SCAD,
    GroupLasso,
    LHalf,
    LogSum,
    LTwoThirds,
    SparseGroupLasso,
)

STRENGTH, ROWS, SIZE = 0.3, 40, 3
PARTITION = (np.arange(0, ROWS * SIZE + 1, SIZE), np.arange(ROWS * SIZE))
"""Where each group begins, and its members: the rows of a kernel."""

ELEMENTWISE = {
    "L1": (L1(STRENGTH), skglm.L1(STRENGTH)),
    "L1L2": (L1L2(0.2, 0.05), skglm.L1_plus_L2(0.3, 0.2 / 0.3)),
    "MCP": (MCP(STRENGTH, 3 * STRENGTH), skglm.MCPenalty(STRENGTH, 3.0)),
    "SCAD": (SCAD(STRENGTH, 3.7 * STRENGTH), skglm.SCAD(STRENGTH, 3.7)),
    "LHalf": (LHalf(STRENGTH), skglm.L0_5(STRENGTH)),
    "LTwoThirds": (LTwoThirds(STRENGTH), skglm.L2_3(STRENGTH)),
    "LogSum": (LogSum(STRENGTH, 0.4), skglm.LogSumPenalty(STRENGTH, 0.4)),
    "LogSum, jumping": (LogSum(STRENGTH, 0.1), skglm.LogSumPenalty(STRENGTH, 0.1)),
}
GROUPED = {
    "GroupLasso": (
        GroupLasso(STRENGTH, "input"),
        skglm.WeightedGroupL2(STRENGTH, np.full(ROWS, np.sqrt(SIZE)), *PARTITION),
    ),
    "GroupLasso, without weights": (
        GroupLasso(STRENGTH, "input", weighting="none"),
        skglm.WeightedGroupL2(STRENGTH, np.ones(ROWS), *PARTITION),
    ),
    "SparseGroupLasso": (
        SparseGroupLasso(l1=0.25 * STRENGTH, l21=0.75 * STRENGTH, group="input"),
        skglm.WeightedL1GroupL2(
            STRENGTH,
            np.full(ROWS, 0.75 * np.sqrt(SIZE)),
            np.full(ROWS * SIZE, 0.25),
            *PARTITION,
        ),
    ),
}


def kernel(scale=1.0):
    w = np.random.default_rng(0).normal(scale=scale, size=(ROWS, SIZE))
    return w * (np.abs(w) > 0.05)


@pytest.mark.parametrize("name", ELEMENTWISE | GROUPED)
def test_value(name):
    own, peer = (ELEMENTWISE | GROUPED)[name]
    w = kernel()
    np.testing.assert_allclose(own(w), peer.value(w.ravel()), 1e-13)


def test_value_of_l2_is_twice_that_of_a_half():
    w = kernel()
    np.testing.assert_allclose(L2(STRENGTH)(w), 2 * skglm.L2(STRENGTH).value(w), 1e-13)


@pytest.mark.parametrize("step", [1e-3, 0.1, 0.7, 2.5])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_prox_of_weights(name, step):
    own, peer = ELEMENTWISE[name]
    w = kernel().ravel()
    found = np.asarray(own.prox(w, step * own.strength))
    expected = np.array([peer.prox_1d(one, step, 0) for one in w])
    # skglm's form by cosh of an arcosh loses digits: u there solves the equation of
    # stationarity to 3e-9, ours to 1e-15 (`test_concave`).
    same = np.isclose(found, expected, 1e-8 if name == "LTwoThirds" else 1e-10, 1e-14)
    # skglm 0.5 has zeros that are no minimum where that of LogSum jumps.
    assert same.all() or (name.startswith("LogSum") and step == 2.5)
    for at, *ends in zip(w[~same], found[~same], expected[~same], strict=True):
        reached = [(u - at) ** 2 / 2 / step + peer.value(np.array([u])) for u in ends]
        assert reached[0] < reached[1] - 1e-6
    if step > 0.1:
        assert np.sum(found == 0) > np.sum(w == 0)


@pytest.mark.parametrize("step", [1e-3, 0.1, 0.7, 2.5])
@pytest.mark.parametrize("name", GROUPED)
def test_prox_of_groups(name, step):
    own, peer = GROUPED[name]
    w = kernel()
    found = own.prox(w, step * own.strength)
    expected = [peer.prox_1group(row, step, index) for index, row in enumerate(w)]
    np.testing.assert_allclose(found, expected, 1e-10, 1e-14)
    if step > 1:
        assert np.any(np.all(np.equal(expected, 0), axis=1))
