"""Which axes of a weight are an output unit and an input, per kind of layer.

What a unit or an input is, is decided here, once, for measures,
reports and group penalties alike; where it is not known, it is None, not guessed.
A word for the groups of a penalty is in `group_axes`, and where it has other axes in a
kind of layer, in `other_axes`.
"""

import math
import re
from typing import Any, Final, TypeAlias

from keras import layers

from kregkit.known import BLOCK
from kregkit.measure import Axes

Group: TypeAlias = str | tuple[int, ...]
"""A word of `WORDS`, a block as "4x4", or the axes that tell groups apart."""

WORDS: Final = {
    "column": (slice(-1, None), 2),
    "filter": (slice(-1, None), 3),
    "input": (slice(-2, -1), 2),
    "row": (slice(0, -1), 2),
    "unit": (slice(-1, None), 1),
}
"""For each word the axes that tell groups apart, and the lowest rank that has it."""

HEAD: Final = "head"
"""A word that is of layers alone: no axes of a weight have heads by themselves."""

OF_LAYERS: Final = ("filter", HEAD, "input", "unit")
"""The words that mean other axes in some kinds of layers."""

_CHANNELS_FIRST = "channels_first"


def weight_axes(layer: Any, name: str) -> Axes:
    """Return the unit and input axes of the weight `name` of `layer`.

    | weight | shape | unit | input |
    |---|---|---|---|
    | Dense kernel | (in, out) | out | in |
    | Conv1D/2D/3D kernel | (..., in, out) | out | in |
    | Conv2D/3DTranspose kernel | (..., out, in) | out | in |
    | DepthwiseConv kernel | (..., in, multiplier) | in, multiplier | in |
    | SeparableConv pointwise_kernel | (..., in·multiplier, out) | out | in·multiplier |
    | Embedding embeddings | (inputs, out) | out | inputs |
    | RNN, GRU, LSTM kernel | (in, gates·units) | gates·units | in |
    | RNN, GRU, LSTM recurrent_kernel | (units, gates·units) | gates·units | units |
    | EinsumDense kernel | by its equation | those of the output | of the input |
    | bias, gamma, beta, any other | | None | None |
    """
    if isinstance(layer, layers.EinsumDense) and name == "kernel":
        return _einsum_axes(layer.equation)
    if name == "depthwise_kernel" or (
        name == "kernel"
        and isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D)
    ):
        return Axes(unit=(-2, -1), input=(-2,))
    transposed = (
        layers.Conv1DTranspose | layers.Conv2DTranspose | layers.Conv3DTranspose
    )
    if isinstance(layer, transposed) and name == "kernel":
        return Axes(unit=(-2,), input=(-1,))
    plain = (
        layers.Dense
        | layers.Conv1D
        | layers.Conv2D
        | layers.Conv3D
        | layers.SimpleRNNCell
        | layers.GRUCell
        | layers.LSTMCell
        | layers.SeparableConv1D
        | layers.SeparableConv2D
    )
    known = ("kernel", "recurrent_kernel", "pointwise_kernel")
    if isinstance(layer, plain) and name in known:
        # In a grouped convolution one index of axis -2 is an input of each group.
        grouped = getattr(layer, "groups", 1) > 1
        return Axes(unit=(-1,), input=None if grouped else (-2,))
    if isinstance(layer, layers.Embedding) and name == "embeddings":
        return Axes(unit=(1,), input=(0,))
    return Axes()


def activation_axes(layer: Any, rank: int) -> Axes:
    """Return the unit axis of an output of `layer`: its channels, or the last axis."""
    if getattr(layer, "data_format", None) == _CHANNELS_FIRST and rank > 2:
        return Axes(unit=(1,))
    return Axes(unit=(-1,)) if rank > 1 else Axes()


def lowest_rank(group: Group) -> int:
    """Return the number of axes that a weight must have at least to be grouped so."""
    if isinstance(group, str):
        return WORDS[group][1] if group in WORDS else 2
    return max((axis + 1 if axis >= 0 else -axis for axis in group), default=0)


