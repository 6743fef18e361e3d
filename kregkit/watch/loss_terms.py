"""Sums the data loss and each penalty of a model while it trains and validates."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit import _keras
from kregkit.errors import ModelError
from kregkit.numerics import Tensor
from kregkit.watch.penalties import Penalties

_STEPS = ("train_step", "test_step")
CUSTOM = (*_STEPS, "compute_loss", "compute_metrics", "metrics")
"""What a model must not override, for the loss terms to be separable."""
_PASSES = ("evaluate", "test_on_batch", "train_on_batch")


def overridden(model: Any, names: Iterable[str]) -> str | None:
    """Return the first of these members of `keras.Model` that a model overrides."""
    for name in names:
        own = getattr(type(model), name) is not getattr(keras.Model, name)
        if own or name in model.__dict__:
            return name
    return None


class LossTerms:
    """Measures the data loss and each penalty of a model, until `detach`.

    During the trace of a training or test step, all regularizers return zero, and their
    values are computed separately. The sums are variables that no metric reports, so
    the model's return values do not change. The logs of `fit` get `data_loss` and the
    penalties before any callback sees them, and with `val_` for validation. Data on
    which a callback evaluates, tests or trains do not count.

    Keras's mean of the loss restarts when a callback evaluates within an epoch. Only
    then `loss` in the logs is replaced by the mean over the batches of this epoch.

    `kept` terms stay attached after a `fit`, with the steps traced for them. The caller
    must then not change the regularizers.
    """

    def __init__(self, model: Any, kept: bool = False) -> None:
        self.model = model
        self.kept = kept
        self._penalties = Penalties(model)
        self.names = ["data_loss", *(f"penalty/{p}" for p in self._penalties.paths)]
        self._values: Callable[[], list[Tensor]] | None = None  # within a step only
        self._inside = 0  # the number of running calls of `_PASSES`
        self._validating = False
        self._mixed = False
        # One sum for each term, then the number of rows and of batches.
        shape = (len(self.names) + 2,)
        self._sums = _keras.add_step_variables(model, shape, "training", "validation")
        self._training, self._validation = self._sums
        self.original = model.compute_loss
        self._reported = _keras.reported(model)
        # Build the optimizer before the step, in which it could not see regularizers.
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.compute_loss = self.compute_loss
        for name in _STEPS:
            setattr(model, name, self._silent(getattr(model, name)))
        model.evaluate = self._watched_evaluate(model.evaluate)
        for name in _PASSES[1:]:
            setattr(model, name, self._unwatched(getattr(model, name)))
        _keras.replace_reported(model, self._report)
        # Trace the steps again, with the loss terms.
        model.make_train_function(force=True)
        model.test_function = None

    @staticmethod
    def held_by(model: Any) -> "LossTerms | None":
        """Return the terms that are attached to a model, or None."""
        held = getattr(model.compute_loss, "__self__", None)
        return held if isinstance(held, LossTerms) else None

    @classmethod
    def untouched(cls, model: Any) -> Callable[..., Tensor]:
        """Return the model's `compute_loss` without loss terms."""
        held = cls.held_by(model)
        return model.compute_loss if held is None else held.original  # type: ignore[no-any-return]  # Keras is untyped

    @staticmethod
    def obstacle(model: Any) -> str | None:
        """Return why this model's loss terms cannot be separated, or None."""
        own = overridden(model, CUSTOM)
        if own is not None:
            return f"model {model.name!r} has its own `{own}`"
        if model.loss is None:
            return f"model {model.name!r} was compiled without a loss"
        if "data" in (getattr(model, "output_names", None) or ()):
            return f"model {model.name!r} has an output 'data' with a loss of that name"
        if keras.backend.backend() == "tensorflow":
            replicas = model.distribute_strategy.num_replicas_in_sync
            if replicas > 1:
                return f"model {model.name!r} trains on {replicas} replicas"
        return None

    @property
    def batches(self) -> int:
        """The number of training batches in this epoch; on JAX, synchronize first."""
        return round(float(ops.convert_to_numpy(self._training)[-1]))

    def begin_epoch(self) -> None:
        """Reset the sums of the training batches."""
        self._training.assign(ops.zeros(self._training.shape))
        self._mixed = False

    def detach(self) -> None:
        """Restore the model."""
        if self.held_by(self.model) is not self:
            return
        for name in ("compute_loss", *_STEPS, *_PASSES):
            delattr(self.model, name)
        _keras.restore_reported(self.model)
        _keras.remove_step_variables(self.model, self._sums)
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
        """Return the total loss as Keras would, and add its terms within a step."""
        data = self.original(x, y, y_pred, sample_weight, training)
        if self._values is None:
            return data
        # Penalties of float64 layers are float64, which Keras cannot add to its loss.
        values = [ops.cast(value, data.dtype) for value in self._values()]
        first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
        self._add(
            self._training if training else self._validation,
            [data, *values],
            ops.shape(first)[0],
        )
        terms = [_keras.aggregated(self.model, value) for value in values]
        return ops.sum([data, *terms]) if terms else data

    def _add(self, sums: Any, terms: list[Tensor], rows: Any) -> None:
        """Add the terms of one batch, as one vector to save operations."""
        rows = ops.cast(rows, sums.dtype)
        one = ops.ones((), sums.dtype)
        means = ops.stack([*(ops.cast(term, sums.dtype) for term in terms), one])
        sums.assign_add(ops.append(means * rows, one))

    def _silent(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def silent(*args: Any) -> Any:
            with self._penalties.silenced() as self._values:
                try:
                    return step(*args)
                finally:
                    self._values = None

        return silent

    def _watched_evaluate(self, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        """Return an `evaluate` that adds the terms if `fit` calls it."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            if self._inside or not _keras.is_validation(kwargs):
                with self._apart():
                    return evaluate(*args, **kwargs)
            self._validation.assign(ops.zeros(self._validation.shape))
            self._inside, self._validating, self._mixed = 1, True, False
            try:
                return evaluate(*args, **kwargs)
            finally:
                self._inside, self._validating = 0, False

        return watched

    def _unwatched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def unwatched(*args: Any, **kwargs: Any) -> Any:
            with self._apart():
                return call(*args, **kwargs)

        return unwatched

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        """Restore the sums after a pass that is not part of `fit`."""
        held = [ops.convert_to_numpy(sums).copy() for sums in self._sums]
        self._inside += 1
        self._mixed = True
        try:
            yield
        finally:
            self._inside -= 1
            for sums, values in zip(self._sums, held, strict=True):
                sums.assign(values)

    def _report(self, logs: Any) -> dict[str, Any]:
        """Return Keras's logs of a pass over data; for passes of `fit`, with the terms.

        Keras calls it after the batches of an epoch, and in `evaluate`.
        """
        found = self._reported(logs)
        if self._inside == 0:
            return self._with_terms(found, self._training)
        if self._inside == 1 and self._validating:
            return self._with_terms(found, self._validation)
        return found

    def _with_terms(self, logs: dict[str, Any], sums: Any) -> dict[str, Any]:
        *totals, rows, _ = ops.convert_to_numpy(sums).astype("float64")
        means = [float(total / rows) if rows else 0.0 for total in totals]
        terms = dict(zip(self.names, means, strict=True))
        taken = sorted(set(terms) & set(logs))
        if taken:
            raise ModelError(
                f"RegularizationLogger: model {self.model.name!r} reports {taken[0]!r} "
                "itself; give that metric another name."
            )
        if self._mixed or _keras.seen_rows(self.model) != rows:
            terms["loss"] = float(np.sum(means))
        return {**logs, **terms}
