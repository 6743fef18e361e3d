"""Units and inputs: zeroing one in the kernel silences exactly it in the output.

The oracle is the layer's own forward pass, not the shape of its kernel.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from helpers.lines import by_line, data, indices, randomised, zeroed
from kregkit.groups import activation_axes, weight_axes
from kregkit.measure import Axes, measure


@dataclass(frozen=True)
class Case:
    """A layer, the shape of one input, and its axes of inputs and of units."""

    layer: Any
    shape: tuple[int, ...]
    inputs: tuple[int, ...] = (-1,)
    units: tuple[int, ...] = (-1,)

    def __str__(self) -> str:
        return self.layer.name


CASES = [
    Case(layers.Dense(4, name="dense"), (3,)),
    Case(layers.Dense(4, name="dense_of_steps"), (5, 3)),
    Case(layers.Conv1D(4, 3, padding="same", name="conv1d"), (6, 3)),
    Case(layers.Conv2D(4, (3, 2), name="conv2d"), (5, 5, 3)),
    Case(layers.Conv3D(4, 2, name="conv3d"), (3, 4, 3, 2)),
    Case(layers.Conv1DTranspose(4, 3, name="conv1d_transpose"), (6, 3)),
    Case(layers.Conv2DTranspose(4, 3, strides=2, name="conv2d_transpose"), (4, 4, 3)),
    Case(layers.Conv3DTranspose(4, 2, name="conv3d_transpose"), (3, 3, 3, 2)),
    Case(layers.DepthwiseConv1D(3, depth_multiplier=2, name="depthwise1d"), (6, 3)),
    Case(layers.DepthwiseConv2D(2, depth_multiplier=3, name="depthwise2d"), (4, 4, 2)),
    Case(layers.EinsumDense("ab,bc->ac", 4, bias_axes="c", name="einsum"), (3,)),
    Case(layers.EinsumDense("...x,xy->...y", 4, name="einsum_dots"), (5, 3)),
    Case(
        layers.EinsumDense(
            "abc,cde->abde", (5, 2, 3), bias_axes="de", name="einsum_heads"
        ),
        (5, 4),
        units=(-2, -1),
    ),
    Case(
        layers.EinsumDense("abcd,cde->abe", (5, 4), bias_axes="e", name="einsum_join"),
        (5, 2, 3),
        inputs=(-2, -1),
    ),
    Case(
        layers.EinsumDense("abc,dc->abd", (5, 4), name="einsum_reversed"),
        (5, 3),
    ),
    Case(
        layers.EinsumDense("abc,bcd->abd", (5, 4), name="einsum_a_kernel_each_step"),
        (5, 3),
        inputs=(-2, -1),
        units=(-2, -1),
    ),
    Case(
        layers.EinsumDense("abc,bc->ab", (5,), name="einsum_a_row_each_step"),
        (5, 3),
        inputs=(-2, -1),
    ),
    Case(
        layers.EinsumDense("abc,cm->abcm", (5, 3, 2), name="einsum_depthwise"),
        (5, 3),
        units=(-2, -1),
    ),
    Case(
        layers.EinsumDense("abc,bd->adc", (4, 3), name="einsum_steps"),
        (5, 3),
        (1,),
        (1,),
    ),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@every_case
def test_a_unit_of_zeros_is_one_constant_output(case: Case) -> None:
    layer, x = randomised(case.layer, case.shape), data(case.shape)
    axes = weight_axes(layer, "kernel").unit
    kernel, before = layer.kernel.numpy(), by_line(layer(x), case.units)
    units = indices(kernel.shape, axes)
    assert len(units) == len(before)
    for line, unit in enumerate(units):
        layer.kernel.assign(zeroed(kernel, axes, unit))
        after = by_line(layer(x), case.units)
        constant = np.flatnonzero(np.ptp(after, axis=1) == 0)
        assert constant.tolist() == [line]
        others = np.arange(len(before)) != line
        np.testing.assert_allclose(after[others], before[others], 1e-4, 1e-5)
    layer.kernel.assign(kernel)


@every_case
def test_an_input_of_zeros_has_no_influence_and_the_others_have(case: Case) -> None:
    layer, x, other = (
        randomised(case.layer, case.shape),
        data(case.shape),
        data(case.shape, 2),
    )
    axes = weight_axes(layer, "kernel").input
    kernel = layer.kernel.numpy()
    inputs = indices(kernel.shape, axes)
    places = indices(x.shape, case.inputs)
    assert len(inputs) == len(places)
    for index, place in zip(inputs, places, strict=True):
        layer.kernel.assign(zeroed(kernel, axes, index))
        before = np.asarray(layer(x))
        for moved in places:
            at = [slice(None)] * x.ndim
            for axis, i in zip(case.inputs, moved, strict=True):
                at[axis] = i
            changed = x.copy()
            changed[tuple(at)] = other[tuple(at)]
            same = np.allclose(layer(changed), before, 1e-5, 1e-6)
            assert same == (moved == place)
    layer.kernel.assign(kernel)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv1D(4, 2, groups=2, name="grouped1d"), (6, 4)),
        (layers.Conv2D(4, 2, groups=2, name="grouped2d"), (4, 4, 4)),
    ],
)
def test_grouped_convolutions_have_units_but_no_input_axis(
    layer: Any, shape: tuple[int, ...]
) -> None:
    # The axis -2 numbers inputs within a group: one index is an input of each group.
    test_a_unit_of_zeros_is_one_constant_output(Case(layer, shape))
    assert weight_axes(layer, "kernel") == Axes(unit=(-1,))


class Unheard(layers.Layer):
    """A layer that `groups` has never heard of."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 2), name="kernel")


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (Unheard(), ["kernel"]),
        (layers.Dense(2), ["bias", "gamma"]),
        (layers.Conv2D(2, 1), ["bias"]),
        (layers.Conv2DTranspose(2, 1), ["bias"]),
        (layers.EinsumDense("ab,bc->ac", 2, bias_axes="c"), ["bias"]),
        (layers.LSTMCell(2), ["bias"]),
        (layers.SeparableConv2D(2, 1), ["bias"]),
        (layers.Embedding(2, 2), ["kernel"]),
        (layers.BatchNormalization(), ["gamma", "beta"]),
        (layers.LayerNormalization(), ["gamma", "beta"]),
        (layers.PReLU(), ["alpha"]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_is_not_known_has_no_axes(layer: Any, names: list[str]) -> None:
    for name in names:
        assert weight_axes(layer, name) == Axes()


@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[3], CASES[8]], ids=str)
def test_units_of_an_activation_are_its_last_axis(case: Case) -> None:
    layer, x = randomised(case.layer, case.shape), data(case.shape)
    kernel = layer.kernel.numpy()
    layer.bias.assign(np.zeros(layer.bias.shape))
    axes = weight_axes(layer, "kernel").unit
    units = indices(kernel.shape, axes)
    layer.kernel.assign(zeroed(kernel, axes, units[1]))
    active = layer(x)
    found = measure(active, "activation", activation_axes(layer, len(active.shape)))
    np.testing.assert_allclose(found["dead_unit_fraction"], 1 / len(units), 1e-6)
    layer.kernel.assign(kernel)


def test_units_of_channels_first_and_of_scalars() -> None:
    first = layers.Conv2D(2, 1, data_format="channels_first")
    assert activation_axes(first, 4) == Axes(unit=(1,))
    assert activation_axes(first, 2) == Axes(unit=(-1,))
    assert activation_axes(layers.Conv2D(2, 1), 4) == Axes(unit=(-1,))
    assert activation_axes(layers.Dense(2), 1) == Axes()
    assert activation_axes(keras.Sequential(), 3) == Axes(unit=(-1,))
