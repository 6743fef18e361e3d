"""The records of a trained model in a store, for loggers and studies."""

import math
from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np

import kregkit
from kregkit._keras import applies_itself
from kregkit.optimizers import is_handled
from kregkit.schema import SCHEMA_VERSION, TENSOR_BINS, TENSOR_SAMPLE, TENSOR_WHOLE
from kregkit.weights import walk

LOSSES: Final = ("loss", "data_loss", "val_loss", "val_data_loss")
SCORES: Final = (
    "accuracy",
    "sparse_categorical_accuracy",
    "categorical_accuracy",
    "binary_accuracy",
    "acc",
    "r2_score",
)
"""The names under which Keras logs an accuracy or R²."""


def environment() -> dict[str, Any]:
    """Return the columns of `finals` with the backend, versions and dtype policy."""
    backend = keras.backend.backend()
    module = __import__(backend)
    return {
        "backend": backend,
        "dtype_policy": keras.config.dtype_policy().name,
        "kregkit_version": kregkit.__version__,
        "keras_version": keras.__version__,
        "backend_version": module.__version__,
        "schema_version": SCHEMA_VERSION,
    }


def solver(model: Any) -> str:
    """Return how weight penalties act in a model: "proximal" or "gradient"."""
    if model.optimizer is not None and applies_itself(model.optimizer):
        return "gradient"  # an optimizer that is no Proximal and contains none
    handled = any(
        is_handled(weight.regularizer) for weight in model.trainable_variables
    )
    return "proximal" if handled else "gradient"


def fit_record(
    model: Any, rows: list[dict[str, Any]], failed_epoch: int | None
) -> dict[str, Any]:
    """Return the columns of `finals` for a `fit` that logged these rows."""
    models = [row for row in rows if not row["layer"]]
    last = models[-1] if models else {}
    return {
        "status": "done" if failed_epoch is None else "failed",
        "failed_epoch": failed_epoch,
        "model": model.name,
        "solver": solver(model),
        "engine": "fit",
        "val_data_loss": last.get("val_data_loss"),
        "val_score": last.get("val_score"),
    }


def model_row(logs: dict[str, Any], score: str | None) -> dict[str, Any]:
    """Return the row of the whole model from the logs of one epoch."""
    row: dict[str, Any] = {name: finite(logs.get(name)) for name in LOSSES}
    penalties = [logs[name] for name in logs if name.startswith("penalty/")]
    if row["data_loss"] is not None:
        row["penalty"] = finite(math.fsum(map(float, penalties)))
    score = score or next((name for name in SCORES if name in logs), None)
    if score is not None:
        row["score"] = finite(logs.get(score))
        row["val_score"] = finite(logs.get(f"val_{score}"))
    return {"layer": "", "tensor": "model", "role": "model"} | row


def finite(value: Any) -> float | None:
    """Return a number as a float for the store; None if it is not finite."""
    return None if value is None or not math.isfinite(float(value)) else float(value)


def tensor_records(
    model: Any,
    values_of: Callable[[Any], Any] | None = None,
    u_of: Callable[[Any], Any] = lambda variable: None,
) -> list[dict[str, Any]]:
    """Return a record for each weight: its values, or a sample, and a histogram.

    Weights with more than 100,000 elements, except the first kernel, are stored as a
    seeded sample of 20,000.

    Args:
        model: the model.
        values_of: returns the array of a variable; default: the variable's value.
        u_of: returns −∂(data loss)/∂w of a variable, or None. Values that are not all
            finite are not stored.
    """
    values_of = values_of or keras.ops.convert_to_numpy
    records: list[dict[str, Any]] = []
    kernels = 0
    for weight in walk(model):
        values = values_of(weight.variable).astype("float32")
        flat = values.ravel()
        kernels += weight.role == "kernel"
        whole = flat.size <= TENSOR_WHOLE or (weight.role == "kernel" and kernels == 1)
        chosen = slice(None) if whole else _sample(flat.size)
        u = u_of(weight.variable)
        known = u is not None and np.isfinite(u).all()
        records.append(
            {
                "layer": weight.layer_path,
                "tensor": weight.name,
                "role": weight.role,
                "shape": list(values.shape),
                "size": flat.size,
                "values": flat[chosen].tolist(),
                "u": u.astype("float32").ravel()[chosen].tolist() if known else None,
                "sampled": not whole,
                **_histogram(flat),
            }
        )
    return records


def _sample(size: int) -> Any:
    chosen = np.random.default_rng(0).choice(size, TENSOR_SAMPLE, replace=False)
    return np.sort(chosen)


def _histogram(flat: Any) -> dict[str, Any]:
    if not flat.size or not np.isfinite(flat).all():
        return {}
    low, high = float(flat.min()), float(flat.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(flat, bins=TENSOR_BINS, range=(low, high))
    return {"histogram": counts.tolist(), "low": low, "high": high}
