"""What the logger calls a step: a batch that `fit` trained on."""

import itertools
import warnings
from typing import Any

from kregkit import _keras
from kregkit.errors import ModelError
from kregkit.watch.loss_terms import LossTerms


class Steps:
    """Counts the batches of one `fit`, whatever its optimizers make of them.

    An optimizer counts its updates. Those are fewer where gradients are accumulated or
    an update is skipped, and none where a model trains by other optimizers.

    Args:
        model: the model that is trained.
        per_epoch: the batches of an epoch, or None where Keras does not know them.

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
                "counted. Give `fit` a number of `steps_per_epoch`, or compile with "
                "`steps_per_execution=1`."
            )

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch; the first of a `fit` has others before it, if it continues.

        Warns:
            UserWarning: how many steps those had is not known.
        """
        if self._before is None and epoch and self._per_epoch is None:
            warnings.warn(
                "RegularizationLogger: how many steps the epochs before had is not "
                "known; steps begin at 0. Give `fit` a number of `steps_per_epoch`.",
                stacklevel=3,
            )
        elif self._before is None:
            self.done = epoch * (self._per_epoch or 0)
        self._before = self.done
        self._executions = itertools.count()

    def executed(self) -> int:
        """Count one execution, in any thread; return how many the epoch had."""
        return next(self._executions) + 1

    def update(self, executions: int | None = None) -> int:
        """Set `done` after so many executions of the epoch, else after all of them.

        With several steps per execution the last of an epoch may have fewer, and Keras
        tells callbacks as if it had not: the steps themselves have counted.

        Returns:
            The batches of this epoch.

        Raises:
            ModelError: nobody has reported any batch so far.
        """
        if executions is None:
            executions = next(self._executions)
        if not executions and not self._seen:
            raise ModelError(
                "RegularizationLogger: an epoch ended and no batch was trained on. A "
                "training loop of your own must call `on_train_batch_end`."
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