def group_axes(group: Group, rank: int) -> tuple[int, ...]:
    """Return the axes that tell the groups of a weight of this rank apart.

    | group | one group for each | `w[group]` of Dense, Conv2D |
    |---|---|---|
    | "unit" | output unit: the weights into it | `w[:, j]`, `w[:, :, :, j]` |
    | "input" | input: the weights out of it | `w[i, :]`, `w[:, :, i, :]` |
    | "filter" | output unit of a convolution | none, `w[:, :, :, j]` |
    | "column" | column of the kernel as a matrix | `w[:, j]`, `w[:, :, :, j]` |
    | "row" | row of it: an input at one place | `w[i, :]`, `w[y, x, i, :]` |
    | (0, 1) | index of these axes | `w[i, j]`, `w[i, j, :, :]` |
    | () | whole tensor | `w` |

    These are the axes of a tensor alone. In a layer that `weight_axes` knows, "unit",
    "input" and "filter" have its axes, and "head" those of `other_axes`: one group for
    each head of attention, in each of its kernels. In a bias, every weight is a "unit"
    of its own. A matrix has units in its columns, and a block "4x4" of it, 4 inputs by
    4 units, `blocked` groups.
    """
    if isinstance(group, str):
        return tuple(range(rank))[WORDS[group][0]]
    return tuple(sorted({axis % rank for axis in group}))


def blocked(group: Group, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape whose axes 0 and 2 tell the blocks of a kernel apart.

    None, where the group is no block, or does not divide the kernel as a matrix.
    """
    block = re.fullmatch(BLOCK, group) if isinstance(group, str) else None
    if block is None or len(shape) < 2:
        return None
    high, wide = int(block[1]), int(block[2])
    inputs, units = math.prod(shape[:-1]), shape[-1]
    if inputs % high or units % wide:
        return None
    return (inputs // high, high, units // wide, wide)


def other_axes(layer: Any, name: str, group: str, rank: int) -> tuple[int, ...] | None:
    """Return the axes of a word in a weight of a layer where `group_axes` has others.

    They are empty where the weight has none for the word, as a grouped convolution for
    "input" and anything but the kernels of attention for "head", and None where the
    word is right, or nothing is known of the weight.
    """
    if group not in OF_LAYERS:
        return None
    if name.startswith("lora_"):  # factors, which have the regularizer of a kernel
        return ()
    if name == "bias" and rank > 1:
        return _bias_axes(layer, group, rank)
    if group == HEAD:
        return _head_axes(layer, name)
    known = weight_axes(layer, name)
    own = known.input if group == "input" else known.unit
    if known == Axes() or (own is None and known.unit is None):
        return None
    if group == "filter" and isinstance(layer, layers.EinsumDense):
        return ()
    found = tuple(sorted(axis % rank for axis in own or ()))
    return None if found == group_axes(group, rank) else found


def _bias_axes(layer: Any, group: str, rank: int) -> tuple[int, ...]:
    """Return the axes of a bias of several: of each weight, a unit, but in a GRU.

    There one is of what comes in, and one of what comes back.
    """
    if group != "unit":
        return ()
    return (rank - 1,) if isinstance(layer, layers.GRUCell) else tuple(range(rank))


def _head_axes(layer: Any, name: str) -> tuple[int, ...]:
    """Return the axis of the heads: the first of two that units, or inputs, have.

    Of the kernels of attention, (in, heads, size) and (heads, size, out), each an
    `EinsumDense`; of a convolution whose units have two axes, it is none.
    """
    if isinstance(layer, layers.EinsumDense) and name == "kernel":
        axes = weight_axes(layer, name)
        unit, own = axes.unit or (), axes.input or ()
        if {len(unit), len(own)} == {1, 2} and not {*unit} & {*own}:
            return max(unit, own, key=len)[:1]
    return ()


def _einsum_axes(equation: str) -> Axes:
    left, output = equation.replace("...", "").split("->")
    inputs, kernel = left.split(",")
    axes = range(len(kernel))
    return Axes(
        unit=tuple(axis for axis in axes if kernel[axis] in output) or None,
        input=tuple(axis for axis in axes if kernel[axis] in inputs) or None,
    )
