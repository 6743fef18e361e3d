"""The engine `fit`: one trial after another, trained by `model.fit` with the logger.

The one rule: a seed fixes the initial weights and the order of the batches, so that
a trial and the baseline of its seed differ in the penalty alone. Whether a model was
used before makes no difference, bit for bit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit.callbacks import Measuring, RegularizationLogger, tensor_records
from kregkit.callbacks._loss_terms import LossTerms
from kregkit.errors import ModelError
from kregkit.study.data import Split
from kregkit.study.models import layers_for
from kregkit.study.plan import Trial
from kregkit.study.protocol import PROBE, Result, order, result, score
from kregkit.study.resolve import Study
from kregkit.weights import walk

_CHUNK = 4096


class Trainer:
    """Trains trials of a study, one at a time.

    Most of the time of a small trial goes into tracing. So one compiled model is
    kept for as long as trials differ only in parameters and seed, and set back
    before each of them. It is made anew where more than Keras's variables, or other
    constants than this seed's, would decide what comes out.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._shared: _Shared | None = None
        self._starts: dict[int, _Start] = {}
        self._structure: list[tuple[Any, ...]] | None = None

    def train(self, trial: Trial) -> Result:
        """Train one trial and return what is stored of it.

        Raises:
            ModelError: the builder returned another structure for this seed.
        """
        begin = time.perf_counter()
        study, config = self._study, self._study.config.train
        split = study.split(trial.seed)
        shared = self._begun(trial, split.x_val[:PROBE])
        self._shared = None  # a model whose training is interrupted is not used again
        log = _Log(shared.measuring)
        model = shared.model
        keras.utils.set_random_seed(trial.seed)
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
        if shared.resettable:
            self._shared = shared
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

    def _begun(self, trial: Trial, probe: Any) -> "_Shared":
        """Return a compiled model for the trial, in the state before its first step."""
        shared, self._shared = self._shared, None
        if shared is not None and shared.group == _group(trial):
            if trial.seed not in self._starts:
                self._build(trial.seed, probe)
            shared.begin(trial, self._starts[trial.seed], probe)
            if shared.answers(probe) == self._starts[trial.seed].answers:
                return shared
        del shared  # Keras frees it before it builds the next
        model = self._build(trial.seed, probe)
        shared = _Shared(self._study, trial, model, probe)
        shared.begin(trial, self._starts[trial.seed], probe)
        return shared

    def _build(self, seed: int, probe: Any) -> keras.Model:
        """Return the model of a seed, and remember how it begins."""
        keras.backend.clear_session()  # layers that are given no name get the same one
        keras.utils.set_random_seed(seed)
        model = self._study.build()
        structure = [(v.path, tuple(v.shape), v.dtype) for v in model.variables]
        self._structure = self._structure or structure
        if structure != self._structure:
            config = self._study.config.model
            changed = sorted(set(structure) ^ set(self._structure), key=str)
            raise ModelError(
                f"{config.build or config.name} must return the same structure at "
                f"every call; at seed {seed} it returned another structure: {changed}."
            )
        values = [ops.convert_to_numpy(variable) for variable in model.variables]
        self._starts[seed] = _Start(values, _answers(model, probe))
        return model


@dataclass(frozen=True)
class _Start:
    """The variables of a model that was built under a seed, and what it answers."""

    values: list[Any]
    answers: bytes


