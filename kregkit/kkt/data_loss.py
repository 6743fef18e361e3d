"""The data loss of all rows of a model's training data, computed from batches."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from kregkit import _keras
from kregkit.errors import ModelError, ParameterError, must
from kregkit.numerics import Tensor, accumulable
from kregkit.watch.loss_terms import LossTerms
from kregkit.watch.penalties import Penalties, total

Loss = Callable[[Any, Any], Tensor]

_EXACT = ("float32", "float64")


@dataclass
class Term:
    """One term of the loss of a batch, with its reduction.

    `over` is "rows" for a mean over rows; "sum" for a sum over rows; "size" for a mean
    over masked time steps or sample weights, with their number or sum as `size`; and
    "unknown" for the result of a function, or a loss that a layer adds.
    """

    name: str
    value: Tensor
    over: str = "unknown"
    size: Tensor | None = None


class DataLoss:
    """The data loss of a model, in inference mode, without penalties.

    Args:
        model: a built model.
        loss: a function of y and outputs; None: the loss of `compile`.

    Raises:
        ModelError: the model has no loss, or its loss of `compile` is not reduced.
    """

    def __init__(self, model: Any, loss: Loss | None) -> None:
        # A custom `compute_loss` is one term.
        compute = LossTerms.untouched(model)
        self._own = getattr(compute, "__func__", None) is not keras.Model.compute_loss
        if loss is None and not self._own and not _keras.compiled_loss(model):
            raise ModelError(
                f"optimality: model {model.name!r} was compiled without a loss; "
                "compile it with one, or give `loss`."
            )
        self.model = model
        self.penalties = Penalties(model)
        self._loss = loss

    def build(self, x: Any, y: Any) -> None:
        """Let Keras build its compiled loss, which a trace on JAX cannot do."""
        loss = _keras.compiled_loss(self.model)
        if self._loss is not None or loss is None:
            return
        if not loss.built:
            loss.build(y, self.answer(x))
        for part in _keras.parts(self.model):
            if getattr(part.loss, "reduction", "sum") in (None, "none"):
                raise ModelError(
                    f"optimality: the loss {part.loss.name!r} of model "
                    f"{self.model.name!r} has `reduction=None`: it returns a value for "
                    "each row, so the trained loss is not defined. Give it a reduction."
                )

    def answer(self, x: Any) -> Any:
        """Return the outputs of the model in inference mode."""
        return self.model(x, **_keras.training_argument(self.model, False))

    def whole(self, x: Any, y: Any, weights: Any) -> Tensor:
        """Return the loss of these rows, as Keras computes it."""
        if self._loss is None:
            outputs = self.answer(x)
            return self._computed(x, y, outputs, weights)
        first, *others = (accumulable(t.value) for t in self.terms(x, y, weights))
        return sum(others, first)

    def _computed(self, x: Any, y: Any, outputs: Any, weights: Any) -> Tensor:
        compute = LossTerms.untouched(self.model)
        told = "training" in inspect.signature(compute).parameters
        return compute(x, y, outputs, weights, **({"training": False} if told else {}))

    def terms(self, x: Any, y: Any, weights: Any) -> list[Term]:
        """Return the terms of the loss of these rows; `whole` is their sum."""
        outputs = self.answer(x)
        found: list[Term] = []
        if self._loss is not None:
            found.append(self._given(y, outputs, weights))
        elif self._own:
            return [Term("`compute_loss`", self._computed(x, y, outputs, weights))]
        else:
            with _keras.watched_parts(self.model, self._watch(found)):
                _keras.compiled_loss(self.model)(y, outputs, weights)
            if not keras.tree.is_nested(y) and not keras.tree.is_nested(outputs):
                del found[1:]  # of several losses, Keras trains on the first
        added = [total(accumulable(term)) for term in self.model.losses]
        return found + [
            Term(f"the layers' `add_loss` ({i})", value)
            for i, value in enumerate(added, 1)
        ]

    def _given(self, y: Any, outputs: Any, weights: Any) -> Term:
        """Return the term of the argument `loss`, which replaces that of `compile`."""
        if isinstance(self._loss, keras.losses.Loss):
            value = ops.mean(accumulable(self._loss(y, outputs, weights)))
            over = _over(self._loss, y, outputs, weights)
            return Term(f"the loss {self._loss.name!r}", value, *over)
        assert self._loss is not None  # the caller has checked
        values = accumulable(self._loss(y, outputs))
        if weights is not None:
            if len(values.shape) == 0:
                rule = "a function that returns a value for each row, for the weights"
                raise ParameterError(must("optimality", "loss", rule, self._loss))
            axes = list(range(1, len(values.shape)))
            values = ops.mean(values, axis=axes) if axes else values
            weights = ops.reshape(ops.cast(weights, values.dtype), (-1,))
            values = values * weights
        return Term("`loss`", ops.mean(values))

    def _watch(self, found: list[Term]) -> Callable[[Any], Any]:
        """Return a wrapper for a part of the loss that appends its term to `found`."""

        def watch(part: Any) -> Any:
            def loss(y: Any, outputs: Any, weights: Any = None) -> Tensor:
                value = part.loss(y, outputs, weights)
                factor = 1.0 if part.loss_weights is None else part.loss_weights
                over = _over(part.loss, y, outputs, weights)
                found.append(Term(f"the loss {part.name!r}", value * factor, *over))
                return value

            return loss

        return watch


def _over(loss: Any, y: Any, outputs: Any, weights: Any) -> tuple[str, Tensor | None]:
    """Return the reduction of a loss, and its size.

    The size is the sum of the loss with all values set to 1. It contains masks and
    weights exactly as Keras applies them.
    """
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        return "unknown", None
    if loss.reduction == "sum":
        return "sum", None
    weighted = loss.reduction == "mean_with_sample_weight" and weights is not None
    ranks: list[int] = []

    def ones(*given: Any) -> Tensor:
        values = own(*given)
        ranks.append(len(values.shape))
        return ops.ones_like(values)

    own, held, reduction = loss.call, loss.__dict__.get("call"), loss.reduction
    loss.call, loss.reduction = ones, "sum"
    try:
        size = loss(y, outputs, weights if weighted else None)
    finally:
        loss.reduction = reduction
        if held is None:
            del loss.call
        else:
            loss.call = held
    if ranks[0] == 0:  # a function that returns a mean
        return "unknown", None
    masked = _keras.mask_of(outputs) is not None
    return ("size", size) if weighted or masked else ("rows", None)


def over_of(model: Any, sizes: list[int], terms: list[Term], batch_size: int) -> str:
    """Return the reduction of a term, from its values on two parts and on both.

    Raises:
        ParameterError: the term is neither a mean nor a sum over rows.
    """
    first = terms[0]
    values = [float(ops.convert_to_numpy(term.value)) for term in terms]
    measures = {
        "rows": [float(size) for size in sizes],
        "sum": [1.0, 1.0, 1.0],
    }
    if first.over == "size":
        own = [float(ops.convert_to_numpy(term.size)) for term in terms]
        measures = {"size": own}
    elif first.over != "unknown":
        measures = {first.over: measures[first.over]}
    exact = keras.backend.standardize_dtype(model.compute_dtype) in _EXACT
    tolerance = 1e-4 if exact else 1e-2
    for over, measure in measures.items():
        one, other, both = (v * m for v, m in zip(values, measure, strict=True))
        if abs(one + other - both) <= tolerance * (abs(one) + abs(other) + abs(both)):
            return over
    raise ParameterError(
        f"optimality: {first.name} of model {model.name!r} is neither a mean nor a sum "
        f"over rows: for {sizes[0]} rows it is {values[0]:.6g}, for {sizes[1]} others "
        f"{values[1]:.6g}, for both {values[2]:.6g}. Pass at most {batch_size} rows, "
        "or a `batch_size` of at least the number of rows."
    )
