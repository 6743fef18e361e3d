"""What the data asks of the weights, and how far a penalty is from giving it.

What is compared with the data's gradient is the subdifferential of the
penalty, at a kink too, and never the one slope that a backend picks there.
"""

import contextlib
import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from kregkit.errors import ModelError
from kregkit.kkt.data_loss import DataLoss, Loss, Term, over_of
from kregkit.kkt.gradient import gradient
from kregkit.numerics import Tensor, accumulable
from kregkit.optimizers import proximable, unhandled
from kregkit.watch.measuring import compiled
from kregkit.watch.penalties import total
from kregkit.watch.rows import arrays, count, take
from kregkit.weights import walk

_STEP: Final = 2.0**-64
"""Times the larger of `max|u|` and the strength: the step of the prox at zeros. For
all parameters of all penalties it is below the limit of convexity, and what the prox
shrinks beside the step is below what float32 can tell."""

INSIDE: Final = 0.1
"""A weight is inside where its distance is at most this share of the strength."""

_SAMPLE: Final = 48
"""Rows on which it is tried whether a term of batches is that of all of them."""


class NegativeGradient:
    """`u = −∂(data loss)/∂w` of every trained weight, in inference mode.

    The data loss is that of all rows at once: what the model trains on while every
    regularizer is silent. What layers add by `add_loss` is a part of it. Nothing of the
    model is changed.

    Args:
        model: a built model.
        loss: a function of y and outputs; without it that of `compile`.

    Raises:
        ModelError: a model without weights, or without a loss; another backend than
            TensorFlow, JAX and PyTorch.
    """

    def __init__(self, model: Any, loss: Loss | None = None) -> None:
        backend = keras.backend.backend()
        if backend not in ("tensorflow", "jax", "torch"):
            raise ModelError(
                "optimality: gradients are taken on TensorFlow, JAX and PyTorch; Keras "
                f"runs on {backend}."
            )
        if not model.built:
            raise ModelError(
                f"optimality: model {model.name!r} has no weights yet; begin it with "
                "`keras.Input`, or call it on data."
            )
        self.model = model
        self._loss = DataLoss(model, loss)
        trained = {id(variable) for variable in model.trainable_variables}
        self.weights = [w for w in walk(model) if id(w.variable) in trained]
        self._variables = list(model.variables)
        place = {id(variable): index for index, variable in enumerate(self._variables)}
        self._places = [place[id(weight.variable)] for weight in self.weights]
        penalties = self._loss.penalties
        self.activities = penalties.paths[: len(penalties.layers)]
        # Partial: TensorFlow warns of one function that is traced for many models.
        self._add = compiled(functools.partial(self._added))
        self._measure = compiled(functools.partial(self._measured))
        self._over: list[str] = []

    def __call__(
        self, x: Any, y: Any, batch_size: int, sample_weight: Any = None
    ) -> list[Any]:
        """Return `u` of each of `weights`, as arrays.

        Raises:
            ParameterError: x, y and weights have no rows, or not as many as each other;
                more rows than a batch, and a loss that is not one over rows.
            ModelError: a loss of `compile` without a reduction.
        """
        data = (x, y, sample_weight)
        names = ("x", "y", "sample_weight")
        data = tuple(
            arrays("optimality", *own) for own in zip(names, data, strict=True)
        )
        rows = count("optimality", **dict(zip(names, data, strict=True)))
        self._loss.build(*take(data[:2], slice(0, 1)))
        values = [variable.value for variable in self._variables]
        sums = [ops.zeros_like(values[place]) for place in self._places]
        if rows <= batch_size:
            sums = self._add(sums, values, *take(data, slice(None)), None)
            return [ops.convert_to_numpy(u) for u in sums]
        if not self._over:  # as it is when the functions below are traced
            self._over = self._tried(values, data, rows, batch_size)
        begins = range(0, rows, batch_size)
        batches = [slice(begin, min(begin + batch_size, rows)) for begin in begins]
        totals = self._totals(values, data, batches, rows)
        for batch in batches:
            sums = self._add(sums, values, *take(data, batch), totals)
        return [ops.convert_to_numpy(u) for u in sums]

    def _added(
        self,
        sums: list[Tensor],
        values: list[Tensor],
        x: Any,
        y: Any,
        weights: Any,
        totals: Tensor | None,
    ) -> list[Tensor]:
        """Return the sums with what a batch adds; without totals, it is all rows."""

        def data_loss(own: list[Tensor]) -> tuple[Tensor, None]:
            given = list(values)
            for place, w in zip(self._places, own, strict=True):
                given[place] = w
            with self._at(given):
                if totals is None:
                    return self._loss.whole(x, y, weights), None
                terms = self._loss.terms(x, y, weights)
                sizes = self._sizes(terms, x)
                shares = ops.unstack(sizes / totals)
                return sum(
                    ops.cast(share, term.value.dtype) * term.value
                    for term, share in zip(terms, shares, strict=True)
                ), None

        gradients, _ = gradient(data_loss, [values[place] for place in self._places])
        return [u - g for u, g in zip(sums, gradients, strict=True)]

    def _measured(self, values: list[Tensor], x: Any, y: Any, weights: Any) -> Tensor:
        with self._at(values):
            return self._sizes(self._loss.terms(x, y, weights), x)

    @contextlib.contextmanager
    def _at(self, values: list[Tensor]) -> Iterator[None]:
        """Let the model have these values, and no penalties."""
        mapping = list(zip(self._variables, values, strict=True))
        penalties = self._loss.penalties
        with (
            penalties.silenced(),
            penalties.absent(),
            keras.StatelessScope(state_mapping=mapping, collect_losses=True),
        ):
            yield

    def _sizes(self, terms: list[Term], x: Any) -> Tensor:
        """Return by what the terms of a batch count beside those of others."""
        first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
        of = {"rows": ops.shape(first)[0], "sum": 1.0}
        sizes = [
            term.size if over == "size" else of[over]
            for term, over in zip(terms, self._over, strict=True)
        ]
        return ops.stack([ops.cast(size, _dtype()) for size in sizes])

    def _totals(
        self, values: list[Tensor], data: Any, batches: list[slice], rows: int
    ) -> Tensor:
        """Return the sizes of the terms of all rows together."""
        totals = np.array([rows if over == "rows" else 1.0 for over in self._over])
        if "size" in self._over:
            each = [self._measure(values, *take(data, batch)) for batch in batches]
            found = np.sum([ops.convert_to_numpy(sizes) for sizes in each], axis=0)
            masked = np.array(self._over) == "size"
            totals[masked] = found[masked]
        # Where all rows are masked, or have no weight, there is no loss.
        return ops.convert_to_tensor(np.where(totals, totals, 1.0), _dtype())

    def _tried(
        self, values: list[Tensor], data: Any, rows: int, batch_size: int
    ) -> list[str]:
        """Return what each term is over, tried on two parts of a sample and on both.

        Raises:
            ParameterError: a term of both is not that of the two parts.
        """
        sample = np.unique(np.linspace(0, rows - 1, min(rows, _SAMPLE)).astype(int))
        parts = [sample[::3], np.setdiff1d(sample, sample[::3]), sample]
        found = []
        for part in parts:
            with self._at(values):
                found.append(self._loss.terms(*take(data, np.sort(part))))
        sizes = [len(part) for part in parts]
        return [
            over_of(self.model, sizes, list(terms), batch_size)
            for terms in zip(*found, strict=True)
        ]


