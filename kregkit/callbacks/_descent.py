"""What the data asks of the weights, and how far a penalty is from giving it.

The one rule: what is compared with the data's gradient is the subdifferential of the
penalty, at a kink too, and never the one slope that a backend picks there.
"""

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from kregkit.callbacks._gradient import gradient
from kregkit.callbacks._loss_terms import LossTerms
from kregkit.callbacks._measuring import compiled
from kregkit.callbacks._penalties import Penalties, total
from kregkit.errors import ModelError, ParameterError, must
from kregkit.numerics import Tensor, accumulable
from kregkit.optimizers import proximable, unhandled
from kregkit.weights import walk

_STEP: Final = 2.0**-64
"""Times the larger of `max|u|` and the strength: the step of the prox at zeros. For
all parameters of all penalties it is below the limit of convexity, and what the prox
shrinks beside the step is below what float32 can tell."""

INSIDE: Final = 0.1
"""A weight is inside where its distance is at most this share of the strength."""

Loss = Callable[[Any, Any], Tensor]


class Descent:
    """`u = −∂(data loss)/∂w` of every trained weight: the mean over rows, inference.

    The data loss is what the model trains on while every regularizer is silent; what
    layers add by `add_loss` is a part of it. Nothing of the model is changed.

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
        if loss is None and getattr(model, "_compile_loss", None) is None:
            raise ModelError(
                f"optimality: model {model.name!r} was compiled without a loss; "
                "compile it with one, or give `loss`."
            )
        self.model = model
        trained = {id(variable) for variable in model.trainable_variables}
        self.weights = [w for w in walk(model) if id(w.variable) in trained]
        self._variables = list(model.variables)
        place = {id(variable): index for index, variable in enumerate(self._variables)}
        self._places = [place[id(weight.variable)] for weight in self.weights]
        self._loss = loss
        self._penalties = Penalties(model)
        paths = self._penalties.paths
        self.activities = paths[: len(self._penalties.layers)]
        # Partial: TensorFlow warns of one function that is traced for many models.
        self._add = compiled(functools.partial(self._added))

    def __call__(self, x: Any, y: Any, batch_size: int) -> list[Any]:
        """Return `u` of each of `weights`, as arrays.

        Raises:
            ParameterError: x and y have no rows, or not as many as each other.
        """
        counts = {len(leaf) for leaf in keras.tree.flatten((x, y))}
        if len(counts) != 1 or counts == {0}:
            rule = "of as many rows as `x`, which must be at least one"
            raise ParameterError(must("optimality", "y", rule, sorted(counts)))
        (count,) = counts
        self._build_loss(x, y)
        values = [variable.value for variable in self._variables]
        sums = [ops.zeros_like(values[place]) for place in self._places]
        for start in range(0, count, batch_size):
            rows = slice(start, min(start + batch_size, count))
            now = keras.tree.map_structure(
                lambda leaf, r=rows: _tensor(leaf[r]), (x, y)
            )
            share = ops.convert_to_tensor((rows.stop - start) / count, "float32")
            sums = self._add(sums, values, *now, share)
        return [ops.convert_to_numpy(u) for u in sums]

    def _added(
        self, sums: list[Tensor], values: list[Tensor], x: Any, y: Any, share: Tensor
    ) -> list[Tensor]:
        """Return the sums with what so many rows add."""

        def data_loss(own: list[Tensor]) -> tuple[Tensor, None]:
            given = list(values)
            for place, w in zip(self._places, own, strict=True):
                given[place] = w
            mapping = list(zip(self._variables, given, strict=True))
            with (
                self._penalties.silenced(),
                keras.StatelessScope(state_mapping=mapping, collect_losses=True),
            ):
                outputs = self.model(x, training=False)
                if self._loss is None:
                    compute = LossTerms.untouched(self.model)
                    return compute(x=x, y=y, y_pred=outputs), None
                loss = ops.mean(accumulable(self._loss(y, outputs)))
                added = (total(accumulable(term)) for term in self.model.losses)
                return sum(added, loss), None

        gradients, _ = gradient(data_loss, [values[place] for place in self._places])
        return [
            u - ops.cast(share, u.dtype) * g
            for u, g in zip(sums, gradients, strict=True)
        ]

    def _build_loss(self, x: Any, y: Any) -> None:
        """Let Keras make what it counts losses with, which no trace may do on JAX."""
        loss = self.model._compile_loss if self._loss is None else None
        if loss is not None and not loss.built:
            first = keras.tree.map_structure(lambda leaf: _tensor(leaf[:1]), (x, y))
            loss.build(first[1], self.model(first[0], training=False))


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
    if not penalty.kinks_at_zero_alone:
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


def _tensor(leaf: Any) -> Tensor:
    """Return an array as `fit` gives it to a model: of floatx, where it is floats."""
    leaf = np.asarray(leaf)
    floats = np.issubdtype(leaf.dtype, np.floating)
    return ops.convert_to_tensor(leaf, keras.config.floatx() if floats else None)
