"""The metrics of studies: scikit-learn's metrics by name, and user-defined functions.

A metric is a function of NumPy arrays: the targets of one part, and the outputs of a
trained model (logits for classification). Undefined values are None.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from keras import ops
from scipy import special
from sklearn import metrics

from kregkit.errors import StudyError
from kregkit.schema import METRICS
from kregkit.study.problem.builders import imported, told
from kregkit.study.problem.losses import ROWS, check_rows

Value = Callable[[Any, Any], float | None]

_MOST: Final = {"top_3_accuracy": 3, "top_5_accuracy": 5}
"""The number of largest outputs that count."""


def _accuracy(y: Any, outputs: Any) -> Any:
    return metrics.accuracy_score(y, outputs.argmax(axis=1))


def _crossentropy(y: Any, outputs: Any) -> Any:
    """Exact for large logits too; `log_loss` clips probabilities."""
    return -special.log_softmax(outputs, axis=1)[np.arange(len(y)), y].mean()


def _over_classes(score: Callable[..., Any]) -> Value:
    """Return the mean over the classes of a part; None if it has only one class."""

    def value(y: Any, outputs: Any) -> Any:
        found = np.unique(y)
        if len(found) < 2:
            return None
        return score(y, outputs.argmax(axis=1), labels=found, average="macro")

    return value


def _roc_auc(y: Any, outputs: Any) -> Any:
    """None if the part lacks a class."""
    if len(np.unique(y)) < outputs.shape[1]:
        return None
    if outputs.shape[1] == 2:
        return metrics.roc_auc_score(y, outputs[:, 1] - outputs[:, 0])
    return metrics.roc_auc_score(y, special.softmax(outputs, axis=1), multi_class="ovr")


def _among(most: int) -> Value:
    def value(y: Any, outputs: Any) -> Any:
        labels = np.arange(outputs.shape[1])
        return metrics.top_k_accuracy_score(y, outputs, k=most, labels=labels)

    return value


def _r2(y: Any, outputs: Any) -> Any:
    """Over all targets together, like the score; None if all targets are constant.

    scikit-learn leaves out the errors of a constant target.
    """
    total = np.square(y - y.mean(axis=0)).sum()
    return 1 - np.square(y - outputs).sum() / total if np.ptp(y, axis=0).any() else None


_NAMED: Final[dict[str, Value]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _over_classes(metrics.recall_score),
    "crossentropy": _crossentropy,
    "f1_macro": _over_classes(metrics.f1_score),
    "mean_absolute_error": metrics.mean_absolute_error,
    "mean_squared_error": metrics.mean_squared_error,
    "median_absolute_error": metrics.median_absolute_error,
    "r2": _r2,
    "roc_auc": _roc_auc,
    "root_mean_squared_error": metrics.root_mean_squared_error,
    **{name: _among(most) for name, most in _MOST.items()},
}


def made(name: str, folder: Path) -> Value:
    """Return the metric with this name, or the mean of a user-defined function.

    The metric is None if an output or the result is not finite.
    """
    of = _mean_of_rows(name, imported(name, folder)) if ":" in name else _exact(name)

    def value(y: Any, outputs: Any) -> float | None:
        if not np.isfinite(outputs).all():
            return None
        found = of(y, outputs)
        return float(found) if found is not None and np.isfinite(found) else None

    return value


def check_metric(name: str, folder: Path, task: str, y: Any, outputs: int) -> None:
    """Raise for a metric that cannot be computed.

    Args:
        name: the name in the study file.
        folder: the folder of the study file.
        task: "classification" or "regression".
        y: targets as in training.
        outputs: the width of the model's output.

    Raises:
        StudyError: the metric is for the other task, or for more classes; or a
            user-defined function fails, or does not return a number for each row.
    """
    if ":" in name:
        given = np.zeros((ROWS, outputs), "float32")
        _mean_of_rows(name, imported(name, folder))(y[:ROWS], given)
        return
    own = METRICS[name][0]
    if own != task:
        raise StudyError(f"{name!r} is for {own}; this study is a {task}.")
    if outputs <= _MOST.get(name, 0):
        raise StudyError(
            f"{name!r} needs more than {_MOST[name]} classes; this study has {outputs}."
        )


def _exact(name: str) -> Value:
    """Return the metric with this name, in float64 for accurate sums."""

    def value(y: Any, outputs: Any) -> Any:
        y = y if y.dtype.kind == "i" else y.astype("float64")
        return _NAMED[name](y, outputs.astype("float64"))

    return value


def _mean_of_rows(name: str, function: Callable[[Any, Any], Any]) -> Value:
    def value(y: Any, outputs: Any) -> float:
        given = y.copy(), outputs.copy()  # the function may change its arguments
        with told(f"{name}(y, outputs)"):
            found = ops.convert_to_numpy(function(*given)).astype("float64")
        check_rows(name, found, len(y))
        return float(found.mean())

    return value
