"""The parts that both engines share: order of batches, checks, and stored results.

Nothing here depends on the engine, so both engines give the same trial.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kregkit.errors import ModelError
from kregkit.kkt.negative_gradient import distance, root_mean_square
from kregkit.numerics import Tensor
from kregkit.regularizers import Penalty
from kregkit.regularizers._base import bound
from kregkit.study.data.data import Split
from kregkit.study.plan import Trial, words
from kregkit.study.problem.models import holders
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import compiled
from kregkit.watch.records import environment
from kregkit.weights import Weight, weight_of


@dataclass(frozen=True)
class Result:
    """The result of one trial: its rows, final and tensors for the store."""

    rows: list[dict[str, Any]]
    final: dict[str, Any]
    tensors: list[dict[str, Any]]

    @property
    def failed(self) -> bool:
        """Whether a loss of the trial was not finite."""
        return bool(self.final["status"] == "failed")


def order(seed: int, epochs: int, rows: int) -> Any:
    """Return the row numbers of each epoch, `(epochs, rows)`, for a seed."""
    random = np.random.default_rng([seed, 1])
    return np.stack([random.permutation(rows) for _ in range(epochs)]).astype("int32")


Structure = list[tuple[str, tuple[int, ...], str]]
"""Path, shape and dtype of each variable of a model."""


def check_structure(
    study: Study, trial: Trial, model: keras.Model, known: Structure | None
) -> Structure:
    """Return the structure of a trial's model, which must equal the known structure.

    Raises:
        ModelError: the builder returned another structure for this seed.
    """
    found = [(v.path, tuple(v.shape), v.dtype) for v in model.variables]
    if known is not None and found != known:
        config = study.config.model
        changed = {path for path, *_ in set(found) ^ set(known)}
        places = ", ".join(sorted(changed)) or "the order of its weights"
        raise ModelError(
            f"trial {trial.id} ({words(trial)}): {config.build or config.name} must "
            "return the same structure at every call; it returned another structure, "
            f"in {places}."
        )
    return found


def result(
    study: Study,
    trial: Trial,
    split: Split,
    engine: str,
    rows: list[dict[str, Any]],
    tensors: list[dict[str, Any]],
    found: dict[str, Any],
    failed_epoch: int | None,
    seconds: float,
) -> Result:
    """Return the result of a trial; `found` has the scores, unless it failed."""
    own = {"trial": trial.id}
    final = {
        **own,
        "status": "done" if failed_epoch is None else "failed",
        "failed_epoch": failed_epoch,
        "engine": engine,
        **_identity(study, trial, split),
        **environment(),
        "wall_seconds": seconds,
    }
    if failed_epoch is None:
        constant = _constant_answer(study, split.y_train, len(split.y_test))
        final |= found
        final["majority_score"] = score(study, split.y_test, constant)
    return Result([own | row for row in rows], final, [own | t for t in tensors])


def score(study: Study, y: Any, answers: Any) -> float:
    """Return the study's score of these outputs."""
    metric = study.metric()
    metric.update_state(y, answers)
    return float(metric.result())


class Residuals:
    """Computes `finals.kkt_residual` of the trials of a study, for both engines.

    The computation is compiled once for trials that differ in numeric parameters only.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._distances: dict[Any, Callable[..., list[Tensor]]] = {}

    def __call__(
        self,
        trial: Trial,
        model: keras.Model,
        values_of: Callable[[Any], Any],
        u_of: Callable[[Any], Any],
    ) -> float | None:
        """Return the residual of a trial with a penalty on weights, or None.

        `values_of` and `u_of` return arrays of the trial for a variable of the model.
        """
        penalty = self._study.penalty(trial)
        if penalty is None or trial.target in (None, "activity"):
            return None
        held = holders(model, str(trial.target), str(trial.layers))
        on = [variable for variable, _ in held.values()]
        arrays = [values_of(v) for v in on], [u_of(v) for v in on]
        numbers = {name: getattr(penalty, name) for name in penalty.ranges}
        given = keras.tree.map_structure(
            lambda own: keras.ops.convert_to_tensor(own, "float32"), (*arrays, numbers)
        )
        key = (trial.regularizer, trial.target, trial.layers, trial.structure)
        if key not in self._distances:
            weights = [weight_of(model, variable) for variable in on]
            one = functools.partial(_distances, penalty, weights)
            self._distances[key] = compiled(one)
        found = self._distances[key](*given)
        return root_mean_square(map(keras.ops.convert_to_numpy, found))


def _distances(
    penalty: Penalty,
    weights: list[Weight | None],
    ws: list[Tensor],
    us: list[Tensor],
    numbers: dict[str, Tensor],
) -> list[Tensor]:
    live = penalty.replace(**numbers)
    return [
        distance(bound(live, weight), w, u)
        for weight, w, u in zip(weights, ws, us, strict=True)
    ]


def _identity(study: Study, trial: Trial, split: Split) -> dict[str, Any]:
    return {
        "study": study.config.name,
        "data": study.data.name,
        "task": study.task,
        "inputs": study.data.notes,
        "classes": study.data.classes if study.task == "classification" else None,
        "model": study.config.model.name or study.config.model.build,
        "regularizer": trial.regularizer,
        "target": trial.target,
        "layers": trial.layers,
        "solver": trial.solver,
        "strength": trial.strength,
        "parameters": json.dumps(dict(trial.parameters), sort_keys=True),
        "learning_rate": trial.learning_rate,
        "input_shape": list(split.x_train.shape[1:]),
        "seed": trial.seed,
        "epochs": study.config.train.epochs,
        "n_train": len(split.x_train),
        "n_val": len(split.x_val),
        "n_test": len(split.x_test),
        "split_redrawn": study.data.x_test is None,
    }


def _constant_answer(study: Study, y: Any, rows: int) -> Any:
    """Return the best constant output, repeated for each row."""
    if study.task == "classification":
        counts = np.bincount(y.ravel(), minlength=study.outputs)
        answer = np.eye(len(counts), dtype="float32")[counts.argmax()]
    else:
        answer = y.mean(axis=0)
    return np.broadcast_to(answer, (rows, *answer.shape)).astype("float32")
