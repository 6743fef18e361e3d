"""One compiled model that many trials of a study share, with a reset between them.

The result of a trial does not depend on earlier trials, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from kregkit._keras import training_argument
from kregkit.kkt.negative_gradient import NegativeGradient
from kregkit.optimizers import Proximal
from kregkit.optimizers._gradients import sum_gradients
from kregkit.regularizers._base import bound
from kregkit.study.engines.decay import set_decay
from kregkit.study.plan import Trial
from kregkit.study.probes.part_metrics import PartMetrics
from kregkit.study.probes.probing import Probing, alone
from kregkit.study.problem.models import holders
from kregkit.study.problem.resolve import Study
from kregkit.watch.loss_terms import LossTerms
from kregkit.watch.measuring import Measuring
from kregkit.weights import weight_of

_MOST = 100
"""The maximum steps per execution; a run can be interrupted only between executions.
"""


@dataclass(frozen=True)
class Start:
    """The initial variables of a seed's model, and its output for one row."""

    values: list[Any]
    answers: bytes


class Shared:
    """One compiled model for all trials of a group; `begin` resets it."""

    def __init__(
        self, study: Study, trial: Trial, model: Any, probe: Any, steps: int
    ) -> None:
        self.group = group(trial)
        self.model = model
        self._study = study
        self._state = list(model.variables)
        self._parameters = attach(model, study, trial)
        optimizer = study.optimizer()
        if trial.decay:
            self._parameters = {"strength": set_decay(optimizer, model, trial)}
        sum_gradients(optimizer)  # so that gradients are dense without a penalty, too
        if trial.solver == "proximal":
            optimizer = Proximal(optimizer)
        model.compile(
            optimizer,
            study.loss(),
            metrics=[study.metric()],
            steps_per_execution=_at_once(steps),
        )
        model.optimizer.build(model.trainable_variables)
        self._slots = list(model.optimizer.variables)
        self._slots_start = [ops.convert_to_numpy(slot) for slot in self._slots]
        self.measuring = Measuring(model, probe)
        self.descent = NegativeGradient(model, study.loss())
        self.probing = Probing(study, model, self.measuring, alone)
        self.metrics = PartMetrics(study, model)
        self.resettable = False
        # Custom steps and other backends cannot be inspected.
        known = keras.backend.backend() == "tensorflow"
        if known and LossTerms.obstacle(model) is None:
            LossTerms(model, kept=True)
            model.train_step = self._inspected(model.train_step)
            model.test_step = self._inspected(model.test_step)
            model.make_train_function(force=True)
            self.resettable = True

    def begin(self, trial: Trial, start: Start, probe: Any) -> None:
        """Reset everything that training changes to its state before a trial."""
        for variable, value in zip(self._state, start.values, strict=True):
            variable.assign(value)
        for slot, value in zip(self._slots, self._slots_start, strict=True):
            slot.assign(value)
        if trial.learning_rate != self._study.config.train.learning_rate:
            self.model.optimizer.learning_rate = trial.learning_rate
        penalty = self._study.penalty(trial)
        for name, parameter in self._parameters.items():
            parameter.assign(trial.decay or getattr(penalty, name))
        self.measuring.begin(probe)

    def _inspected(self, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the step; its trace tests whether `begin` resets all of its state."""
        import tensorflow as tf

        def inspected(data: Any) -> Any:
            logs = step(data)
            self.resettable &= self._covers(tf.compat.v1.get_default_graph())
            return logs

        return inspected

    def _covers(self, graph: Any) -> bool:
        """Return whether `begin` and `fit` reset all that a traced step changes.

        They do not reset variables outside Keras's lists, such as Keras's random seed,
        operations that count their random draws, and operations that run Python.
        """
        known = (*self._state, *self._slots, *self._parameters.values())
        held = {id(v.value.handle) for v in (*known, *self.model.metrics_variables)}
        captured = [outer for outer, _ in graph.captures if outer.dtype == "resource"]
        traced = graph.as_graph_def()
        nodes = [node for f in traced.library.function for node in f.node_def]
        return all(id(handle) in held for handle in captured) and not any(
            "seed2" in node.attr or "PyFunc" in node.op
            for node in (*traced.node, *nodes)
        )


def attach(model: Any, study: Study, trial: Trial) -> dict[str, keras.Variable]:
    """Set a live copy of the trial's penalty on the layers that the trial names.

    Returns its parameters, as variables.
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
    held = holders(model, trial.target, trial.layers)
    for holder, attribute in held.values():
        setattr(holder, attribute, bound(live, weight_of(model, holder)))
    return parameters


def group(trial: Trial) -> tuple[object, ...]:
    """Return the properties that trials of one traced step must share."""
    return (
        trial.regularizer,
        trial.target,
        trial.layers,
        trial.solver,
        trial.structure,
    )


def answers(model: keras.Model, probe: Any) -> bytes:
    """Return the bytes of a model's output for one row."""
    given = model(probe[:1], **training_argument(model, False))
    answers: bytes = ops.convert_to_numpy(given).tobytes()
    return answers


def _at_once(steps: int) -> int:
    """Return `steps_per_execution`, which must divide the steps of an epoch."""
    if keras.backend.backend() != "tensorflow":
        return 1
    return max(n for n in range(1, min(steps, _MOST) + 1) if steps % n == 0)
