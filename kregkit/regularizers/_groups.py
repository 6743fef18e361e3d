"""Base classes of group penalties, and reshaping of a tensor into its groups.

`groups.group_axes` defines the groups.
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Any

from keras import ops

from kregkit.errors import ParameterError, must
from kregkit.groups import (
    HEAD,
    OF_LAYERS,
    WORDS,
    Group,
    blocked,
    group_axes,
    lowest_rank,
    other_axes,
)
from kregkit.known import GROUP, WEIGHTING
from kregkit.numerics import Tensor
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._parameters import check_shape, word
from kregkit.weights import Weight


@dataclasses.dataclass(frozen=True, eq=False)
class Grouped(Penalty):
    """A penalty of groups: `strength`, and `group` as in `groups.group_axes`."""

    group: Group = "unit"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "group", checked(type(self).__name__, self.group))

    def needs_layer(self, rank: int) -> bool:
        return rank > 1 and self.group in OF_LAYERS

    def _on(self, weight: Weight) -> dict[str, Any]:
        return axes_in(type(self).__name__, self.group, weight)


@dataclasses.dataclass(frozen=True, eq=False)
class Weighted(Grouped):
    """A penalty of groups that multiplies the norm of d weights by √d ("sqrt"), or not.

    With "sqrt", a strength has the same effect on groups of all sizes. With "none", it
    is weaker on each weight of a large group.
    """

    weighting: str = dataclasses.field(default="sqrt", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        word(type(self).__name__, "weighting", self.weighting, WEIGHTING)


def checked(owner: str, group: object) -> Group:
    """Return a group as a name or a tuple of ints; a list from JSON is accepted."""
    if isinstance(group, str) and GROUP.admits(group):
        return group
    if isinstance(group, tuple | list) and not any(isinstance(a, bool) for a in group):
        try:
            return tuple(operator.index(axis) for axis in group)
        except TypeError:
            pass
    words = ", ".join(map(repr, GROUP.words))
    rule = f"{words}, a block such as '4x4' or a tuple of axes"
    raise ParameterError(must(owner, "group", rule, group))


def axes_in(owner: str, group: Group, weight: Weight) -> dict[str, Any]:
    """Return the parameter `group` as axes, if it depends on the weight's layer."""
    if not isinstance(group, str):
        return {}
    axes = other_axes(weight.layer, weight.name, group, len(weight.variable.shape))
    if axes is None:
        return {}
    if axes:
        return {"group": axes}
    kind = f"{weight.path} ({type(weight.layer).__name__})"
    rule = f"axes or another name: this weight has no groups {group!r}"
    raise ParameterError(must(f"{kind}: {owner}", "group", rule, group))


def parted(owner: str, w: Tensor, group: Group) -> tuple[Tensor, Group]:
    """Return a kernel and its group; blocks become axes of a reshaped kernel."""
    if group == HEAD:
        rule = "a weight of a model's layer, for group 'head'"
        raise ParameterError(must(owner, "w", rule, tuple(w.shape)))
    if (
        not isinstance(group, str)
        or group in WORDS
        or len(w.shape) < lowest_rank(group)
    ):
        return w, group
    check_shape(owner, w)
    shape = blocked(group, tuple(w.shape))
    if shape is None:
        matrix = (math.prod(w.shape[:-1]), w.shape[-1])
        rule = f"divisible into {group} blocks, as a matrix"
        raise ParameterError(must(owner, "w", rule, matrix))
    return ops.reshape(w, shape), (0, 2)


def split(
    owner: str, w: Tensor, group: Group, weighting: str = "sqrt"
) -> tuple[Tensor, tuple[int, ...], Any]:
    """Return `w` with a new first axis of size 1, the axes within a group, and √d.

    With the weighting "none", 1 instead of √d. The new axis is always within groups:
    PyTorch would reduce over all axes if the tuple of axes were empty.
    """
    w, group = parted(owner, w, group)
    _, axes = _axes(owner, w, group)
    shape = ops.shape(w)
    count = 1 if weighting == "none" else math.prod(shape[axis] for axis in axes)
    size = ops.convert_to_tensor(count, w.dtype)
    return ops.expand_dims(w, 0), (0, *(1 + axis for axis in axes)), ops.sqrt(size)


def rows(
    owner: str, w: Tensor, group: Group
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return `w` as a matrix with one group per row, and the inverse function."""
    check_shape(owner, w)
    shape = ops.shape(w)
    w, group = parted(owner, w, group)
    kept, axes = _axes(owner, w, group)
    order = (*kept, *axes)
    moved = ops.transpose(w, order)
    back = [order.index(axis) for axis in range(len(order))]

    def shaped(rows: Tensor) -> Tensor:
        whole = ops.transpose(ops.reshape(rows, ops.shape(moved)), back)
        return ops.reshape(whole, shape)

    size = math.prod(w.shape[axis] for axis in axes)
    count = math.prod(w.shape[axis] for axis in kept)
    return ops.reshape(moved, (count, size)), shaped


def _axes(
    owner: str, w: Tensor, group: Group
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes that index groups, and the axes within a group."""
    rank, least = len(w.shape), lowest_rank(group)
    if rank < least:
        rule = f"a tensor of {least} axes or more, for group {group!r}"
        raise ParameterError(must(owner, "w", rule, tuple(w.shape)))
    kept = group_axes(group, rank)
    return kept, tuple(axis for axis in range(rank) if axis not in kept)
