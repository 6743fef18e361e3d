"""What the tests of `groups` share: layers, and one line of a tensor set to zero."""

import itertools
from typing import Any

import numpy as np


def randomised(layer: Any, shape: tuple[int, ...]) -> Any:
    if not layer.built:
        layer.build((None, *shape))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def zeroed(kernel: np.ndarray, axes: tuple[int, ...], index: tuple[int, ...]) -> Any:
    """Return a copy with everything at this index of these axes set to zero."""
    kernel, at = kernel.copy(), [slice(None)] * kernel.ndim
    for axis, i in zip(axes, index, strict=True):
        at[axis] = i
    kernel[tuple(at)] = 0.0
    return kernel


def indices(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(shape[axis]) for axis in axes)))


def by_line(tensor: Any, axes: tuple[int, ...]) -> np.ndarray:
    """Return the tensor as `(lines, rest)`, one line for each index of the axes."""
    moved = np.moveaxis(np.asarray(tensor), axes, range(len(axes)))
    return moved.reshape(np.prod(moved.shape[: len(axes)]), -1)


def data(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, *shape)).astype("float32")
