"""`measure` computes all norms and sparsities that logs, studies and reports show.

It takes one tensor. For many tensors of one shape, callers use a vectorized map over
it. Undefined values are NaN here and null in tables.
"""

from dataclasses import dataclass

from keras import ops

from kregkit.numerics import (
    Tensor,
    accumulable,
    norm_scaled_by,
    safe_divisor,
    safe_norm,
)
from kregkit.schema import NEAR_ZERO


@dataclass(frozen=True)
class Axes:
    """The axes of a tensor that index its output units and its inputs, or None."""

    unit: tuple[int, ...] | None = None
    input: tuple[int, ...] | None = None


def measure(
    tensor: Tensor, role: str, axes: Axes, spectral_norm: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the measures of one tensor as scalars; `schema.MEASURES` defines each.

    Args:
        tensor: a weight of any shape, or an activation `(samples, ...)`.
        role: "kernel", "activation", or another weight role.
        axes: the axes of units and inputs (see `groups`).
        spectral_norm: the spectral norm of the kernel as a matrix, if it is already
            known; otherwise it is computed exactly.

    Returns:
        {column: float scalar}, with the columns of the role only. Undefined values are
        NaN: `hoyer` of one element or of zeros, `stable_rank` of zeros.
    """
    tensor = accumulable(ops.convert_to_tensor(tensor))
    measures = _everywhere(tensor, role)
    if role == "activation":
        if axes.unit is not None:
            dead = _all_zero_fraction(ops.abs(tensor), axes.unit)
            measures["dead_unit_fraction"] = dead
        return measures
    magnitude = ops.abs(tensor)
    if axes.unit is not None:
        if spectral_norm is None:
            spectral_norm = exact_spectral_norm(as_matrix(tensor, axes.unit))
        measures["unit_zero_fraction"] = _all_zero_fraction(magnitude, axes.unit)
        measures["spectral_norm"] = spectral_norm
        measures["stable_rank"] = ops.square(_ratio(measures["l2"], spectral_norm))
    if axes.input is not None:
        measures["input_zero_fraction"] = _all_zero_fraction(magnitude, axes.input)
    return measures


def as_matrix(kernel: Tensor, unit: tuple[int, ...]) -> Tensor:
    """Return a kernel as the matrix `(everything else, units)`."""
    count = 1
    for axis in unit:
        count *= kernel.shape[axis]
    order = _units_last(len(kernel.shape), unit)
    return ops.reshape(ops.transpose(kernel, order), (-1, count))


def from_matrix(
    matrix: Tensor, shape: tuple[int, ...], unit: tuple[int, ...]
) -> Tensor:
    """Return the kernel of this shape from its matrix; the inverse of `as_matrix`."""
    order = _units_last(len(shape), unit)
    whole = ops.reshape(matrix, [shape[axis] for axis in order])
    return ops.transpose(whole, [order.index(axis) for axis in range(len(shape))])


def _units_last(rank: int, unit: tuple[int, ...]) -> list[int]:
    units = [axis % rank for axis in unit]
    return [axis for axis in range(rank) if axis not in units] + units


def exact_spectral_norm(matrix: Tensor) -> Tensor:
    """Return the largest singular value, by eigenvalues of the smaller Gram matrix."""
    matrix = accumulable(matrix)
    scale = ops.max(ops.abs(matrix))
    matrix = matrix / safe_divisor(scale)
    wide = matrix.shape[0] < matrix.shape[1]
    adjoint = ops.transpose(matrix)
    gram = ops.matmul(matrix, adjoint) if wide else ops.matmul(adjoint, matrix)
    eigenvalues, _ = ops.linalg.eigh(gram)
    return scale * ops.sqrt(ops.relu(ops.max(eigenvalues)))


def power_iteration(
    matrix: Tensor, start: Tensor, steps: Tensor
) -> tuple[Tensor, Tensor]:
    """Return `‖Av‖` after `steps` of `v ← AᵀAv/‖AᵀAv‖`, and the vector `v`.

    The norm never exceeds the largest singular value. It converges to it unless `start`
    is orthogonal to the first singular vector. Pass `v` as the next call's start. A
    zero matrix leaves the vector unchanged.
    """
    matrix = accumulable(matrix)

    def step(_: Tensor, vector: Tensor) -> Tensor:
        # Normalised twice: AᵀAv overflows or underflows float32 for |A| of 1e±20.
        image = _unit(ops.matmul(matrix, vector[:, None])[:, 0])
        image = ops.matmul(image, matrix)
        return ops.where(safe_norm(image) > 0, _unit(image), vector)

    vector = ops.fori_loop(0, steps, step, start)
    return safe_norm(ops.matmul(matrix, vector[:, None])), vector


def power_start(units: int, dtype: str = "float32") -> Tensor:
    """Return the fixed start vector of a power iteration, of length 1."""
    vector = ops.cos(ops.arange(1, units + 1, dtype=dtype))
    return vector / safe_norm(vector)


def _everywhere(tensor: Tensor, role: str) -> dict[str, Tensor]:
    """Return the measures of any tensor; for activations, norms are per sample."""
    size = ops.shape(tensor)[0] if role == "activation" else 1
    flat = ops.reshape(tensor, (size, -1))
    magnitude = ops.abs(flat)
    l1 = ops.sum(magnitude, axis=1)
    largest = ops.max(magnitude, axis=1, keepdims=True)
    l2 = norm_scaled_by(largest, flat, axis=1)
    count = ops.cast(ops.shape(flat)[1], flat.dtype)
    elements = count * ops.cast(size, flat.dtype)
    root = ops.sqrt(count)
    hoyer = ops.clip((root - _ratio(l1, l2)) / (root - 1.0), 0.0, 1.0)
    mean = ops.mean(flat)
    defined = ops.logical_and(l2 > 0, count > 1)
    return {
        "l1": ops.mean(l1),
        "l2": ops.mean(l2),
        "max_abs": ops.mean(largest),
        "mean": mean,
        "std": norm_scaled_by(ops.max(largest), flat - mean) / ops.sqrt(elements),
        "zero_fraction": _fraction(flat == 0),
        "near_zero_fraction": _fraction(magnitude <= NEAR_ZERO),
        "hoyer": _mean_where(hoyer, defined),
    }


def _unit(vector: Tensor) -> Tensor:
    """Return the vector scaled to length 1; a zero vector is unchanged."""
    norm = safe_norm(vector)
    return vector / safe_divisor(norm)


def _fraction(condition: Tensor) -> Tensor:
    return ops.mean(ops.cast(condition, "float32"))


def _all_zero_fraction(magnitude: Tensor, kept: tuple[int, ...]) -> Tensor:
    rank = len(magnitude.shape)
    kept = tuple(axis % rank for axis in kept)
    others = tuple(axis for axis in range(rank) if axis not in kept)
    return _fraction(ops.max(magnitude, axis=others) == 0)


def _ratio(over: Tensor, under: Tensor) -> Tensor:
    """Return over/under, or NaN where `under` is zero."""
    safe = safe_divisor(under)
    return ops.where(under > 0, over / safe, float("nan"))


def _mean_where(values: Tensor, defined: Tensor) -> Tensor:
    """Return the mean over the defined values, or NaN without any."""
    total = ops.sum(ops.where(defined, values, ops.zeros_like(values)))
    return _ratio(total, ops.sum(ops.cast(defined, values.dtype)))