class _Shared:
    """One compiled model for all trials of a group, and how it is set back."""

    def __init__(self, study: Study, trial: Trial, model: Any, probe: Any) -> None:
        self.group = _group(trial)
        self.model = model
        self._study = study
        self._state = list(model.variables)
        self._parameters = attach(model, study, trial)
        model.compile(study.optimizer(), study.loss(), metrics=[study.metric()], steps_per_execution=34)
        model.optimizer.build(model.trainable_variables)
        self._slots = list(model.optimizer.variables)
        self._slots_start = [ops.convert_to_numpy(slot) for slot in self._slots]
        self.measuring = Measuring(model, probe)
        self._vectors = self.measuring.vectors
        self.resettable = False
        # A step of the model's own is not looked into, nor is another backend's.
        known = keras.backend.backend() == "tensorflow"
        if known and LossTerms.obstacle(model) is None:
            LossTerms(model, kept=True)
            model.train_step = self._inspected(model.train_step)
            model.test_step = self._inspected(model.test_step)
            model.make_train_function(force=True)
            self.resettable = True

    def begin(self, trial: Trial, start: _Start, probe: Any) -> None:
        """Set everything that a training changes to what it is before a trial."""
        for variable, value in zip(self._state, start.values, strict=True):
            variable.assign(value)
        for slot, value in zip(self._slots, self._slots_start, strict=True):
            slot.assign(value)
        penalty = self._study.penalty(trial)
        for name, parameter in self._parameters.items():
            parameter.assign(getattr(penalty, name))
        self.measuring.vectors = self._vectors
        self.measuring._steps = self.measuring.first_steps
        self.measuring._probe = ops.convert_to_tensor(probe)

    def answers(self, probe: Any) -> bytes:
        """Return what the model answers now, to compare it with a `_Start`."""
        return _answers(self.model, probe)

    def _inspected(self, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the step; when it is traced, see whether `begin` can set it back."""
        import tensorflow as tf

        def inspected(data: Any) -> Any:
            logs = step(data)
            self.resettable &= self._covers(tf.compat.v1.get_default_graph())
            return logs

        return inspected

    def _covers(self, graph: Any) -> bool:
        """Return whether `begin` and `fit` set back all that a traced step changes.

        What they do not: variables outside Keras's lists, such as Keras's own random
        seed, and operations that count how often they have drawn random numbers.
        """
        known = (*self._state, *self._slots, *self._parameters.values())
        held = {id(v.value) for v in (*known, *self.model.metrics_variables)}
        drawn = graph.as_graph_def()
        nodes = [*drawn.node, *(n for f in drawn.library.function for n in f.node_def)]
        return all(id(v) in held for v in graph.variables) and not any(
            "seed2" in node.attr for node in nodes
        )


class _Log(RegularizationLogger):
    """A logger that measures with what was compiled for its model before."""

    def __init__(self, measuring: Measuring) -> None:
        super().__init__(score="score")
        self._measuring = lambda model, probe: measuring


def train(study: Study, trial: Trial) -> Result:
    """Train one trial alone, on a model of its own."""
    return Trainer(study).train(trial)


def deterministic() -> None:
    """Make this process give the same numbers for the same trial, bit for bit."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def attach(model: Any, study: Study, trial: Trial) -> dict[str, keras.Variable]:
    """Set the trial's penalty on the layers that it names.

    It is a live copy. Its parameters are returned, to be assigned other values.
    """
    penalty = study.penalty(trial)
    if penalty is None or trial.target is None or trial.layers is None:
        return {}
    dtype = "float64" if keras.config.floatx() == "float64" else "float32"
    parameters = {
        name: keras.Variable(
            getattr(penalty, name), dtype, trainable=False, autocast=False, name=name
        )
        for name in penalty.ranges
    }
    live = penalty.replace(**parameters)
    chosen = layers_for(model, trial.target, trial.layers)
    if trial.target == "activity":
        for layer in chosen:
            layer.activity_regularizer = live
        return parameters
    for weight in walk(model):
        if weight.role == trial.target and any(weight.layer is one for one in chosen):
            weight.variable.regularizer = live
    return parameters


def _group(trial: Trial) -> tuple[str | None, ...]:
    """Return what trials must have in common to be traced alike."""
    return trial.regularizer, trial.target, trial.layers, trial.solver


def _answers(model: keras.Model, probe: Any) -> bytes:
    """Return what a model answers to one row, bit for bit."""
    answers: bytes = ops.convert_to_numpy(model(probe[:1], training=False)).tobytes()
    return answers


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
