"""The data loss and every penalty of a model, as metrics of that model.

The one rule: the data loss is what Keras computes while the regularizers are silent,
never a difference of two sums, and the total that is trained on stays what it was.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from kregkit.numerics import Tensor
from kregkit.weights import Place, walk, walk_layers


class _Means(keras.metrics.Metric):
    """Means over samples of a fixed list of scalars, logged under their names."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(name="loss_terms")
        self.names = names
        self.total = self.add_variable((len(names),), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: list[Tensor], samples: Tensor) -> None:
        values = ops.stack([ops.cast(value, self.dtype) for value in values])
        samples = ops.cast(samples, self.dtype)
        self.total.assign_add(values * samples)
        self.count.assign_add(samples)

    def result(self) -> dict[str, Tensor]:
        means = ops.divide_no_nan(self.total, self.count)
        return {name: means[index] for index, name in enumerate(self.names)}


class LossTerms:
    """Adds `data_loss` and `penalty/<path>` to a model's metrics, until `detach`.

    While a training or test step is traced, every regularizer is silenced and its
    value computed beside the data loss. That makes `data_loss` exact, in validation
    too and whatever the order of callbacks, and covers losses that layers add by
    `add_loss`, which are data loss. Nothing is changed outside of a step, so that
    checkpoints written during training hold the model's own regularizers.
    """

    def __init__(self, model: Any, owner: object) -> None:
        self.model = model
        self.owner = owner
        trainable = {id(variable) for variable in model.trainable_variables}
        self.weights = [
            weight
            for weight in walk(model)
            if weight.variable.regularizer is not None
            and id(weight.variable) in trainable
        ]
        self.layers = [
            place
            for place in (Place("", model), *walk_layers(model))
            if place.layer.activity_regularizer is not None
        ]
        names = [f"penalty/{place.path}/activity" for place in self.layers]
        names += [f"penalty/{weight.path}" for weight in self.weights]
        self.metric = _Means(["data_loss", *names])
        self._recorded: dict[int, Tensor] = {}
        self._compute_loss = model.compute_loss
        model._metrics.append(self.metric)
        model.compute_loss = self.compute_loss
        model.train_step = self._silent_activities(model.train_step)
        model.test_step = self._silent_activities(model.test_step)
        # A step that was traced before knows nothing of this.
        model.make_train_function(force=True)
        model.test_function = None

    @classmethod
    def on(cls, model: Any, owner: object) -> "LossTerms":
        """Return the terms attached to `model`, attaching them where there are none."""
        held = getattr(model.compute_loss, "__self__", None)
        if isinstance(held, cls):  # of a fit that was interrupted, or another logger
            held.owner = owner
            return held
        return cls(model, owner)

    @staticmethod
    def obstacle(model: Any) -> str | None:
        """Return why the terms of this model cannot be told apart, or None."""
        if isinstance(getattr(model.compute_loss, "__self__", None), LossTerms):
            return None
        for name in ("train_step", "test_step", "compute_loss"):
            own = getattr(type(model), name) is not getattr(keras.Model, name)
            if own or name in model.__dict__:
                return f"model {model.name!r} has a `{name}` of its own"
        if model.loss is None:
            return f"model {model.name!r} was compiled without a loss"
        if keras.backend.backend() == "tensorflow":
            replicas = model.distribute_strategy.num_replicas_in_sync
            if replicas > 1:
                return f"model {model.name!r} trains on {replicas} replicas"
        return None

    def detach(self, owner: object) -> None:
        """Give the model back as it was, unless another owner has taken over."""
        if owner is not self.owner:
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
        regularizers = [weight.variable.regularizer for weight in self.weights]
        for weight in self.weights:
            weight.variable.regularizer = None
        try:
            data = self._compute_loss(x, y, y_pred, sample_weight, training)
        finally:
            for weight, held in zip(self.weights, regularizers, strict=True):
                weight.variable.regularizer = held
        zero = ops.zeros((), "float32")
        values = [self._recorded.get(id(place.layer), zero) for place in self.layers]
        values += [
            regularizer(weight.variable.value)
            for weight, regularizer in zip(self.weights, regularizers, strict=True)
        ]
        first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
        self.metric.update_state([data, *values], ops.shape(first)[0])
        terms = [self.model._aggregate_additional_loss(value) for value in values]
        return ops.sum([data, *terms]) if terms else data

    def _silent_activities(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def silent(*args: Any) -> Any:
            with self._recording():
                return step(*args)

        return silent

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        self._recorded.clear()
        held = [place.layer.activity_regularizer for place in self.layers]
        for place, regularizer in zip(self.layers, held, strict=True):
            place.layer.activity_regularizer = self._recorder(place.layer, regularizer)
        try:
            yield
        finally:
            for place, regularizer in zip(self.layers, held, strict=True):
                place.layer.activity_regularizer = regularizer
            self._recorded.clear()

    def _recorder(
        self, layer: Any, regularizer: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        def record(output: Tensor) -> Tensor:
            value = regularizer(output)
            batch = ops.cast(ops.shape(output)[0], value.dtype)
            value = ops.divide_no_nan(value, batch)
            earlier = self._recorded.get(id(layer))
            self._recorded[id(layer)] = value if earlier is None else earlier + value
            return ops.zeros((), value.dtype)

        return record
