"""The axes of a weight that number output units, inputs and groups.

Measures, reports and group penalties use these definitions. An unknown axis is None.
`group_axes` resolves the argument `group` of a penalty for a tensor alone;
`other_axes` does so for the layers with a different axis order.
"""

import math
import re
from typing import Any, Final, TypeAlias

from keras import layers

from kregkit.known import BLOCK
from kregkit.measure import Axes

Group: TypeAlias = str | tuple[int, ...]
"""A key of `WORDS`, "head", a block such as "4x4", or the axes that index groups."""

WORDS: Final = {
    "column": (slice(-1, None), 2),
    "filter": (slice(-1, None), 3),
    "input": (slice(-2, -1), 2),
    "row": (slice(0, -1), 2),
    "unit": (slice(-1, None), 1),
}
"""For each named `group`: the axes that index groups, and the lowest rank allowed."""

HEAD: Final = "head"
"""The named `group` that needs a layer: a tensor alone does not show its heads."""

OF_LAYERS: Final = ("filter", HEAD, "input", "unit")
"""The named groups with axes that depend on the kind of layer."""

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
    | EinsumDense kernel | by its equation | axes of the output | axes of the input |
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
        # In a grouped convolution, each index of axis -2 is one input per group.
        grouped = getattr(layer, "groups", 1) > 1
        return Axes(unit=(-1,), input=None if grouped else (-2,))
    if isinstance(layer, layers.Embedding) and name == "embeddings":
        return Axes(unit=(1,), input=(0,))
    return Axes()


def activation_axes(layer: Any, rank: int) -> Axes:
    """Return the unit axis of a layer's output: the channels, or the last axis."""
    if getattr(layer, "data_format", None) == _CHANNELS_FIRST and rank > 2:
        return Axes(unit=(1,))
    return Axes(unit=(-1,)) if rank > 1 else Axes()


def lowest_rank(group: Group) -> int:
    """Return the minimum number of axes that a weight needs for this grouping."""
    if isinstance(group, str):
        return WORDS[group][1] if group in WORDS else 2
    return max((axis + 1 if axis >= 0 else -axis for axis in group), default=0)


def group_axes(group: Group, rank: int) -> tuple[int, ...]:
    """Return the axes that index the groups of a weight of this rank.

    | group | one group for each | `w[group]` of Dense, Conv2D |
    |---|---|---|
    | "unit" | output unit: the weights into it | `w[:, j]`, `w[:, :, :, j]` |
    | "input" | input: the weights out of it | `w[i, :]`, `w[:, :, i, :]` |
    | "filter" | output unit of a convolution | none, `w[:, :, :, j]` |
    | "column" | column of the kernel as a matrix | `w[:, j]`, `w[:, :, :, j]` |
    | "row" | row of that matrix: an input at one place | `w[i, :]`, `w[y, x, i, :]` |
    | (0, 1) | index of these axes | `w[i, j]`, `w[i, j, :, :]` |
    | () | whole tensor | `w` |

    These axes hold for a tensor without its layer. In a known layer, "unit", "input"
    and "filter" use the axes of `weight_axes`, and "head" uses `other_axes`: one group
    for each attention head, in each kernel. In a bias, each weight is one "unit". A
    kernel as a matrix has units in its columns. A block "4x4" covers 4 inputs by 4
    units of it: see `blocked`.
    """
    if isinstance(group, str):
        return tuple(range(rank))[WORDS[group][0]]
    return tuple(sorted({axis % rank for axis in group}))


def blocked(group: Group, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a kernel split into blocks, with axes 0 and 2 as their index.

    None, if the group is no block, or if blocks do not divide the kernel's matrix.
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
    """Return the axes of a named group in a layer's weight, if not `group_axes`'s.

    Empty, if the weight has no such groups: "input" of a grouped convolution, "head" of
    any weight but attention kernels. None, if `group_axes` is right, or the kind of
    weight is unknown.
    """
    if group not in OF_LAYERS:
        return None
    if name.startswith("lora_"):  # LoRA factors get the regularizer of the kernel
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
    """Return the axes of a bias with several axes: each weight is a unit.

    In a GRU, a unit has two: an input bias and a recurrent bias.
    """
    if group != "unit":
        return ()
    return (rank - 1,) if isinstance(layer, layers.GRUCell) else tuple(range(rank))


def _head_axes(layer: Any, name: str) -> tuple[int, ...]:
    """Return the axis of the attention heads, or no axes.

    Attention kernels are `EinsumDense` kernels of shape (in, heads, size) or (heads,
    size, out): either the units or the inputs have two axes, the heads first.
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
