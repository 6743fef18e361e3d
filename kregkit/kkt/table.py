"""`optimality` tests the KKT conditions at a model's present weights.

It trains nothing, and does not change the model.
"""

import html
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from keras import ops

from kregkit.errors import ParameterError, must
from kregkit.kkt.data_loss import Loss
from kregkit.kkt.negative_gradient import (
    INSIDE,
    NegativeGradient,
    distance,
    root_mean_square,
)
from kregkit.optimizers import proximable, unhandled
from kregkit.regularizers._base import bound
from kregkit.store import frame
from kregkit.watch.rows import arrays, of_classes
from kregkit.weights import Weight

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

_COLUMNS: Final = {
    "layer": "str",
    "tensor": "str",
    "role": "str",
    "size": "int",
    "strength": "float",
    "kkt_residual": "float",
    "largest": "float",
    "inside_fraction": "float",
    "gradient_ratio": "float",
}


@dataclass(frozen=True, eq=False)
class TensorOptimality:
    """One weight tensor: `u = −∂(data loss)/∂w`, compared with its penalty.

    `w`, `u` and `distance` are arrays of one shape. The distance is `u` minus the
    nearest point of the subdifferential. It is NaN where that is not known: at zeros of
    a regularizer without a proximal operator. Without a penalty it is `u`. `strength`
    is None without a penalty, and for a regularizer without a strength.
    """

    layer: str
    tensor: str
    role: str
    penalty: Any
    strength: float | None
    w: Any
    u: Any
    distance: Any

    @property
    def kkt_residual(self) -> float | None:
        """Root mean square of the distance, in units of the gradient."""
        return root_mean_square([self.distance])

    @property
    def inside_fraction(self) -> float | None:
        """Share of weights with a distance of at most a tenth of the strength."""
        if self.strength is None or self.kkt_residual is None:
            return None
        return float(np.mean(np.abs(self.distance) <= INSIDE * self.strength))

    @property
    def gradient_ratio(self) -> float | None:
        """`‖u − distance‖/‖u‖`: the penalty's gradient relative to the data's.

        If no weight is zero, it is the norm of the penalty's gradient divided by the
        norm of the data loss's gradient. At a stationary point it is 1.
        """
        given = root_mean_square([np.float64(self.u) - self.distance])
        asked = root_mean_square([self.u])
        return None if given is None or not asked else given / asked

    def row(self) -> dict[str, Any]:
        """Return the row of the table."""
        residual = self.kkt_residual
        row = {name: getattr(self, name, None) for name in _COLUMNS}
        largest = None if residual is None else float(np.abs(self.distance).max())
        return row | {"size": self.w.size, "largest": largest}


@dataclass(frozen=True, eq=False)
class Optimality:
    """The result of `optimality`: one `TensorOptimality` for each trained weight."""

    tensors: tuple[TensorOptimality, ...]

    @property
    def kkt_residual(self) -> float | None:
        """Root mean square of the distance over all weights with a penalty."""
        return root_mean_square(
            [t.distance for t in self.tensors if t.penalty is not None]
        )

    def table(self) -> "pl.DataFrame":
        """Return a row for each tensor; undefined values are null.

        `kkt_residual` is the root mean square of the distance of u to the
        subdifferential, and `largest` is its largest magnitude, in units of the
        gradient. `inside_fraction` is the share of weights within 0.1·strength of the
        subdifferential. `gradient_ratio` is `‖penalty gradient‖/‖data gradient‖`, with
        the subgradient nearest to u.
        """
        table: pl.DataFrame = frame([t.row() for t in self.tensors], _COLUMNS)
        return table

    def plot(self) -> "Figure":
        """Return a figure of u against w, with each penalty's gradient as a line."""
        from kregkit.kkt.figure import plot

        return plot(self.tensors)

    def __repr__(self) -> str:
        """Return the residual over all penalised weights, in one line."""
        penalised = [tensor for tensor in self.tensors if tensor.penalty is not None]
        residual = self.kkt_residual
        found = "not defined" if residual is None else f"{residual:.3g}"
        return (
            f"<Optimality: {len(penalised)} of {len(self.tensors)} tensors penalised, "
            f"KKT residual {found}; see .table() and .plot()>"
        )

    def _repr_html_(self) -> str:
        """Return the table, for notebooks."""
        return f"<p>{html.escape(repr(self))}</p>{self.table()._repr_html_()}"


