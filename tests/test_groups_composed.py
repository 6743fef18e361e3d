"""Units and inputs of layers that are made of several kernels.

The oracle is the layer's own forward pass, not the shape of its kernel.
"""

from typing import Any

import numpy as np
import pytest
from keras import layers

from helpers.lines import by_line, data, indices, randomised, zeroed
from kregkit.groups import weight_axes
from kregkit.measure import Axes


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.SeparableConv1D(4, 3, depth_multiplier=2), (6, 3)),
        (layers.SeparableConv2D(4, 2, depth_multiplier=2), (4, 4, 3)),
    ],
)
def test_separable_kernels_meet_in_the_middle(
    layer: Any, shape: tuple[int, ...]
) -> None:
    randomised(layer, shape)
    x = data(shape)
    depth, point = (
        weight_axes(layer, "depthwise_kernel"),
        weight_axes(layer, "pointwise_kernel"),
    )
    depthwise, pointwise = layer.depthwise_kernel, layer.pointwise_kernel
    at_depth, at_point = depthwise.numpy(), pointwise.numpy()
    before = np.asarray(layer(x))
    for unit in range(4):  # a pointwise unit is an output channel
        pointwise.assign(zeroed(at_point, point.unit, (unit,)))
        constant = np.flatnonzero(np.ptp(by_line(layer(x), (-1,)), axis=1) == 0)
        assert constant.tolist() == [unit]
    pointwise.assign(at_point)
    for (i,) in indices(at_depth.shape, depth.input):  # a depthwise input is a channel
        depthwise.assign(zeroed(at_depth, depth.input, (i,)))
        silent = x.copy()
        silent[..., i] = 0.0
        after = np.asarray(layer(x))
        np.testing.assert_allclose(after, layer(silent), 1e-4, 1e-5)
        depthwise.assign(at_depth)
        np.testing.assert_allclose(after, layer(silent), 1e-4, 1e-5)
    between = indices(at_depth.shape, depth.unit)
    assert len(between) == 6 == len(indices(at_point.shape, point.input))
    for unit, (row,) in zip(between, indices(at_point.shape, point.input), strict=True):
        depthwise.assign(zeroed(at_depth, depth.unit, unit))
        by_depth = np.asarray(layer(x))
        depthwise.assign(at_depth)
        pointwise.assign(zeroed(at_point, point.input, (row,)))
        np.testing.assert_allclose(layer(x), by_depth, 1e-4, 1e-5)
        assert not np.allclose(by_depth, before)
        pointwise.assign(at_point)


def test_an_embedding_has_a_row_for_each_input_and_a_column_for_each_unit() -> None:
    layer = randomised(layers.Embedding(5, 3), ())
    axes, table = weight_axes(layer, "embeddings"), layer.embeddings.numpy()
    every = np.arange(5)
    for (unit,) in indices(table.shape, axes.unit):
        layer.embeddings.assign(zeroed(table, axes.unit, (unit,)))
        silent = np.flatnonzero(~np.asarray(layer(every)).any(axis=0))
        assert silent.tolist() == [unit]
    for (i,) in indices(table.shape, axes.input):
        layer.embeddings.assign(zeroed(table, axes.input, (i,)))
        silent = np.flatnonzero(~np.asarray(layer(every)).any(axis=1))
        assert silent.tolist() == [i]


@pytest.mark.parametrize(
    ("cell", "gates", "states"),
    [
        (layers.SimpleRNNCell(3), 1, 1),
        (layers.GRUCell(3), 3, 1),
        (layers.LSTMCell(3), 4, 2),
    ],
)
def test_recurrent_cells(cell: Any, gates: int, states: int) -> None:
    randomised(cell, (2,))
    x, held = data((2,)), [data((3,), seed) for seed in range(2, 2 + states)]

    def output(x: np.ndarray, first: np.ndarray) -> np.ndarray:
        return np.asarray(cell(x, [first, *held[1:]])[0])

    for name, tensor in (("kernel", x), ("recurrent_kernel", held[0])):
        axes, variable = weight_axes(cell, name), getattr(cell, name)
        kernel = variable.numpy()
        assert kernel.shape[axes.unit[0]] == gates * 3
        for (i,) in indices(kernel.shape, axes.input):
            variable.assign(zeroed(kernel, axes.input, (i,)))
            before = output(x, held[0])
            for j in range(tensor.shape[1]):
                moved = tensor.copy()
                moved[:, j] = moved[::-1, j]
                pair = (moved, held[0]) if name == "kernel" else (x, moved)
                after = output(*pair)
                if name == "recurrent_kernel" and gates == 3:
                    after, before_j = after[:, i - 1], before[:, i - 1]  # h is mixed in
                    if j == (i - 1) % 3:
                        continue
                else:
                    before_j = before
                assert np.allclose(after, before_j, 1e-6) == (j == i)
        variable.assign(kernel)
    # Without all gates of one unit, its output depends on nothing but its own state.
    for name in ("kernel", "recurrent_kernel"):
        axes, variable = weight_axes(cell, name), getattr(cell, name)
        kernel = variable.numpy()
        for gate in range(gates):
            kernel = zeroed(kernel, axes.unit, (gate * 3 + 1,))
        variable.assign(kernel)
    moved = held[0].copy()
    moved[:, [0, 2]] = 7.0
    after, before = output(data((2,), 9), moved), output(x, held[0])
    same = [np.allclose(after[:, j], before[:, j], 1e-6) for j in range(3)]
    assert same == [False, True, False]


def test_projections_of_an_attention_layer() -> None:
    attention = layers.MultiHeadAttention(2, 3, name="mha")
    attention(data((5, 4)), data((5, 4)))
    for inner in ("query", "key", "value"):
        layer = getattr(attention, f"_{inner}_dense")
        assert weight_axes(layer, "kernel") == Axes(unit=(1, 2), input=(0,))
    output = attention._output_dense
    assert weight_axes(output, "kernel") == Axes(unit=(2,), input=(0, 1))
