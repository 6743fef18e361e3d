"""Rows, columns and blocks of a kernel as a matrix, against groups by axes."""

import numpy as np
import pytest

from helpers.gradients import gradient, numpy
from kregkit import regularizers
from kregkit.errors import ParameterError
from kregkit.known import GROUP
from kregkit.regularizers import GroupLasso
from kregkit.specs import SPECS

pytestmark = pytest.mark.torch

NAMES = [n for n, own in SPECS.items() if own.parameters.get("group") is GROUP]
SAME = {
    "row": ((6, 5), lambda w: w, (0,)),
    "column": ((6, 5), lambda w: w, (1,)),
    "row of a window": ((3, 2, 4, 5), lambda w: w.reshape(24, 5), (0,)),
    "column of a window": ((3, 2, 4, 5), lambda w: w.reshape(24, 5), (1,)),
    "2x3": ((4, 6), lambda w: w.reshape(2, 2, 2, 3), (0, 2)),
    "4x1": ((3, 2, 2, 5), lambda w: w.reshape(3, 4, 5, 1), (0, 2)),
    "1x1": ((2, 3), lambda w: w.reshape(2, 1, 3, 1), (0, 2)),
    "10x4": ((10, 4), lambda w: w.reshape(1, 10, 1, 4), (0, 2)),
}
"""A group, the shape of a kernel, and it as a tensor with these axes for the group."""


def test_every_penalty_of_groups_is_here() -> None:
    grouped = {c.__name__ for c in regularizers.classes() if hasattr(c, "group")}
    assert set(NAMES) == grouped
    assert len(NAMES) == 7


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("group", SAME)
def test_a_group_of_the_matrix_is_one_by_axes(group: str, name: str) -> None:
    shape, viewed, axes = SAME[group]
    random = np.random.default_rng(0)
    w, each = random.normal(size=shape), random.exponential(0.3, shape)
    own = regularizers.make(name, 0.3, group=group.split()[0])
    other = type(own).from_config(own.get_config() | {"group": list(axes)})
    np.testing.assert_allclose(own.value(w), other.value(viewed(w)), 1e-13)
    slope = gradient(other, viewed(w)).reshape(shape)
    np.testing.assert_allclose(gradient(own, w), slope, 1e-12, 1e-14)
    if not own.proximal:
        return
    for amount in (0.4,) if own.scalar_step_only else (0.4, each):
        seen = viewed(amount) if amount is each else amount
        expected = numpy(other.prox(viewed(w), seen)).reshape(shape)
        np.testing.assert_allclose(numpy(own.prox(w, amount)), expected, 1e-12, 1e-14)


def test_blocks_that_do_not_divide_are_refused_with_the_matrix() -> None:
    for shape in ((6, 6), (3, 2, 1, 6)):
        for call in (GroupLasso(0.1, "4x2"), GroupLasso(0.1, "3x4").value):
            with pytest.raises(ParameterError) as caught:
                call(np.ones(shape))
            assert "`w` must be divisible into " in str(caught.value)
            assert str(caught.value).endswith("blocks, as a matrix; received (6, 6).")
    with pytest.raises(ParameterError, match="of 2 axes or more, for group '4x4'"):
        GroupLasso(0.1, "4x4").value(np.ones(4))


def test_whole_blocks_become_zero() -> None:
    w = np.random.default_rng(0).normal(size=(8, 8))
    w[:4, 4:] *= 0.1
    found = numpy(GroupLasso(group="4x4").prox(w, 0.2))
    assert np.all(found[:4, 4:] == 0)
    assert np.count_nonzero(found) == 48