def optimality(
    model: Any,
    x: Any,
    y: Any,
    batch_size: int = 256,
    loss: Loss | None = None,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
) -> Optimality:
    """Return the distance of each weight from the KKT conditions.

    A minimum of data loss and penalties has `u ∈ strength·∂value(w)` for each weight,
    with `u = −∂(data loss)/∂w`. For L1: `|u| <= strength` where `w = 0`, and
    `u = strength·sign(w)` elsewhere. For L2: `u = 2·strength·w`. The data loss is
    `model.compute_loss` of all rows at once, in inference mode, without penalties. It
    has the reduction, masks and weights of the training, and the losses that layers add
    by `add_loss`. Keras's own regularizers count as the same penalties of kregkit.

    Args:
        model: a built model, compiled or trained by a custom loop.
        x: the rows of the training part: an array, or a list or dictionary of arrays as
            in `fit`, also pandas frames and SciPy sparse matrices.
        y: the targets, in the same forms.
        batch_size: the number of rows in a batch; it changes the result only by
            rounding.
        loss: a function of y and outputs, instead of the loss of `compile`; its mean
            over the returned values is used.
        sample_weight: as in `fit`, for rows or time steps.
        class_weight: as in `fit`, by class; instead of `sample_weight`.

    Raises:
        ParameterError: x, y and weights differ in rows or are not arrays; `batch_size`
            is not a positive int; there are more rows than `batch_size`, and the loss
            is neither a mean nor a sum over rows.
        ModelError: the model has no weights or loss, its loss has `reduction=None`, or
            the backend is not TensorFlow, JAX or PyTorch.

    Warns:
        UserWarning: the model has activity penalties, which are left out. At a minimum,
            the weight penalties then do not balance u alone.
    """
    whole = isinstance(batch_size, int) and not isinstance(batch_size, bool)
    if not whole or batch_size < 1:
        raise ParameterError(
            must("optimality", "batch_size", "a positive number of rows", batch_size)
        )
    descent = NegativeGradient(model, loss)
    _warn_of_activities("optimality", descent)
    if class_weight is not None:
        if sample_weight is not None:
            rule = "None if there is a `class_weight`"
            raise ParameterError(
                must("optimality", "sample_weight", rule, sample_weight)
            )
        sample_weight = of_classes("optimality", y, class_weight)
    return _balances(descent, x, y, sample_weight, batch_size)


class OptimalityRows:
    """Computes `optimality` at each logging point of a `fit`, for the logger.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)`, or None to compute nothing.
    """

    def __init__(self, data: tuple[Any, ...] | None) -> None:
        owner = "RegularizationLogger"
        if data is not None and not (isinstance(data, tuple) and len(data) in (2, 3)):
            rule = "a tuple (x, y) or (x, y, sample_weight)"
            raise ParameterError(must(owner, "optimality", rule, data))
        if data is not None:
            data = tuple(
                arrays(owner, f"optimality[{i}]", own) for i, own in enumerate(data)
            )
        self._data = data
        self._descent: NegativeGradient | None = None
        self._last: Optimality | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy: the data, without the model."""
        return {**self.__dict__, "_descent": None, "_last": None}

    def begin(self, model: Any) -> None:
        """Restart with the model that is trained."""
        self._last = None
        self._descent = None if self._data is None else NegativeGradient(model)
        if self._descent is not None:
            _warn_of_activities("RegularizationLogger", self._descent)

    def columns(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """Return the logged columns of each weight now, by layer and tensor."""
        if self._descent is None or self._data is None:
            return {}
        self._last = _balances(self._descent, *self._data)
        return {
            (t.layer, t.tensor): {
                "kkt_residual": t.kkt_residual,
                "gradient_ratio": t.gradient_ratio,
            }
            for t in self._last.tensors
        }

    def final(self) -> dict[str, float | None]:
        """Return the last value of the column of `finals`."""
        return {} if self._last is None else {"kkt_residual": self._last.kkt_residual}

    def u_of(self, variable: Any) -> Any:
        """Return the last u of a variable, or None."""
        if self._descent is None or self._last is None:
            return None
        pairs = zip(self._descent.weights, self._last.tensors, strict=True)
        return next((t.u for w, t in pairs if w.variable is variable), None)


def _warn_of_activities(owner: str, descent: NegativeGradient) -> None:
    if descent.activities:
        left_out = ", ".join(descent.activities)
        warnings.warn(
            f"{owner}: KKT residuals leave out activity penalties: {left_out}.",
            stacklevel=3,
        )


def _balances(
    descent: NegativeGradient,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    batch_size: int = 256,
) -> Optimality:
    us = descent(x, y, batch_size, sample_weight)
    return Optimality(tuple(map(_balance, descent.weights, us)))


def _balance(weight: Weight, u: Any) -> TensorOptimality:
    penalty = bound(unhandled(weight.variable.regularizer), weight)
    w = weight.variable.value
    strength = getattr(proximable(penalty) or penalty, "strength", None)
    return TensorOptimality(
        layer=weight.layer_path,
        tensor=weight.name,
        role=weight.role,
        penalty=penalty,
        strength=None if strength is None else float(ops.convert_to_numpy(strength)),
        w=ops.convert_to_numpy(w),
        u=u,
        distance=ops.convert_to_numpy(distance(penalty, w, u)),
    )
