"""The negative gradient u of the data loss, and its distance to a subdifferential.

At kinks, `distance` uses the whole subdifferential of the penalty. A backend's gradient
is only one element of it.
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
from kregkit.numerics import Tensor, accumulable, safe_divisor
from kregkit.optimizers import proximable, unhandled
from kregkit.watch.measuring import compiled
from kregkit.watch.penalties import total
from kregkit.watch.rows import arrays, count, take
from kregkit.weights import walk

_STEP: Final = 2.0**-64
"""The step of the proximal operator at zeros, divided by the larger of `max|u|` and the
strength. It is small enough for a convex proximal problem with all parameters of all
penalties, and for effects of second order to vanish in float32."""

_SAMPLE: Final = 48
"""The number of rows on which the reduction of each loss term is tested."""


class NegativeGradient:
    """`u = −∂(data loss)/∂w` of each trained weight, in inference mode.

    The data loss is the loss of all rows at once without regularizers. Losses that
    layers add by `add_loss` are part of it. The model is not changed.

    Args:
        model: a built model.
        loss: a function of y and outputs; None: the loss of `compile`.

    Raises:
        ModelError: the model has no weights or no loss, or the backend is not
            TensorFlow, JAX or PyTorch.
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
        # `partial`, since TensorFlow warns if one function is traced for many models.
        self._add = compiled(functools.partial(self._added))
        self._measure = compiled(functools.partial(self._measured))
        self._over: list[str] = []

    def __call__(
        self, x: Any, y: Any, batch_size: int, sample_weight: Any = None
    ) -> list[Any]:
        """Return `u` of each of `weights`, as arrays.

        Raises:
            ParameterError: x, y and sample weights have no rows, or different numbers
                of rows; or there are more rows than a batch, and the loss is neither a
                mean nor a sum over rows.
            ModelError: the loss of `compile` has no reduction.
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
        if not self._over:  # the functions below are traced with this value
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
        """Return the sums plus u of a batch; without totals, the batch is all rows."""

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
        """Use these values for the model's variables, without penalties."""
        mapping = list(zip(self._variables, values, strict=True))
        penalties = self._loss.penalties
        with (
            penalties.silenced(),
            penalties.absent(),
            keras.StatelessScope(state_mapping=mapping, collect_losses=True),
        ):
            yield

    def _sizes(self, terms: list[Term], x: Any) -> Tensor:
        """Return the weights of a batch's terms relative to other batches."""
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
        """Return the sizes of the terms over all rows."""
        totals = np.array([rows if over == "rows" else 1.0 for over in self._over])
        if "size" in self._over:
            each = [self._measure(values, *take(data, batch)) for batch in batches]
            found = np.sum([ops.convert_to_numpy(sizes) for sizes in each], axis=0)
            masked = np.array(self._over) == "size"
            totals[masked] = found[masked]
        # If all rows are masked or have weight 0, the loss is 0.
        return ops.convert_to_tensor(np.where(totals, totals, 1.0), _dtype())

    def _tried(
        self, values: list[Tensor], data: Any, rows: int, batch_size: int
    ) -> list[str]:
        """Return the reduction of each term, tested on two parts of a sample.

        Raises:
            ParameterError: a term is neither a mean nor a sum over rows.
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
    """Return the dtype for counts, which overflow float16."""
    return "float64" if keras.config.floatx() == "float64" else "float32"


def distance(regularizer: Any, w: Tensor, u: Tensor) -> Tensor:
    """Return `u` minus the nearest point of a penalty's subdifferential at `w`.

    Penalties that are smooth away from zero have `u − ∂penalty/∂w` at nonzero weights.
    At zeros the result is `prox(w + s·u, s·strength)/s` for a small step s, which is
    exact to rounding since nothing is subtracted; for L1 it is the soft threshold of
    `u`. At nonzero weights this form would lose `u` beside `w/s` in float32. Penalties
    with kinks at nonzero weights use it in float64, which JAX does not have.

    Returns:
        A tensor of the shape of `w`, with NaN where the subdifferential is not known:
        at zeros of a regularizer without a proximal operator, and on JAX for penalties
        with kinks at nonzero weights.
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
    step = _STEP / safe_divisor(scale)
    at_zeros = penalty.prox(w + step * u, step * strength) / step
    return ops.where(w == 0, at_zeros, smooth)


def _by_step(penalty: Any, w: Tensor, u: Tensor) -> Tensor:
    """Return `(prox(w + s·u, s·strength) − w)/s`, in float64.

    With `s·|u|` at most 1e-9 of the largest weight, distinct float32 weights stay
    distinct, and float64 keeps seven digits of the difference.
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
    """Return the gradient of a regularizer; at a kink, the backend's subgradient.

    For a penalty that is constant between jumps, it is 0.
    """
    regularizer = unhandled(regularizer)
    if not getattr(regularizer, "differentiable", True):
        return ops.zeros_like(w)
    # `computed` has the gradient; a call of a handled penalty does not.
    value = getattr(regularizer, "computed", regularizer)
    (found,), _ = gradient(lambda own: (total(value(own[0])), None), [w])
    return found


def root_mean_square(distances: Iterable[Any]) -> float | None:
    """Return `√(Σd²/n)` over all elements of arrays; None if empty or not finite."""
    arrays = [np.asarray(d, "float64") for d in distances]
    size = sum(d.size for d in arrays)
    if not size:
        return None
    found = math.sqrt(sum(np.square(d).sum() for d in arrays) / size)
    return found if math.isfinite(found) else None
