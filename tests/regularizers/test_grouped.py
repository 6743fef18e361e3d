"""Group penalties: what a group is, and the step of one whose amounts differ."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from helpers.coupled import members
from kregkit import groups, regularizers
from kregkit.errors import ParameterError
from kregkit.groups import group_axes, weight_axes
from kregkit.regularizers import (
    GroupLasso,
    GroupLInf,
    GroupMCP,
    GroupSCAD,
    Penalty,
    SparseGroupLasso,
)
from kregkit.specs import SPECS

pytestmark = pytest.mark.torch

PLAIN = {
    "dense": (layers.Dense(4), (3,), "kernel"),
    "conv1d": (layers.Conv1D(4, 2), (5, 3), "kernel"),
    "conv2d": (layers.Conv2D(4, 2), (5, 5, 3), "kernel"),
    "conv3d": (layers.Conv3D(4, 2), (3, 3, 3, 2), "kernel"),
    "embedding": (layers.Embedding(5, 4), (3,), "embeddings"),
}
OTHERS = {
    "transposed": (layers.Conv2DTranspose(4, 3), (4, 4, 3), "kernel"),
    "depthwise": (layers.DepthwiseConv2D(2, depth_multiplier=3), (4, 4, 2), "kernel"),
    "einsum": (layers.EinsumDense("abc,cde->abde", (5, 2, 3)), (5, 4), "kernel"),
}


def weight_of(layer: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return random values for the weight `name` of the layer, which is built."""
    layer(keras.Input(shape))
    found = getattr(layer, name).shape
    return np.random.default_rng(0).normal(size=found).astype("float32")


