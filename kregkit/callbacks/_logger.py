"""`RegularizationLogger` logs norms, sparsity and loss terms while a model trains.

The columns of the log are always those of `schema.ROWS`.
"""

import html
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kregkit import _keras
from kregkit.errors import ParameterError, StoreError, UnknownNameError, must, unknown
from kregkit.kkt.rows import OptimalityRows
from kregkit.optimizers import refuse_groups
from kregkit.schema import ROWS
from kregkit.store import Store, frame
from kregkit.watch import records
from kregkit.watch.loss_terms import LossTerms
from kregkit.watch.measuring import Measuring, built
from kregkit.watch.rows import arrays
from kregkit.watch.steps import Steps
from kregkit.watch.without_effect import warn_of_what_does_nothing
from kregkit.weights import bind

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

_COLUMNS = {name: kind for name, kind in ROWS.items() if name != "trial"}
_SHOWN = ("layer", "tensor", "l2", "zero_fraction", "near_zero_fraction", "hoyer")


class RegularizationLogger(keras.callbacks.Callback):
    """Logs what regularizers do to each layer's weights, biases and activations.

    Before the first epoch and at each logging point, it measures all weights of the
    model. On the probe batch, in inference mode, it measures the outputs of all layers
    with weights or an activation.

    It adds to the logs and the history of `fit`: `data_loss`, the loss without
    penalties; `penalty/<path>` for each regularizer; and both with `val_`. `loss` is
    their sum. Activity penalties are means per sample. All callbacks see these terms.
    They cover the batches of `fit` only, even if a callback evaluates or trains within
    an epoch; `loss` then does so too, unlike Keras's own. `EarlyStopping(
    "val_data_loss", mode="min")` needs the mode: Keras knows it only for its metrics.

    Spectral norms come from a power iteration that continues from one logging point to
    the next. At the last point they are exact, for kernels with a smaller side of at
    most 1024. A step is a batch that `fit` trained on. With `initial_epoch`, or if
    `BackupAndRestore` continues a `fit`, steps continue from earlier epochs; the rows
    of those epochs are in the earlier logger. After an interrupted `fit`, call
    `detach`, or train the model with a logger again. A copied or pickled logger has the
    rows, but no model.

    A store gets one trial at the end of each `fit`, with the model's final tensors. If
    a callback restored earlier weights, these are older than the last rows.

    Args:
        probe: a batch of inputs, a few hundred, to measure activations; None: none are.
        every: "epoch", or a number of training steps; with `steps_per_execution`, the
            end of the execution that reaches this number.
        store: a folder for the log, as a store for `kregkit report`.
        score: the metric of the model to store; None: accuracy or R², if it is logged.
        optimality: `(x, y)` or `(x, y, sample_weight)`, the training part. Each logging
            point then also logs `kkt_residual` and `gradient_ratio` of
            `kregkit.optimality`, by a pass over these rows.

    Raises:
        ParameterError: `every` is not "epoch" or a positive int; `optimality` is no
            such tuple, or its data are not arrays; in `fit`, a penalty's named `group`
            does not exist in its layer.
        StoreError: the store cannot be written, or holds a study.
        VersionError: in `fit`, other versions wrote the store.
        UnknownNameError: in `fit`, the model has no metric named `score`.
        ModelError: in `fit`, the model is not built and there is no probe.

    Warns:
        UserWarning: in `fit`, regularizers do nothing, since they were set after their
            layer was built, or their weight is not trained; or `data_loss` is null,
            since the model has its own `train_step`, `test_step` or `compute_loss`, or
            trains on several replicas.
    """

    _step: int
    _steps: Steps
    _measure: Measuring
    _failed_epoch: int | None

    def __init__(
        self,
        probe: Any = None,
        every: str | int = "epoch",
        store: str | Path | None = None,
        score: str | None = None,
        optimality: tuple[Any, ...] | None = None,
    ) -> None:
        super().__init__()
        steps = isinstance(every, int) and not isinstance(every, bool) and every > 0
        if every != "epoch" and not steps:
            rule = '"epoch" or a positive number of steps'
            raise ParameterError(must("RegularizationLogger", "every", rule, every))
        self._probe = arrays("RegularizationLogger", "probe", probe)
        self._balances = OptimalityRows(optimality)
        self._every = every if isinstance(every, int) else 0
        self._store = None if store is None else Store(Path(store))
        self._score = score
        self._terms: LossTerms | None = None
        self._measuring: Callable[[Any, Any], Measuring] = Measuring
        self._reset()
        if self._store is not None:
            if self._store.study() is not None:
                raise StoreError(f"{store}: holds a study; choose another folder")
            self._store.begin()

    @property
    def async_safe(self) -> bool:
        """Whether Keras may call this without waiting for the logs of each step."""
        return not self._every

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows logged so far, as dictionaries of `schema.ROWS` without a trial."""
        return list(self._rows)

    @property
    def failed_epoch(self) -> int | None:
        """The first epoch, from 1, with a loss that is not finite, or None."""
        return self._failed_epoch

    def penalty(self) -> float:
        """Return the sum of all penalties at the last measured step."""
        last = [r for r in self._rows if r["layer"] and r["step"] == self._step]
        return math.fsum(row.get("penalty") or 0.0 for row in last)

    def table(self) -> "pl.DataFrame":
        """Return the log: step, epoch, layer, tensor, role, and the measures."""
        table: pl.DataFrame = frame(self._rows, _COLUMNS)
        return table

    def plot(self) -> "Figure":
        """Return a figure of the norms and sparsity of each tensor during training."""
        from kregkit.callbacks._plot import plot

        return plot(self.table())

    def detach(self) -> None:
        """Restore the model's loss and steps, after an interrupted `fit`."""
        if self._terms is not None:
            self._terms.detach()
            self._terms = None

    def __repr__(self) -> str:
        """Return a summary of the log in one line."""
        steps = {row["step"] for row in self._rows}
        tensors = {(row["layer"], row["tensor"]) for row in self._rows if row["layer"]}
        return (
            f"<RegularizationLogger: {len(tensors)} tensors at {len(steps)} steps; "
            "see .table() and .plot()>"
        )

    def _repr_html_(self) -> str:
        """Return the last logging point as a table, for notebooks."""
        table = self.table()
        last = table.filter(table["step"] == table["step"].max())
        return f"<p>{html.escape(repr(self))}</p>{last[list(_SHOWN)]._repr_html_()}"

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy: arguments and rows, without the model."""
        of_a_fit = dict.fromkeys(("_model", "_terms", "_measure", "_steps"))
        return {**self.__dict__, **of_a_fit}

    def set_model(self, model: Any) -> None:
        """Set the model; Keras calls this before `on_train_begin` of any callback."""
        super().set_model(model)
        stale = LossTerms.held_by(model)
        if stale is not None and not stale.kept:  # from an interrupted `fit`
            stale.detach()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()
        if self._store is not None:
            self._store.check_resumable(records.environment())
        built(self.model, self._probe)
        bind(self.model)
        refuse_groups(self.model)
        self._measure = self._measuring(self.model, self._probe)
        self._balances.begin(self.model)
        warn_of_what_does_nothing(self.model)
        self._attach()
        self._steps = Steps(self.model, (self.params or {}).get("steps"))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps.begin_epoch(epoch)
        self._epoch, self._step = epoch, self._steps.done
        terms = LossTerms.held_by(self.model)
        if terms is not None:
            terms.begin_epoch()
        if not self._rows:
            self._log()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        executed = self._steps.executed()
        if not self._every:
            return
        self._steps.update(executed)
        earlier, self._step = self._step, self._steps.done
        if self._step // self._every > earlier // self._every:
            _keras.synchronize(self.model)
            self._log()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        if self._score is not None and self._score not in logs:
            raise UnknownNameError(unknown("RegularizationLogger", self._score, logs))
        self._epoch = epoch + 1
        if not self._steps.update():
            return  # the data ran out, and Keras has warned
        self._step = self._steps.done
        losses = [float(logs[name]) for name in records.LOSSES if name in logs]
        if self._failed_epoch is None and not all(map(math.isfinite, losses)):
            self._failed_epoch = self._epoch
        if not self._every:
            self._log()
        for row in reversed(self._rows):
            if row["step"] < self._step:
                break
            row["epoch"] = self._epoch  # the batch has ended it
        point = {"step": self._step, "epoch": self._epoch}
        self._rows.append(point | records.model_row(logs, self._score))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.detach()
        self._finish()
        if self._store is not None:
            self._write(self._store)
        del self._measure

    def _reset(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._step = self._epoch = 0
        self._failed_epoch = None

    def _attach(self) -> None:
        if LossTerms.held_by(self.model) is not None:
            return  # kept from before, or attached by another logger of this `fit`
        obstacle = LossTerms.obstacle(self.model)
        if obstacle is None:
            self._terms = LossTerms(self.model)
        else:
            warnings.warn(
                f"RegularizationLogger: `data_loss` is null: {obstacle}.", stacklevel=3
            )

    def _log(self) -> None:
        point = {"step": self._step, "epoch": self._epoch}
        columns = self._balances.columns()
        for row in self._measure():
            row.update(columns.get((row["layer"], row["tensor"]), {}))
            self._rows.append(point | row)

    def _finish(self) -> None:
        """Log the last step if it is not logged yet, with exact spectral norms.

        A callback may have restored earlier weights before. The logged rows of the last
        step then do not change.
        """
        kept = len(self._rows)
        self._log()
        again = self._rows[kept:]
        last = [r for r in self._rows[:kept] if r["step"] == self._step and r["layer"]]
        if last:
            del self._rows[kept:]
            if [row["l1"] for row in last] != [row["l1"] for row in again]:
                return
        if not all(row["l1"] is not None and row["l1"] < math.inf for row in again):
            return  # diverged: an eigenvalue routine may not terminate on such a matrix
        exact = self._measure.exact_spectral()
        for row in last or again:
            row.update(exact.get((row["layer"], row["tensor"]), {}))

    def _write(self, store: Store) -> None:
        trial = {"trial": f"fit-{len(store.finished()) + 1:03d}"}
        found = self._balances if self._failed_epoch is None else OptimalityRows(None)
        final = records.fit_record(self.model, self._rows, self._failed_epoch)
        final |= {"epochs": self._epoch, "penalty": self.penalty(), **found.final()}
        store.write(
            [trial | row for row in self._rows],
            [trial | final | records.environment()],
            [trial | t for t in records.tensor_records(self.model, u_of=found.u_of)],
        )
