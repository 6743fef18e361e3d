"""The engine `fit`: trains one trial after another by `model.fit` with the logger.

A seed fixes initial weights and order of batches, so a trial and its baseline differ
only in the penalty. Using a model again changes no bit of the result.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit._keras import training_argument
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import KregkitError, StudyError
from kregkit.kkt.negative_gradient import slope
from kregkit.schema import PROBE
from kregkit.study.data.data import Split
from kregkit.study.engines import backends
from kregkit.study.engines.fit.shared_model import Shared, Start, answers, group
from kregkit.study.engines.fit.shared_model import attach as attach
from kregkit.study.engines.protocol import (
    Residuals,
    Result,
    Structure,
    check_structure,
    order,
    result,
    score,
)
from kregkit.study.plan import Trial
from kregkit.study.probes.probes import chunk, step_law_error
from kregkit.study.problem.builders import summary
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import Measuring
from kregkit.watch.penalties import Penalties
from kregkit.watch.records import tensor_records


class Trainer:
    """Trains trials of a study, one at a time.

    Tracing takes most of the time of a small trial. One compiled model is therefore
    used for successive trials that differ only in parameters and seed, and reset before
    each. A new model is built if the result would depend on state outside Keras's
    variables, or on constants of another seed.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._shared: Shared | None = None
        self._starts: dict[int, Start] = {}
        self._structure: Structure | None = None
        self._residuals = Residuals(study)

    def train(self, trial: Trial) -> Result:
        """Train one trial and return its result.

        Raises:
            ModelError: the builder returned another structure for this seed.
        """
        begin = time.perf_counter()
        study, config = self._study, self._study.config.train
        split = study.split(trial.seed)
        steps = -(-len(split.x_train) // config.batch_size)
        shared = self._begun(trial, split.x_val[:PROBE], steps)
        self._shared = None  # not used again if the training is interrupted
        log = _Log(shared.measuring)
        model = shared.model
        with told_of(study):
            model.fit(
                _batches(split, trial.seed, config.epochs, config.batch_size),
                epochs=config.epochs,
                steps_per_epoch=steps,
                validation_data=_whole(split.x_val, split.y_val),
                shuffle=False,  # the seed fixes the order
                callbacks=[log, _StopAtNonFinite(log)],
                verbose=0,
            )
        found: dict[str, Any] = {}
        us: dict[int, Any] = {}
        if log.failed_epoch is None:
            found = {**_scores(study, model, split), "penalty": log.penalty()}
            descent = shared.descent
            at_the_end = descent(split.x_train, split.y_train, config.batch_size)
            for weight, u in zip(descent.weights, at_the_end, strict=True):
                us[id(weight.variable)] = u
            found["kkt_residual"] = self._residuals(
                trial, model, ops.convert_to_numpy, lambda v: us[id(v)]
            )
            found["step_law_error"] = step_law_error(
                trial, model, ops.convert_to_numpy, _slope
            )
            values = [v.value for v in shared.measuring.variables]
            stacked = [ops.expand_dims(value, 0) for value in values]
            found |= shared.probing([trial], {trial.seed: split}, stacked)[0]
            found |= shared.metrics(split, values)
        if shared.resettable:
            self._shared = shared
        return result(
            study,
            trial,
            split,
            "fit",
            log.rows,
            tensor_records(model, u_of=lambda variable: us.get(id(variable))),
            found,
            log.failed_epoch,
            time.perf_counter() - begin,
        )

    def _begun(self, trial: Trial, probe: Any, steps: int) -> "Shared":
        """Return a compiled model for the trial, in its state before the first step."""
        shared, self._shared = self._shared, None
        if shared is not None and shared.group == group(trial):
            if trial.seed not in self._starts:
                self._build(trial, probe)
            shared.begin(trial, self._starts[trial.seed], probe)
            if answers(shared.model, probe) == self._starts[trial.seed].answers:
                return shared
        del shared  # free it before the next model is built
        model = self._build(trial, probe)
        shared = Shared(self._study, trial, model, probe, steps)
        shared.begin(trial, self._starts[trial.seed], probe)
        return shared

    def _build(self, trial: Trial, probe: Any) -> keras.Model:
        """Return a new model for a trial's seed, and save its initial state."""
        keras.backend.clear_session()  # so that automatic layer names repeat
        keras.utils.set_random_seed(trial.seed)
        model = self._study.build()
        self._structure = check_structure(self._study, trial, model, self._structure)
        values = [ops.convert_to_numpy(variable) for variable in model.variables]
        self._starts[trial.seed] = Start(values, answers(model, probe))
        return model


class _Log(RegularizationLogger):
    """A logger that uses measuring functions already compiled for its model."""

    def __init__(self, measuring: Measuring) -> None:
        super().__init__(score="score")
        self._measuring = lambda model, probe: measuring


def train(study: Study, trial: Trial) -> Result:
    """Train one trial on a new model."""
    return Trainer(study).train(trial)


@contextlib.contextmanager
def told_of(study: Study) -> Iterator[None]:
    """Raise errors of a user-defined model as one line, unless memory ran out."""
    builder = study.config.model.build
    try:
        yield
    except KregkitError:
        raise
    except Exception as error:
        if builder is None or backends.out_of_memory(error):
            raise
        raise StudyError(
            f"training the model of {builder} raised {summary(error)}"
        ) from None


def deterministic() -> None:
    """Make the results of a trial reproducible in this process, bit for bit."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


class _StopAtNonFinite(keras.callbacks.Callback):
    """Ends training after the first epoch with a loss that is not finite."""

    def __init__(self, log: RegularizationLogger) -> None:
        super().__init__()
        self._log = log

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._log.failed_epoch is not None:
            self.model.stop_training = True


def _batches(split: Split, seed: int, epochs: int, batch_size: int) -> Any:
    import tensorflow as tf

    x, y = tf.constant(split.x_train), tf.constant(split.y_train)
    orders = order(seed, epochs, len(x))
    begins = np.arange(orders.size).reshape(orders.shape)[:, ::batch_size]
    ends = np.append(begins[:, 1:], begins[:, :1] + len(x), axis=1)
    rows = tf.constant(orders.ravel())

    def batch(begin: Any, end: Any) -> tuple[Any, Any]:
        return tf.gather(x, rows[begin:end]), tf.gather(y, rows[begin:end])

    return _plain(
        tf.data.Dataset.from_tensor_slices((begins.ravel(), ends.ravel())).map(batch)
    )


def _whole(x: Any, y: Any) -> Any:
    import tensorflow as tf

    return _plain(tf.data.Dataset.from_tensor_slices((x, y)).batch(chunk(len(x))))


def _plain(dataset: Any) -> Any:
    """Return the dataset without optimization, which is slow at each start."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options)


def _slope(variable: Any) -> Any:
    """Return the gradient of the penalty that is attached to a variable."""
    return ops.convert_to_numpy(slope(variable.regularizer, variable.value))


def _scores(study: Study, model: Any, split: Split) -> dict[str, float]:
    found: dict[str, float] = {}
    parts: list[tuple[str, Any, Any]] = [
        ("train", split.x_train, split.y_train),
        ("val", split.x_val, split.y_val),
        ("test", split.x_test, split.y_test),
    ]
    penalties = Penalties(model)
    argument = training_argument(model, False)
    for part, x, y in parts:
        logits, added, size = [], 0.0, chunk(len(x))
        for start in range(0, len(x), size):
            now = x[start : start + size]
            with penalties.silenced():  # keeps only losses of `add_loss`
                logits.append(ops.convert_to_numpy(model(now, **argument)))
                added += len(now) / len(x) * float(sum(model.losses))
        answers = np.concatenate(logits)
        found[f"{part}_score"] = score(study, y, answers)
        found[f"{part}_data_loss"] = float(study.loss()(y, answers)) + added
    return found