def bisected(w: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Return the proximal point of `‖u‖₂`, from the root for its norm, in float64."""
    w, amount = np.float64(w), np.float64(amount)
    with np.errstate(divide="ignore", invalid="ignore"):
        if np.nansum((w / amount) ** 2) <= 1:
            return np.zeros(w.shape)
    low, high = 0.0, np.sqrt((w**2).sum())
    for _ in range(200):
        middle = (low + high) / 2
        above = ((w / (middle + amount)) ** 2).sum() > 1
        low, high = (middle, high) if above else (low, middle)
    return w * (high / (high + amount))


def test_the_words_are_those_of_the_schema() -> None:
    choice = SPECS["GroupLasso"].parameters["group"]
    assert choice.words == tuple(sorted({*groups.WORDS, groups.HEAD}))
    assert choice.default == GroupLasso(0.1).group == "unit"


@pytest.mark.parametrize("name", PLAIN)
def test_the_words_are_the_axes_of_plain_layers(name: str) -> None:
    layer, shape, weight = PLAIN[name]
    rank = weight_of(layer, shape, weight).ndim
    axes = weight_axes(layer, weight)
    assert group_axes("unit", rank) == tuple(axis % rank for axis in axes.unit)
    assert group_axes("input", rank) == tuple(axis % rank for axis in axes.input)
    if "conv" in name:
        assert group_axes("filter", rank) == group_axes("unit", rank)


@pytest.mark.parametrize("name", OTHERS)
def test_axes_of_any_layer_set_whole_units_and_inputs_to_zero(name: str) -> None:
    layer, shape, weight = OTHERS[name]
    w = weight_of(layer, shape, weight)
    for axes in (weight_axes(layer, weight).unit, weight_axes(layer, weight).input):
        kept = group_axes(axes, w.ndim)
        rest = tuple(axis for axis in range(w.ndim) if axis not in kept)
        norms = np.sqrt(np.square(w).sum(axis=rest, keepdims=True))
        root = np.sqrt(np.prod([w.shape[axis] for axis in rest]))
        penalty = GroupLasso(0.1, axes)
        np.testing.assert_allclose(penalty.value(w), root * norms.sum(), 1e-5)
        amount = np.median(norms) / root
        shrunk = np.maximum(1 - root * amount / norms, 0) * w
        np.testing.assert_allclose(penalty.prox(w, amount), shrunk, 1e-4, 1e-6)
        assert 0 < np.mean(shrunk == 0) < 1


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 40),
    decades=st.sampled_from([0.0, 1.0, 4.0, 10.0]),
    scale=st.sampled_from([1e-25, 1e-3, 1.0, 1e25]),
)
def test_the_step_of_a_group_is_the_root_for_its_norm(
    seed: int, size: int, decades: float, scale: float
) -> None:
    random = np.random.default_rng(seed)
    w = random.normal(size=size) * 10 ** random.uniform(-decades, 0, size)
    amount = np.abs(w) if random.random() < 0.5 else np.ones(size)
    amount = amount * 10 ** random.uniform(-decades - 1, 1, size)
    for fixed in (np.zeros(size, bool), random.random(size) < 0.3):
        amount[fixed] = 0.0
        given_w, given_amount = np.float32(scale * w), np.float32(scale * amount)
        expected = bisected(given_w, given_amount * np.sqrt(size))
        largest = np.abs(given_w).max()
        found = GroupLasso(group=()).prox(given_w, given_amount)
        np.testing.assert_allclose(found, expected, 1e-5, 5e-7 * largest)
        wide = np.float64(given_w), np.float64(given_amount)
        found = GroupLasso(group=()).prox(*wide)
        np.testing.assert_allclose(found, expected, 1e-6, 1e-8 * largest)


@pytest.mark.parametrize("decades", [3, 8, 30])
def test_amounts_as_wide_as_their_weights_are_solved_too(decades: int) -> None:
    for size in (3, 5, 10, 30):
        for share in (1.05, 1.3, 1.7):
            w = np.float32(10.0 ** -np.linspace(0, decades, size))
            amount = np.float32(share * w / np.sqrt(size))
            expected = bisected(w, amount * np.sqrt(size))
            assert np.any(expected)
            found = GroupLasso(group=()).prox(w, amount)
            np.testing.assert_allclose(found, expected, 1e-4, 5e-7)


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit", [False, True])
def test_ordinary_groups_zero_ones_and_hard_ones_are_solved_together(jit: bool) -> None:
    random = np.random.default_rng(0)
    w = np.float32(random.normal(size=(6, 30)))
    amount = np.float32(1e-3 * random.exponential(size=(6, 30)))
    w[1], amount[1] = 0.0, 0.0
    amount[2], amount[3] = 2.0 * np.abs(w[2:4])
    amount[3] *= random.uniform(0.35, 0.6, 30)
    w[4:] *= np.float32([[1e-33], [1e30]])
    amount[4:] = np.float32([[0.0], [1e30]]) * np.abs(amount[4:])
    prox = tf.function(GroupLasso(group="input").prox, jit_compile=jit)
    # Every number of rows is traced, and by XLA compiled, anew.
    for rows in (slice(0, 1), *([] if jit else [slice(0, 2), slice(0, 3)]), slice(6)):
        found = prox(w[rows], amount[rows])
        for own, start, step in zip(found, w[rows], amount[rows], strict=True):
            expected = bisected(start, step * np.sqrt(30))
            largest = np.abs(start).max()
            np.testing.assert_allclose(own, expected, 0, 2e-7 * largest)


@given(seed=st.integers(0, 10**6), size=st.integers(1, 40))
def test_a_group_is_zero_exactly_where_no_norm_is_its_own(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    w, amount = random.normal(size=size), random.exponential(size=size) + 1e-3
    amount *= np.sqrt(np.sum((w / amount) ** 2) / size)
    for beside, zero in ((1 - 1e-9, False), (1 + 1e-9, True)):
        found = np.asarray(GroupLasso(group=()).prox(w, beside * amount))
        assert np.all(found == 0) if zero else np.any(found != 0)
    amount[0] = 0.0
    found = np.asarray(GroupLasso(group=()).prox(w, 1e6 * amount))
    assert found[0] == w[0]
    if size > 1:
        assert np.all(np.abs(found[1:]) < np.abs(w[1:]))


def test_equal_amounts_are_the_closed_form_in_float32() -> None:
    w = np.random.default_rng(0).normal(size=(50, 40)).astype("float32")
    norms = np.sqrt(np.square(np.float64(w)).sum(axis=0))
    amount = 0.99 * norms.mean() / np.sqrt(50)
    expected = np.maximum(1 - np.sqrt(50) * amount / norms, 0) * w
    for each in (amount, np.full(w.shape, amount, "float32")):
        found = GroupLasso(0.1).prox(w, each)
        np.testing.assert_allclose(found, expected, 1e-4, 5e-7)
        assert np.array_equal(np.asarray(found) == 0, expected == 0)


@pytest.mark.parametrize("group", ["unit", "input", (0, -1)])
def test_a_group_does_not_depend_on_the_others(group: Any) -> None:
    random = np.random.default_rng(0)
    w, amount = random.normal(size=(3, 4, 5)), random.exponential(size=(3, 4, 5))
    found = np.asarray(GroupLasso(0.1, group).prox(w, amount))
    parts = [members(each, group) for each in (found, w, amount)]
    for own, start, step in zip(*parts, strict=True):
        expected = bisected(start, step * np.sqrt(start.size))
        np.testing.assert_allclose(own, expected, 1e-8, 1e-10)


@pytest.mark.parametrize("penalty", [GroupLasso(0.1, "input"), GroupLasso(0.1, (1,))])
def test_a_tensor_without_the_axis_is_refused(penalty: GroupLasso) -> None:
    for call in (penalty, penalty.value, lambda w: penalty.prox(w, 0.1)):
        with pytest.raises(ParameterError) as caught:
            call(np.ones(5))
        assert str(caught.value) == (
            "GroupLasso: `w` must be a tensor of 2 axes or more, for group "
            f"{penalty.group!r}; received (5,)."
        )
    with pytest.raises(ParameterError) as caught:
        SparseGroupLasso(0.1, 0.1, "filter").value(np.ones((2, 3)))
    assert str(caught.value) == (
        "SparseGroupLasso: `w` must be a tensor of 3 axes or more, for group 'filter'; "
        "received (2, 3)."
    )


@pytest.mark.parametrize(
    "given",
    ["units", "", "4x", "0x2", "2x-1", "1x2x3", 1, None, (0.5,), (True,), ("unit",)],
)
def test_what_is_no_group_is_refused(given: object) -> None:
    for make, owner in (
        (lambda: GroupLasso(0.1, given), "GroupLasso"),
        (lambda: SparseGroupLasso(0.1, 0.1, given), "SparseGroupLasso"),
    ):
        with pytest.raises(ParameterError) as caught:
            make()
        assert str(caught.value) == (
            f"{owner}: `group` must be 'column', 'filter', 'head', 'input', 'row', "
            f"'unit', a block such as '4x4' or a tuple of axes; received {given!r}."
        )


@pytest.mark.parametrize("given", ["sqr", "", 1, None, True, ["sqrt"]])
@pytest.mark.parametrize(
    "cls", [GroupLasso, SparseGroupLasso, GroupLInf, GroupMCP, GroupSCAD]
)
def test_what_is_no_weighting_is_refused(cls: type[Penalty], given: object) -> None:
    with pytest.raises(ParameterError) as caught:
        regularizers.make(cls.__name__, 0.1, weighting=given)
    assert str(caught.value) == (
        f"{cls.__name__}: `weighting` must be 'none', 'sqrt'; received {given!r}."
    )
    default = "none" if cls is GroupLInf else "sqrt"
    assert regularizers.make(cls.__name__, 0.1).weighting == default


def test_axes_are_kept_as_a_tuple_and_saved_as_a_list() -> None:
    penalty = GroupLasso(0.1, [np.int64(0), -1])
    assert penalty.group == (0, -1)
    assert hash(penalty.group) == hash((0, -1))
    assert penalty.get_config()["group"] == [0, -1]
    assert GroupLasso.from_config(penalty.get_config()).group == (0, -1)


def test_a_sparse_group_lasso_of_nothing_is_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        SparseGroupLasso()
    assert str(caught.value) == (
        "SparseGroupLasso: `l1` or `l21` must be positive; received l1=0.0, l21=0.0, a "
        "penalty that is always zero."
    )
