"""`optimality` tests the KKT conditions at a model's present weights.

It trains nothing, and does not change the model.
"""

import html
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kregkit.errors import ParameterError, must
from kregkit.kkt.data_loss import Loss
from kregkit.kkt.negative_gradient import NegativeGradient, root_mean_square
from kregkit.kkt.tensor import COLUMNS, TensorOptimality, of_weight
from kregkit.store import frame
from kregkit.watch.rows import of_classes

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure


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
        table: pl.DataFrame = frame([t.row() for t in self.tensors], COLUMNS)
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
    warn_of_activities("optimality", descent)
    if class_weight is not None:
        if sample_weight is not None:
            rule = "None if there is a `class_weight`"
            raise ParameterError(
                must("optimality", "sample_weight", rule, sample_weight)
            )
        sample_weight = of_classes("optimality", y, class_weight)
    return found_at(descent, x, y, sample_weight, batch_size)


def warn_of_activities(owner: str, descent: NegativeGradient) -> None:
    """Warn of activity penalties, which the KKT conditions of weights leave out."""
    if descent.activities:
        left_out = ", ".join(descent.activities)
        warnings.warn(
            f"{owner}: KKT residuals leave out activity penalties: {left_out}.",
            stacklevel=3,
        )


def found_at(
    descent: NegativeGradient,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    batch_size: int = 256,
) -> Optimality:
    """Return what is found at the model's present weights."""
    us = descent(x, y, batch_size, sample_weight)
    return Optimality(tuple(map(of_weight, descent.weights, us)))
