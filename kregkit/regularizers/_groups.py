"""How a penalty sees the groups of a tensor.

The one rule: which weights are a group is said by `groups.group_axes`.
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Any

from keras import ops

from kregkit.errors import ParameterError, must
from kregkit.groups import WORDS, Group, group_axes, lowest_rank
from kregkit.numerics import Tensor
from kregkit.regularizers._base import Penalty


@dataclasses.dataclass(frozen=True, eq=False)
class Grouped(Penalty):
    """A penalty of groups: `strength`, and `group` as `groups.group_axes` has it."""

    group: Group = "unit"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "group", checked(type(self).__name__, self.group))


def checked(owner: str, group: object) -> Group:
    """Return a group as a word or a tuple of ints; a list, as JSON has it, is taken."""
    if isinstance(group, str) and group in WORDS:
        return group
    if isinstance(group, tuple | list) and not any(isinstance(a, bool) for a in group):
        try:
            return tuple(operator.index(axis) for axis in group)
        except TypeError:
            pass
    words = ", ".join(map(repr, sorted(WORDS)))
    raise ParameterError(must(owner, "group", f"{words} or a tuple of axes", group))


def split(owner: str, w: Tensor, group: Group) -> tuple[Tensor, tuple[int, ...], Any]:
    """Return `w` behind a first axis of 1, the axes that groups extend over, and √d.

    Groups extend over the first axis at least: reducing over no axis is reducing over
    all in PyTorch.
    """
    _, axes = _axes(owner, w, group)
    shape = ops.shape(w)
    size = ops.convert_to_tensor(math.prod(shape[axis] for axis in axes), w.dtype)
    return ops.expand_dims(w, 0), (0, *(1 + axis for axis in axes)), ops.sqrt(size)


def rows(
    owner: str, w: Tensor, group: Group
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return `w` with a group in each row, and what makes of rows a tensor again."""
    kept, axes = _axes(owner, w, group)
    order = (*kept, *axes)
    moved = ops.transpose(w, order)
    back = [order.index(axis) for axis in range(len(order))]

    def shaped(rows: Tensor) -> Tensor:
        return ops.transpose(ops.reshape(rows, ops.shape(moved)), back)

    size = math.prod(w.shape[axis] for axis in axes)
    count = math.prod(w.shape[axis] for axis in kept)
    return ops.reshape(moved, (count, size)), shaped


def _axes(
    owner: str, w: Tensor, group: Group
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes that tell groups apart, and those that groups extend over."""
    rank, least = len(w.shape), lowest_rank(group)
    if rank < least:
        rule = f"a tensor of {least} axes or more, for group {group!r}"
        raise ParameterError(must(owner, "w", rule, tuple(w.shape)))
    kept = group_axes(group, rank)
    return kept, tuple(axis for axis in range(rank) if axis not in kept)
