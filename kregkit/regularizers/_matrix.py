"""The base class of matrix penalties, and functions of a matrix's singular values.

They use matrix products only, which all backends, XLA and batches of trials support.
Under XLA, the singular values of a 100 x 300 matrix take over a second on a CPU. The
product is `@`, since `ops.matmul` rounds float64 on PyTorch.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
from keras import backend, ops

from kregkit.errors import ParameterError, must
from kregkit.groups import weight_axes
from kregkit.measure import as_matrix, from_matrix
from kregkit.numerics import Tensor, differentiated, safe_divisor, safe_norm
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._parameters import check_shape
from kregkit.weights import Weight

_STEEP: Final = (3.4445, -4.7750, 2.0315)
"""x ↦ ax + bx³ + cx⁵ multiplies small x by a, and maps [0.68, 1.13] into itself.
Jordan and others 2024, kellerjordan.github.io/posts/muon."""

_GROWING: Final = {"float32": 10, "float64": 19}
"""Steps of that map: they bring singular values of at least 4e-6 (6e-11 in float64)
into [0.68, 1.13]."""

_SETTLING: Final = 6
"""Steps of x ↦ (3x − x³)/2, which map [0.68, 1.13] to 1; float32 needs five."""

_SQUARINGS: Final = 20
"""Squarings of a matrix; n of them are 2ⁿ steps of a power iteration. The result is
within 4e-7."""

_STEPS: Final = 16
"""Steps of a power iteration of one vector. For a kernel of 784 by 300 random weights
they give 0.94 of σ₁²; 64 steps would give σ₁² to 6e-4."""


@dataclasses.dataclass(frozen=True, eq=False)
class OfMatrix(Penalty):
    """A penalty of a kernel as a matrix with one column for each unit of its layer.

    `units` are the axes of the units: in a known layer, those of `groups.weight_axes`.
    """

    units: ClassVar[tuple[int, ...]] = (-1,)

    def needs_layer(self, rank: int) -> bool:
        return rank > 1

    def _on(self, weight: Weight) -> dict[str, Any]:
        unit = weight_axes(weight.layer, weight.name).unit
        return {} if unit in (None, (-1,)) else {"units": unit}

    def matrix(self, w: Tensor) -> Tensor:
        """Return a kernel as a matrix: units in the columns, inputs in the rows."""
        owner = type(self).__name__
        check_shape(owner, w)
        if len(w.shape) < 2:
            rule = "a kernel of 2 axes or more, with units on the last"
            raise ParameterError(must(owner, "w", rule, tuple(w.shape)))
        return as_matrix(w, self.units) if 0 not in w.shape else w[..., :0]

    def tensor(self, matrix: Tensor, w: Tensor) -> Tensor:
        """Return a matrix in the shape of the kernel `w`; the inverse of `matrix`."""
        return from_matrix(matrix, tuple(w.shape), self.units)


def narrow(matrix: Tensor) -> Tensor:
    """Return the matrix, or its transpose if it has more rows than columns."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else ops.transpose(matrix)


def gram_of(matrix: Tensor) -> Tensor:
    """Return `AᵀA`, with the gradient `A(G + Gᵀ)` as one product instead of two."""
    return differentiated(
        lambda a: ops.transpose(a) @ a,
        lambda a, upstream: a @ (upstream + ops.transpose(upstream)),
    )(matrix)


def adjoint(matrix: Tensor, x: Tensor) -> Tensor:
    """Return `Aᵀx` for a column x, without transposing the matrix."""
    return ops.transpose(ops.transpose(x) @ matrix)


def power(apply: Callable[[Tensor], Tensor], matrix: Tensor) -> Tensor:
    """Return `v` after 16 steps of `v ← apply(v)/‖apply(v)‖`, from a fixed start.

    `v` is a column of length 1, with one element for each column of the matrix.
    """
    start = np.cos(np.arange(1.0, matrix.shape[1] + 1.0))[:, None]
    start /= max(np.linalg.norm(start), 1e-9)
    vector = ops.convert_to_tensor(start, matrix.dtype)
    for _ in range(_STEPS):
        image = apply(vector)
        norm = safe_norm(image)
        vector = ops.where(norm > 0.0, image / safe_divisor(norm), vector)
    return ops.stop_gradient(vector)


def polar(matrix: Tensor) -> Tensor:
    """Return `UVᵀ` of the singular value decomposition `UΣVᵀ` of a narrow matrix.

    Singular values become 1, unless they are below 4e-6 (6e-11 in float64) of the
    Frobenius norm. Those become less than 1, and rounding errors become 0. For a
    symmetric matrix, the result is the matrix sign. The method is the Newton-Schulz
    iteration (Higham 2008, doi:10.1137/1.9780898717778, chapter 8).
    """
    x = matrix / safe_divisor(ops.sqrt(ops.sum(ops.square(matrix))))
    a, b, c = _STEEP
    for _ in range(_GROWING[backend.standardize_dtype(matrix.dtype)]):
        gram = x @ ops.transpose(x)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    for _ in range(_SETTLING):
        x = 1.5 * x - 0.5 * ((x @ ops.transpose(x)) @ x)
    gram = x @ ops.transpose(x)
    return (2.5 * gram - 1.5 * (gram @ gram)) @ x


def leading(gram: Tensor) -> Tensor:
    """Return the projection onto the largest eigenvalue's eigenspace, over its rank.

    The matrix must be symmetric and positive semidefinite. The result is the limit of
    its powers, each divided by its trace; the powers are computed by squaring.
    """
    unit = ops.eye(gram.shape[0], dtype=gram.dtype)
    trace = ops.sum(gram * unit)
    x = ops.where(trace > 0.0, gram, unit)
    for _ in range(_SQUARINGS):
        x = x / safe_divisor(ops.sum(x * unit))
        x = x @ x
    return x / safe_divisor(ops.sum(x * unit))
