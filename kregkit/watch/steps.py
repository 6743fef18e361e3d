"""Counts the logger's steps: the batches that `fit` trained on."""

import itertools
import warnings
from typing import Any

from kregkit import _keras
from kregkit.errors import ModelError
from kregkit.watch.loss_terms import LossTerms


class Steps:
    """Counts the batches of one `fit`.

    `optimizer.iterations` counts updates instead. There are fewer updates than batches
    with gradient accumulation or skipped updates, and none if a model trains with other
    optimizers.

    Args:
        model: the model that is trained.
        per_epoch: the batches of an epoch, or None if Keras does not know them.

    Raises:
        ModelError: the batches cannot be counted.
    """

    def __init__(self, model: Any, per_epoch: int | None) -> None:
        self._model = model
        self._per_epoch = per_epoch
        self.done = 0
        self._before: int | None = None
        self._seen = False
        self._executions = itertools.count()
        several = model.steps_per_execution > 1
        if several and per_epoch is None and LossTerms.held_by(model) is None:
            raise ModelError(
                f"RegularizationLogger: the steps of model {model.name!r} cannot be "
                "counted. Pass `steps_per_epoch` to `fit`, or compile with "
                "`steps_per_execution=1`."
            )

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch; if `fit` continues an earlier one, count its epochs first.

        Warns:
            UserWarning: the number of steps in earlier epochs is not known.
        """
        if self._before is None and epoch and self._per_epoch is None:
            warnings.warn(
                "RegularizationLogger: the number of steps in earlier epochs is not "
                "known; steps begin at 0. Pass `steps_per_epoch` to `fit`.",
                stacklevel=3,
            )
        elif self._before is None:
            self.done = epoch * (self._per_epoch or 0)
        self._before = self.done
        self._executions = itertools.count()

    def executed(self) -> int:
        """Count one execution, in any thread; return the number in this epoch."""
        return next(self._executions) + 1

    def update(self, executions: int | None = None) -> int:
        """Set `done` after this many executions of the epoch; None: after all of them.

        With several steps per execution, the last execution of an epoch may have fewer
        steps, and Keras does not tell callbacks. The batches are then counted by the
        training steps.

        Returns:
            The number of batches of this epoch.

        Raises:
            ModelError: no batch has been reported so far.
        """
        if executions is None:
            executions = next(self._executions)
        if not executions and not self._seen:
            raise ModelError(
                "RegularizationLogger: an epoch ended and no batch was trained on. A "
                "custom training loop must call `on_train_batch_end`."
            )
        self._seen = True
        several = self._model.steps_per_execution
        terms = LossTerms.held_by(self._model)
        if several == 1:
            batches = executions
        elif terms is None:
            batches = min(executions * several, self._per_epoch or 0)
        else:
            _keras.synchronize(self._model)
            batches = terms.batches
        self.done = (self._before or 0) + batches
        return batches
