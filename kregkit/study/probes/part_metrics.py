"""Computes a trained model's metrics on the parts of its data, for both engines."""

import functools
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from kregkit._keras import training_argument
from kregkit.numerics import Tensor
from kregkit.study.data.data import Split
from kregkit.study.probes.probes import chunk
from kregkit.study.probes.probing import filled, holding
from kregkit.study.problem import metrics
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import compiled
from kregkit.watch.penalties import Penalties

_PARTS: Final = ("train", "val", "test")


class PartMetrics:
    """Computes the metrics that a study names, for one trial at a time.

    The outputs of one trial on one part are in memory together, since a median or a
    ranking needs all of them. The outputs of a batch of trials might not fit.

    Args:
        study: the study.
        model: any model of the study, with its penalties attached; only its structure
            is used.
    """

    def __init__(self, study: Study, model: Any) -> None:
        self._study = study
        self._model = model
        self._variables = list(model.variables)
        self._penalties = Penalties(model)
        names = study.config.train.metrics or ()
        self._named = {name: metrics.made(name, study.folder) for name in names}
        # `partial`, since TensorFlow warns if one function is traced for many models.
        self._answer = compiled(functools.partial(self._answered))

    def __call__(self, split: Split, values: list[Any]) -> dict[str, Any]:
        """Return columns of `finals`; no columns if the study names no metric.

        `values` are the values of the model's variables for one trial.
        """
        if not self._named:
            return {}
        tensors = [ops.convert_to_tensor(value) for value in values]
        found: dict[str, Any] = {"metric_names": list(self._named)}
        for part in _PARTS:
            y = getattr(split, f"y_{part}")
            outputs = self._outputs(tensors, getattr(split, f"x_{part}"))
            found[f"{part}_metrics"] = [of(y, outputs) for of in self._named.values()]
        return found

    def _outputs(self, values: list[Tensor], x: Any) -> Any:
        """Return the outputs for all rows, in floatx, the dtype of losses."""
        size = chunk(len(x))
        outputs = np.empty((len(x), self._study.outputs), keras.config.floatx())
        for start in range(0, len(x), size):
            now = x[start : start + size]
            given = ops.convert_to_tensor(filled(now[None], size)[0])
            answer = ops.convert_to_numpy(self._answer(values, given))
            outputs[start : start + size] = answer[: len(now)]
        return outputs

    def _answered(self, values: list[Tensor], x: Tensor) -> Tensor:
        with holding(self._variables, values, self._penalties):
            return self._model(x, **training_argument(self._model, False))
