"""The engine `fit`: one trial, trained by `model.fit` with the logger.

The one rule: a seed fixes the initial weights and the order of the batches, so that
a trial and the baseline of its seed differ in the penalty alone.
"""

import time
from typing import Any

import keras
import numpy as np

from kregkit.callbacks import RegularizationLogger, tensor_records
from kregkit.study.data import Split
from kregkit.study.models import layers_for
from kregkit.study.plan import Trial
from kregkit.study.protocol import PROBE, Result, order, result, score
from kregkit.study.resolve import Study
from kregkit.weights import walk

_CHUNK = 4096


def train(study: Study, trial: Trial) -> Result:
    """Train one trial and return what is stored of it."""
    begin = time.perf_counter()
    keras.backend.clear_session()
    keras.utils.set_random_seed(trial.seed)
    split = study.split(trial.seed)
    model = study.build()
    attach(model, study, trial)
    model.compile(study.optimizer(), study.loss(), metrics=[study.metric()])
    log = RegularizationLogger(probe=split.x_val[:PROBE], score="score")
    config = study.config.train
    model.fit(
        _batches(split, trial.seed, config.epochs, config.batch_size),
        epochs=config.epochs,
        steps_per_epoch=_steps(split, config.batch_size),
        validation_data=(split.x_val, split.y_val),
        validation_batch_size=_CHUNK,
        shuffle=False,  # the order is the seed's
        callbacks=[log, _StopAtNonFinite(log)],
        verbose=0,
    )
    found = {}
    if log.failed_epoch is None:
        found = {**_scores(study, model, split), "penalty": log.penalty()}
    return result(
        study,
        trial,
        split,
        "fit",
        log.rows,
        tensor_records(model),
        found,
        log.failed_epoch,
        time.perf_counter() - begin,
    )


def deterministic() -> None:
    """Make this process give the same numbers for the same trial, bit for bit."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def attach(model: Any, study: Study, trial: Trial) -> None:
    """Set the trial's penalty on the layers that it names."""
    penalty = study.penalty(trial)
    if penalty is None or trial.target is None or trial.layers is None:
        return
    chosen = layers_for(model, trial.target, trial.layers)
    if trial.target == "activity":
        for layer in chosen:
            layer.activity_regularizer = penalty
        return
    for weight in walk(model):
        if weight.role == trial.target and any(weight.layer is one for one in chosen):
            weight.variable.regularizer = penalty


class _StopAtNonFinite(keras.callbacks.Callback):
    """Ends training at the first epoch whose loss is not finite."""

    def __init__(self, log: RegularizationLogger) -> None:
        super().__init__()
        self._log = log

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._log.failed_epoch is not None:
            self.model.stop_training = True


def _steps(split: Split, batch_size: int) -> int:
    return -(-len(split.x_train) // batch_size)


def _batches(split: Split, seed: int, epochs: int, batch_size: int) -> Any:
    import tensorflow as tf

    x, y = tf.constant(split.x_train), tf.constant(split.y_train)
    orders = tf.data.Dataset.from_tensor_slices(order(seed, epochs, len(x)))
    batches = orders.flat_map(
        lambda rows: tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)
    )
    return batches.map(lambda rows: (tf.gather(x, rows), tf.gather(y, rows))).prefetch(
        tf.data.AUTOTUNE
    )


def _scores(study: Study, model: Any, split: Split) -> dict[str, float]:
    found: dict[str, float] = {}
    parts: list[tuple[str, Any, Any]] = [
        ("train", split.x_train, split.y_train),
        ("val", split.x_val, split.y_val),
        ("test", split.x_test, split.y_test),
    ]
    for part, x, y in parts:
        chunks = range(0, len(x), _CHUNK)
        logits = [model(x[i : i + _CHUNK], training=False) for i in chunks]
        answers = np.concatenate([keras.ops.convert_to_numpy(a) for a in logits])
        found[f"{part}_score"] = score(study, y, answers)
        found[f"{part}_data_loss"] = float(study.loss()(y, answers))
    return found
