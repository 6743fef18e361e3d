"""Splits the recording of a batch into the results of its trials.

The rows are the same as with the engine `fit`: the same order, and the same columns.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kregkit.study.data.data import Split
from kregkit.study.engines.protocol import Residuals, Result, result
from kregkit.study.plan import Trial
from kregkit.study.probes.part_metrics import PartMetrics
from kregkit.study.probes.probes import step_law_error
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import Measuring
from kregkit.watch.records import finite, tensor_records

LOGS = ("loss", "data_loss", "penalty", "score")
"""The results of a pass over data, in the order of `Recording.logs`."""

_WATCHED = ("loss", "data_loss", "val_loss", "val_data_loss")
_COLUMNS = (*LOGS, *(f"val_{name}" for name in LOGS))


@dataclass
class Recording:
    """The recorded results of a batch, as NumPy arrays `(trials, ...)`.

    `measured` is for each logging point, and `logs` for each epoch (training, then
    validation). For the final weights, `scores` are for each part, `descent` is
    −∂(data loss)/∂w of the trained weights, and `slopes` are the gradients of their
    penalties. `probed` has columns of `finals` for each trial, unless all failed.
    """

    measured: list[Any] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    exact: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    descent: list[Any] = field(default_factory=list)
    slopes: list[Any] = field(default_factory=list)
    probed: list[dict[str, Any]] = field(default_factory=list)

    def finite(self) -> Any:
        """Return which trials had finite losses in the last epoch."""
        watched = [_COLUMNS.index(name) for name in _WATCHED]
        return np.isfinite(self.logs[-1][:, watched]).all(axis=1)


def unstack(
    recording: Recording,
    index: int,
    study: Study,
    trial: Trial,
    split: Split,
    measuring: Measuring,
    model: keras.Model,
    owned: frozenset[tuple[str, str]],
    residuals: Residuals,
    metrics: PartMetrics,
    seconds: float,
) -> Result:
    """Return the result of the trial at `index`; `owned` are its penalised tensors."""
    logs = [
        dict(zip(_COLUMNS, log[index].tolist(), strict=True)) for log in recording.logs
    ]
    failed = (
        epoch
        for epoch, log in enumerate(logs, 1)
        if not all(math.isfinite(log[name]) for name in _WATCHED)
    )
    failed_epoch = next(failed, None)
    epochs = len(logs) if failed_epoch is None else failed_epoch
    steps = math.ceil(len(split.x_train) / study.config.train.batch_size)
    rows: list[dict[str, Any]] = []
    measured: list[dict[str, Any]] = []
    for epoch in range(epochs + 1):
        point = {"step": epoch * steps, "epoch": epoch}
        measured = measuring.rows(recording.measured[epoch][index])
        for row in measured:
            # A layer's second call has the row "activation#2" with the same penalty.
            if (row["layer"], row["tensor"].partition("#")[0]) not in owned:
                row.pop("penalty", None)
            row |= point
        rows += measured
        if epoch:
            log = {name: finite(value) for name, value in logs[epoch - 1].items()}
            log.pop("val_penalty")
            if log["data_loss"] is None:
                log["penalty"] = None
            rows.append(point | {"layer": "", "tensor": "model", "role": "model"} | log)
    if all(row["l1"] is not None and math.isfinite(row["l1"]) for row in measured):
        exact = measuring.exact_columns([pairs[index] for pairs in recording.exact])
        for row in measured:
            row.update(exact.get((row["layer"], row["tensor"]), {}))
    values = dict(
        zip(
            map(id, measuring.variables),
            (value[index] for value in recording.values),
            strict=True,
        )
    )
    us: dict[int, Any] = {}

    def value_of(variable: Any) -> Any:
        return values[id(variable)]

    def u_of(variable: Any) -> Any:
        return us.get(id(variable))

    found: dict[str, Any] = {}
    if failed_epoch is None:
        trained = [id(variable) for variable in model.trainable_variables]
        us = {v: u[index] for v, u in zip(trained, recording.descent, strict=True)}
        slopes = {v: g[index] for v, g in zip(trained, recording.slopes, strict=True)}
        found = {
            **recording.probed[index],
            **metrics(split, [value[index] for value in recording.values]),
            "kkt_residual": residuals(trial, model, value_of, u_of),
            "step_law_error": step_law_error(
                trial, model, value_of, lambda variable: slopes[id(variable)]
            ),
        }
    scores = {
        f"{part}_{name}": float(own[index, LOGS.index(name)])
        for part, own in recording.scores.items()
        for name in ("score", "data_loss")
    }
    penalty = math.fsum(row.get("penalty") or 0.0 for row in measured)
    return result(
        study,
        trial,
        split,
        "batch",
        rows,
        tensor_records(model, value_of, u_of),
        {**scores, "penalty": penalty, **found},
        failed_epoch,
        seconds,
    )
