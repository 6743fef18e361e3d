"""The losses of studies: Keras's losses by name, and user-defined functions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import keras
from keras import ops

from kregkit.errors import StudyError
from kregkit.known import LOSSES
from kregkit.study.problem.builders import imported, told

DEFAULTS: Final = {
    "classification": "sparse_categorical_crossentropy",
    "regression": "mean_squared_error",
}

_CLASSES: Final[dict[str, Callable[[], keras.losses.Loss]]] = {
    "huber": keras.losses.Huber,
    "log_cosh": keras.losses.LogCosh,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "sparse_categorical_crossentropy": lambda: (
        keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ),
}

ROWS: Final = 3
"""The number of rows on which user-defined functions are tested."""


class OwnLoss(keras.losses.Loss):
    """The mean over rows of a user-defined function `(y, outputs)`."""

    def __init__(self, function: Callable[[Any, Any], Any], name: str) -> None:
        super().__init__(name=name)
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the value of each row."""
        return self.function(y_true, y_pred)


def made(name: str, folder: Path) -> keras.losses.Loss:
    """Return the loss with this name, or the user-defined "package.module:function"."""
    if ":" not in name:
        return _CLASSES[name]()
    return OwnLoss(imported(name, folder), name.partition(":")[2])


def check_loss(name: str, folder: Path, task: str, y: Any, outputs: int) -> None:
    """Raise for a loss that cannot be used for training.

    Args:
        name: the name in the study file.
        folder: the folder of the study file.
        task: "classification" or "regression".
        y: targets as in training.
        outputs: the width of the model's output.

    Raises:
        StudyError: the loss is for the other task; or a user-defined function fails, or
            does not return a number for each row.
    """
    if ":" not in name:
        if LOSSES[name] != task:
            raise StudyError(f"is for {LOSSES[name]}; this study is a {task}.")
        return
    function = imported(name, folder)
    given = ops.zeros((ROWS, outputs), "float32")
    with told(f"{name}(y, outputs)"):
        # Keras passes targets, even labels, to a loss as float32.
        found = function(ops.convert_to_tensor(y[:ROWS], "float32"), given)
        values = ops.convert_to_numpy(found)
    check_rows(name, values, ROWS)


def check_rows(name: str, values: Any, rows: int) -> None:
    """Raise if a user-defined function did not return one number for each row."""
    if values.shape != (rows,):
        raise StudyError(
            f"{name} must return a number for each row, of shape ({rows},) for "
            f"{rows} rows; received {values.shape}."
        )
