"""The data loss and every penalty of a model, as metrics of that model.

The one rule: the total that is trained on stays what it was.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kregkit.callbacks._penalties import Penalties
from kregkit.numerics import Tensor


class _Means(keras.metrics.Metric):
    """The mean of the data loss over samples, and beside it those of the penalties.

    All sums and the number of samples are one vector, and the data loss is the only
    result: this is run at every step, where each operation on a scalar, and each
    scalar handed out, costs as much as an operation on a small layer. Keras resets
    its metrics before each pass over data; the vector is kept then.
    """

    def __init__(self, terms: int) -> None:
        super().__init__(name="data_loss")
        self.sums = self.add_variable((terms + 1,), "zeros", name="sums")
        self.passes: list[Tensor] = []

    def update_state(self, values: list[Tensor], samples: Tensor) -> None:
        one = ops.ones((), self.dtype)
        values = ops.stack([*(ops.cast(value, self.dtype) for value in values), one])
        self.sums.assign_add(values * ops.cast(samples, self.dtype))

    def result(self) -> Tensor:
        data, *_, samples = ops.unstack(self.sums.value)
        return ops.divide_no_nan(data, samples)

    def reset_state(self) -> None:
        self.passes.append(ops.convert_to_numpy(self.sums))
        super().reset_state()


class LossTerms:
    """Adds `data_loss` to a model's metrics and measures every penalty, until `detach`.

    While a training or test step is traced, every regularizer is silenced and its
    value computed beside the data loss, in validation too and whatever the order of
    callbacks. Terms that are `kept` stay when a `fit` ends, with the steps that were
    traced for them: whoever attached them keeps the regularizers as they are.
    """

    def __init__(self, model: Any, kept: bool = False) -> None:
        self.model = model
        self.kept = kept
        self._penalties = Penalties(model)
        self.names = [f"penalty/{path}" for path in self._penalties.paths]
        self.metric = _Means(1 + len(self.names))
        self._compute_loss = model.compute_loss
        # An optimizer may look at the regularizers when it is built: not in a step.
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model._metrics.append(self.metric)
        model.compute_loss = self.compute_loss
        model.train_step = self._silent(model.train_step)
        model.test_step = self._silent(model.test_step)
        # A step that was traced before knows nothing of this.
        model.make_train_function(force=True)
        model.test_function = None

    @staticmethod
    def held_by(model: Any) -> "LossTerms | None":
        """Return the terms that are attached to a model, if there are any."""
        held = getattr(model.compute_loss, "__self__", None)
        return held if isinstance(held, LossTerms) else None

    @classmethod
    def untouched(cls, model: Any) -> Callable[..., Tensor]:
        """Return the `compute_loss` that a model has without such terms."""
        held = cls.held_by(model)
        return model.compute_loss if held is None else held._compute_loss  # type: ignore[no-any-return]  # Keras is untyped

    @staticmethod
    def obstacle(model: Any) -> str | None:
        """Return why the terms of this model cannot be told apart, or None."""
        steps = ("train_step", "test_step", "compute_loss", "compute_metrics")
        for name in (*steps, "metrics"):
            own = getattr(type(model), name) is not getattr(keras.Model, name)
            if own or name in model.__dict__:
                return f"model {model.name!r} has its own `{name}`"
        if model.loss is None:
            return f"model {model.name!r} was compiled without a loss"
        if "data" in (getattr(model, "output_names", None) or ()):
            return f"model {model.name!r} has an output 'data' with a loss of that name"
        if keras.backend.backend() == "tensorflow":
            replicas = model.distribute_strategy.num_replicas_in_sync
            if replicas > 1:
                return f"model {model.name!r} trains on {replicas} replicas"
        return None

    def begin_epoch(self) -> None:
        """Forget earlier passes over data; Keras has just reset its metrics."""
        self.metric.passes.clear()

    def penalties(self, validated: bool) -> dict[str, float]:
        """Return the mean of every penalty in the passes of an epoch that has ended.

        The first pass is the training; the validation, if there was one, the second.
        What a callback evaluates comes after them.
        """
        passes = [*self.metric.passes, ops.convert_to_numpy(self.metric.sums)]
        logs = {}
        for prefix, sums in zip(("", "val_")[: 1 + validated], passes, strict=False):
            for name, value in zip(self.names, sums[1:-1], strict=True):
                logs[prefix + name] = float(value / sums[-1])
        return logs

    def detach(self) -> None:
        """Give the model back as it was."""
        if self.held_by(self.model) is not self:
            return
        for name in ("compute_loss", "train_step", "test_step"):
            delattr(self.model, name)
        self.model._metrics.remove(self.metric)
        self.model.train_function = None
        self.model.test_function = None

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the total that Keras would return, and log its terms."""
        data = self._compute_loss(x, y, y_pred, sample_weight, training)
        values = self._values()
        first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
        self.metric.update_state([data, *values], ops.shape(first)[0])
        terms = [self.model._aggregate_additional_loss(value) for value in values]
        return ops.sum([data, *terms]) if terms else data

    def _silent(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def silent(*args: Any) -> Any:
            with self._penalties.silenced() as self._values:
                return step(*args)

        return silent
