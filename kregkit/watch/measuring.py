"""Measures a model at a logging point, in one compiled function.

One call with one transfer avoids a round trip for each tensor.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit import _keras
from kregkit.errors import ModelError
from kregkit.groups import activation_axes, weight_axes
from kregkit.measure import (
    as_matrix,
    exact_spectral_norm,
    measure,
    power_iteration,
    power_start,
)
from kregkit.numerics import Tensor, accumulable, safe_norm
from kregkit.regularizers._base import bound
from kregkit.watch.outputs import recording, watched
from kregkit.watch.penalties import activity_penalty, penalised_weights, total
from kregkit.watch.rows import take
from kregkit.weights import NestedLayer, walk

_FIRST_STEPS, _STEPS, _LAST_STEPS = 60, 3, 300
"""Steps of power iteration: for the first measurement, for the next ones, and for the
last one of kernels with a smaller side beyond `_EXACT_SIDE`."""

_EXACT_SIDE = 1024
"""Eigenvalues take cubic time: a second at 1024, half a minute at 3000."""


@dataclass(frozen=True)
class _Slot:
    """The row and column of one value of the result."""

    layer: str
    tensor: str
    role: str
    size: int
    column: str


class Measuring:
    """Measures a model: weights, their penalties, and activations on a probe batch.

    Args:
        model: a built model.
        probe: a batch of inputs, or None to measure no activations.
    """

    first_steps, steps = _FIRST_STEPS, _STEPS

    def __init__(self, model: Any, probe: Any) -> None:
        self._model = model
        self.variables = list(model.variables)
        self._weights = list(walk(model))
        self._watched = [] if probe is None else watched(model)
        self._penalised = {id(w.variable) for w in penalised_weights(model)}
        self._axes = [weight_axes(w.layer, w.name) for w in self._weights]
        place = {id(variable): index for index, variable in enumerate(self.variables)}
        self._kernels = [
            (weight, axes.unit, place[id(weight.variable)])
            for weight, axes in zip(self._weights, self._axes, strict=True)
            if axes.unit is not None
        ]
        values = [variable.value for variable in self.variables]
        matrices = [
            accumulable(as_matrix(values[index], unit))
            for _, unit, index in self._kernels
        ]
        self.starts = [
            power_start(matrix.shape[1], keras.backend.standardize_dtype(matrix.dtype))
            for matrix in matrices
        ]
        self._slots: list[_Slot] = []
        self._compiled = compiled(self.compute)
        self.begin(probe)

    def begin(self, probe: Any) -> None:
        """Restart with another probe, for the next training of the model."""
        self._probe = take(probe, slice(None))
        self._vectors, self._steps = self.starts, self.first_steps

    def __call__(self) -> list[dict[str, Any]]:
        """Return a row for each tensor; spectral norms come from a power iteration."""
        values = [variable.value for variable in self.variables]
        steps = ops.convert_to_tensor(self._steps, "int32")
        arguments = (values, self._vectors, steps, self._probe)
        result, self._vectors = self._compiled(*arguments)
        self._steps = self.steps
        return self.rows(keras.ops.convert_to_numpy(result))

    def rows(self, numbers: Any) -> list[dict[str, Any]]:
        """Return the result of `compute` as a row for each tensor; NaN becomes None."""
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for slot, number in zip(self._slots, numbers.tolist(), strict=True):
            key = (slot.layer, slot.tensor)
            if key not in rows:
                rows[key] = dict(
                    layer=slot.layer, tensor=slot.tensor, role=slot.role, size=slot.size
                )
            rows[key][slot.column] = None if math.isnan(number) else number
        return list(rows.values())

    def exact_spectral(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the exact spectral columns of each kernel, by layer and tensor."""
        if not self._kernels:
            return {}
        values = [variable.value for variable in self.variables]
        exact = ops.stack(self.exact(values, self._vectors))
        return self.exact_columns(list(ops.convert_to_numpy(exact)))

    def exact(self, values: list[Tensor], vectors: list[Tensor]) -> list[Tensor]:
        """Return `(spectral norm, Euclidean norm)` of each kernel."""
        pairs = []
        for (_, unit, index), vector in zip(self._kernels, vectors, strict=True):
            matrix = as_matrix(values[index], unit)
            if min(matrix.shape) <= _EXACT_SIDE:
                norm = exact_spectral_norm(matrix)
            else:
                norm, _ = power_iteration(matrix, vector, _LAST_STEPS)
            pairs.append(ops.stack([norm, safe_norm(ops.reshape(matrix, (-1,)))]))
        return pairs

    def exact_columns(
        self, pairs: list[Any]
    ) -> dict[tuple[str, str], dict[str, float]]:
        """Return the result of `exact` as columns, without zero kernels."""
        return {
            (weight.layer_path, weight.name): {
                "spectral_norm": float(norm),
                "stable_rank": (float(length) / float(norm)) ** 2,
            }
            for (weight, _, _), (norm, length) in zip(self._kernels, pairs, strict=True)
            if norm > 0
        }

    def compute(
        self, values: list[Tensor], vectors: list[Tensor], steps: Tensor, probe: Any
    ) -> tuple[Tensor, list[Tensor]]:
        """Return all measures of the model with these values, and the new vectors.

        `vectors` are the vectors of the power iterations, which run for `steps` steps.
        """
        waiting, after = list(vectors), []

        def spectral_norm(matrix: Tensor) -> Tensor:
            norm, vector = power_iteration(matrix, waiting.pop(0), steps)
            after.append(vector)
            return norm

        return self._measured(values, spectral_norm, probe), after

    def activations(self, probe: Any) -> list[Tensor]:
        """Return the outputs that `compute` measures, for the present weights."""
        return [output for _, _, output in self._outputs(probe)]

    def _measured(
        self,
        values: list[Tensor],
        spectral_norm: Callable[[Tensor], Tensor],
        probe: Any,
    ) -> Tensor:
        mapping = list(zip(self.variables, values, strict=True))
        slots: list[_Slot] = []
        scalars: list[Tensor] = []

        def add(
            layer: str, tensor: str, role: str, size: int, found: dict[str, Tensor]
        ) -> None:
            for column, scalar in found.items():
                slots.append(_Slot(layer, tensor, role, size, column))
                scalars.append(ops.cast(scalar, "float32"))

        with keras.StatelessScope(state_mapping=mapping):
            for weight, axes in zip(self._weights, self._axes, strict=True):
                w = weight.variable.value
                norm = (
                    None
                    if axes.unit is None
                    else spectral_norm(as_matrix(w, axes.unit))
                )
                found = measure(w, weight.role, axes, norm)
                if id(weight.variable) in self._penalised:
                    own = bound(weight.variable.regularizer, weight)
                    found["penalty"] = total(own(w))
                size = int(np.prod(w.shape))
                add(weight.layer_path, weight.name, weight.role, size, found)
            for place, name, output in self._outputs(probe):
                axes = activation_axes(place.layer, len(output.shape))
                found = measure(output, "activation", axes)
                if place.layer.activity_regularizer is not None:
                    found["penalty"] = activity_penalty(
                        place.layer.activity_regularizer, output
                    )
                size = int(np.prod(output.shape[1:]))
                add(place.path, name, "activation", size, found)
        self._slots = slots
        return ops.stack(scalars)

    def _outputs(self, probe: Any) -> Iterator[tuple[NestedLayer, str, Tensor]]:
        if not self._watched:
            return
        samples = keras.tree.flatten(probe)[0].shape[0]
        with recording(self._watched, samples) as outputs:
            self._model(probe, **_keras.training_argument(self._model, False))
        for place in self._watched:
            for index, output in enumerate(outputs[id(place.layer)]):
                yield (
                    place,
                    "activation" if index == 0 else f"activation#{index + 1}",
                    output,
                )


def built(model: Any, probe: Any) -> None:
    """Build a model without an input shape now, before `fit` would.

    Raises:
        ModelError: the model is not built, and there is no probe.
    """
    if model.built:
        return
    if probe is None:
        raise ModelError(
            f"RegularizationLogger: model {model.name!r} has no weights before its "
            "first step. Begin it with `keras.Input`, or give a `probe`."
        )
    model(take(probe, slice(0, 1)))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function compiled by Keras's backend."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)  # type: ignore[no-any-return]  # untyped
    if backend == "jax":
        import jax

        return jax.jit(function)  # type: ignore[no-any-return]  # untyped
    if backend == "torch":
        import torch

        return torch.no_grad()(function)  # type: ignore[no-any-return]  # untyped
    return function