def _dtype() -> str:
    """Return the dtype of counts: they overflow half precision."""
    return "float64" if keras.config.floatx() == "float64" else "float32"


def distance(regularizer: Any, w: Tensor, u: Tensor) -> Tensor:
    """Return `u` minus the nearest point of the subdifferential of a penalty at `w`.

    Where a weight is not zero it is `u − ∂penalty/∂w`: there the penalties of this
    package are smooth. At zeros it is `prox(w + s·u, s·strength)/s` for a small step
    s, which is exact to rounding, since there nothing is subtracted: of L1 the soft
    threshold of `u`. Elsewhere that form would lose `u` beside `w/s` in float32; a
    penalty with kinks there takes it in float64, which JAX has not.

    Returns:
        A tensor of the shape of `w`; NaN where the subdifferential is not known: at the
        zeros of a regularizer that has no proximal operator, and of penalties with
        other kinks on JAX.
    """
    w, u = (accumulable(ops.convert_to_tensor(tensor)) for tensor in (w, u))
    regularizer = unhandled(regularizer)
    if regularizer is None:
        return u
    smooth = u - slope(regularizer, w)
    penalty = proximable(regularizer)
    if penalty is None:
        return ops.where(w == 0, float("nan"), smooth)
    if not penalty.smooth_off_zero:
        return _by_step(penalty, w, u)
    strength = ops.convert_to_tensor(penalty.strength, w.dtype)
    scale = ops.maximum(ops.max(ops.abs(u), initial=0.0), strength)
    step = _STEP / ops.where(scale > 0, scale, ops.ones_like(scale))
    at_zeros = penalty.prox(w + step * u, step * strength) / step
    return ops.where(w == 0, at_zeros, smooth)


def _by_step(penalty: Any, w: Tensor, u: Tensor) -> Tensor:
    """Return `(prox(w + s·u, s·strength) − w)/s` for a step that parts no two weights.

    With `s·|u|` at 1e-9 of the largest weight, two float32 weights stay apart, and
    float64 keeps seven digits of the difference.
    """
    if keras.backend.backend() == "jax":
        return ops.full_like(w, float("nan"))
    wide, pull = (ops.cast(tensor, "float64") for tensor in (w, u))
    strength = ops.cast(penalty.strength, "float64")
    scale = ops.max(ops.abs(pull), initial=0.0)
    scale = ops.where(scale < strength, strength, scale)
    size = ops.max(ops.abs(wide), initial=0.0)
    one = ops.ones_like(size)
    step = 1e-9 * ops.where(size > 0, size, one) / ops.where(scale > 0, scale, one)
    found = (penalty.prox(wide + step * pull, step * strength) - wide) / step
    return ops.cast(found, w.dtype)


def slope(regularizer: Any, w: Tensor) -> Tensor:
    """Return the gradient of a regularizer; at a kink, what the backend makes of it.

    Of one that is constant between its jumps it is 0.
    """
    regularizer = unhandled(regularizer)
    if not getattr(regularizer, "differentiable", True):
        return ops.zeros_like(w)
    # With its gradient, which a penalty that is handled has not where it is called.
    value = getattr(regularizer, "computed", regularizer)
    (found,), _ = gradient(lambda own: (total(value(own[0])), None), [w])
    return found


def root_mean_square(distances: Iterable[Any]) -> float | None:
    """Return `√(Σd²/n)` over all elements of arrays; None of none, or not finite."""
    arrays = [np.asarray(d, "float64") for d in distances]
    size = sum(d.size for d in arrays)
    if not size:
        return None
    found = math.sqrt(sum(np.square(d).sum() for d in arrays) / size)
    return found if math.isfinite(found) else None
