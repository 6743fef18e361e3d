"""What one trained model answers, and how its answers change with its inputs.

The one rule: inference mode, every regularizer silent, and nothing of the model
changed. Of many trials at once, `passes` does the same.
"""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit.callbacks import Penalties, compiled, gradient
from kregkit.numerics import Tensor
from kregkit.study.probes import ROWS, in_chunks
from kregkit.study.protocol import chunk


class Answers:
    """A model's answers to arrays."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._variables = list(model.variables)
        self._penalties = Penalties(model)
        self._answer = compiled(functools.partial(self._answered))
        self._square = compiled(functools.partial(self._squared))

    def __call__(self, x: Any) -> Any:
        """Return the outputs for every row of x."""
        values = [variable.value for variable in self._variables]
        size = chunk(len(x))

        def answer(rows: Any) -> Any:
            return ops.convert_to_numpy(self._answer(values, _tensor(x[rows])))

        return np.concatenate(in_chunks(answer, len(x), size))[: len(x)]

    def squares(self, x: Any, directions: Any) -> Any:
        """Return Σ‖∂(v·f)/∂x‖² over the directions v, of the first rows of x."""
        values = [variable.value for variable in self._variables]
        x = _tensor(x[:ROWS])
        parts = [self._square(values, x, _tensor(v)) for v in directions]
        return np.sum([ops.convert_to_numpy(part) for part in parts], axis=0)

    def _answered(self, values: list[Tensor], x: Tensor) -> Tensor:
        mapping = list(zip(self._variables, values, strict=True))
        with (
            self._penalties.silenced(),
            keras.StatelessScope(state_mapping=mapping),
        ):
            return self._model(x, training=False)

    def _squared(self, values: list[Tensor], x: Tensor, direction: Tensor) -> Tensor:
        def along(at: list[Tensor]) -> tuple[Tensor, None]:
            outputs = self._answered(values, at[0])
            flat = ops.reshape(outputs, (x.shape[0], -1))
            return ops.sum(ops.matmul(flat, ops.cast(direction, flat.dtype))), None

        (slope,), _ = gradient(along, [x])
        return ops.sum(ops.square(ops.reshape(slope, (x.shape[0], -1))), axis=1)


def _tensor(array: Any) -> Tensor:
    return ops.convert_to_tensor(np.asarray(array, "float32"))
