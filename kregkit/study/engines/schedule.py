"""Decides which engine trains which trials, and how many at a time.

The decision depends on the model alone and precedes all training, so `kregkit plan`
shows what `kregkit run` will do, and why.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
from keras import ops

from kregkit.errors import ModelError
from kregkit.numerics import Tensor
from kregkit.schema import PROBE
from kregkit.study.engines import backends
from kregkit.study.engines.batch import optimizer
from kregkit.study.engines.batch.convolutions import (
    batched_convolutions,
    convolution_forms,
)
from kregkit.study.engines.batch.objective import Mixture, Objective
from kregkit.study.engines.fit.shared_model import answers, group
from kregkit.study.memory import memory as memory
from kregkit.study.plan import Trial, words
from kregkit.study.problem.resolve import Study
from kregkit.study.problem.sizes import Sizes, shaped, sizes
from kregkit.watch.loss_terms import CUSTOM, overridden
from kregkit.weights import walk_layers

MOST: Final = 256
"""The maximum batch: more trials are no faster, and a killed run would lose more."""

_STATE: Final = 64 * 2**20
_TRAFFIC: Final = 20 * 2**20
"""The maximum bytes of weights and optimizer state, and of a step's tensors, in a batch
of more than `_FEW` trials. Larger batches leave the processor's caches and are no
faster. Measured on 2 cores: 16 small CNNs at a time took 0.6 of the time per trial that
64 took, and 215 MLPs half of the time per trial that 54 took."""

_FEW: Final = 16


@dataclass(frozen=True)
class MemoryEstimate:
    """The bytes that training needs for each trial, and for each seed's data.

    `state` is for weights and optimizer, and `step` for the tensors of a step.
    """

    trial: int
    seed: int
    state: int
    step: int

    @property
    def least(self) -> int:
        """The bytes that any engine needs: weights, gradients, optimizer, data."""
        return 2 * self.state + self.seed // 2

    def at_a_time(self, room: int) -> int:
        """Return how many trials with one seed each fit into `room` bytes, or 0."""
        fit = room // (self.trial + self.seed)
        quick = min(_STATE // max(1, self.state), _TRAFFIC // max(1, self.step))
        return min(fit, MOST, max(_FEW, quick))


@dataclass(frozen=True)
class WorkItem:
    """Trials that one engine trains together."""

    engine: str
    trials: tuple[Trial, ...]
    size: int


@dataclass(frozen=True)
class Schedule:
    """How a study is trained: its units in order, and the reason as text.

    `memory` is the number of bytes of the largest batch, or 0 without a batch.
    """

    units: tuple[WorkItem, ...]
    reason: str
    memory: int = 0

    def __str__(self) -> str:
        """Return a text: trials and units of each engine, and the reason."""
        lines = []
        for engine in dict.fromkeys(unit.engine for unit in self.units):
            sizes = [len(unit.trials) for unit in self.units if unit.engine == engine]
            units = f"{len(sizes)} unit{'s' * (len(sizes) > 1)}"
            lines.append(f"engine {engine}: {sum(sizes)} trials in {units}")
        return "\n".join([*lines, f"because: {self.reason}"])


def schedule(
    study: Study, trials: Sequence[Trial], engine: str = "auto", workers: int = 1
) -> Schedule:
    """Divide trials among the engines.

    Raises:
        ModelError: `engine` is "batch" and the study cannot be batched, or one trial
            alone needs more memory than there is.
    """
    if not trials:
        return Schedule((), "nothing is left to train")
    if engine == "fit":
        return Schedule(_groups(trials, workers), "the engine fit was requested")
    room, own, why = memory() // (2 * workers), _least(study), None
    if own.at_a_time(room) >= 1:
        why = obstacle(study, trials[0])
        own = own if why else need(study, trials)
    if why is None:
        most = own.at_a_time(room)
        if most < 1:
            why = (
                f"trial {trials[0].id} ({words(trials[0])}) alone needs about "
                f"{own.trial + own.seed >> 20} MiB in a batch; {room >> 20} MiB may be "
                "used"
            )
            if engine == "batch" or own.least > 2 * room:
                raise ModelError(
                    f"{why}. Make the model or the batch smaller, or use fewer workers."
                )
    if why is not None:
        if engine == "batch":
            raise ModelError(f"the engine batch cannot train this study: {why}.")
        return Schedule(_groups(trials, workers), why)
    count = max(math.ceil(len(trials) / most), min(workers, len(trials)))
    size = math.ceil(len(trials) / count)
    # Trials of one seed share its data.
    ordered = sorted(trials, key=lambda trial: trial.seed) if count > 1 else trials
    units = tuple(
        WorkItem("batch", tuple(ordered[start : start + size]), size)
        for start in range(0, len(ordered), size)
    )
    seeds = max(len({trial.seed for trial in unit.trials}) for unit in units)
    taken = size * own.trial + seeds * own.seed
    return Schedule(units, f"up to {size} trials at a time", taken)


def obstacle(study: Study, trial: Trial) -> str | None:
    """Return why the study's trials cannot be trained as one program, or None."""
    backend = keras.backend.backend()
    if backend not in backends.SUPPORTED:
        return f"Keras runs on {backend}, for which there is no stacked training"
    policy = keras.config.dtype_policy().name
    if policy != "float32":
        return f"the dtype policy is {policy}, not float32"
    keras.utils.set_random_seed(study.trials[0].seed)
    model = study.build()
    name = overridden(model, (*CUSTOM, "make_train_function", "fit"))
    if name is not None:
        return f"the model has its own `{name}`"
    places = walk_layers(model)
    wide = (p for p in places if p.layer.compute_dtype not in (None, "float32"))
    if (place := next(wide, None)) is not None:
        return f"layer {place.path!r} computes in {place.layer.compute_dtype}"
    why = optimizer.obstacle(study.optimizer())
    # Before penalties are set on the model, since they are unusable outside a batch.
    constants = why is None and study.own_model and _has_constants(study, model)
    why = why or backends.obstacle(*_forward(study, [trial], model))
    if why is None and constants:
        return "the model has random constants that are not variables"
    return why


def need(study: Study, trials: Sequence[Trial]) -> MemoryEstimate:
    """Return an upper estimate of the memory of a trial in a batch of these."""
    model, trial = study.build(), trials[0]
    least = _of_state(sizes(study, model))
    with batched_convolutions(
        convolution_forms(place.layer for place in walk_layers(model))
    ):
        forward = backends.traffic(*_forward(study, trials, model))
    split = study.split(trial.seed)
    x, y = (split.x_train, split.x_val, split.x_test), (split.y_train, split.y_val)
    parts = (*x, *y, split.y_test)
    row = split.x_train[0].nbytes + split.y_train[0].nbytes
    batch = study.config.train.batch_size
    return MemoryEstimate(
        # Tensors kept for the gradient, or computed on the probe; rows of the test part
        # as they are, with noise or permuted, and once more while they are stacked.
        least.trial + max(3, PROBE // batch) * forward + row * (7 * PROBE + 4 * batch),
        # The parts, their concatenation over seeds, and the permuted test inputs.
        2 * sum(part.nbytes for part in parts) + split.x_test.nbytes,
        least.state,
        forward,
    )


def _least(study: Study) -> MemoryEstimate:
    """Return the memory of a trial in any batch, without tracing."""
    numbers = study.data.x.size + study.data.y.size
    return _of_state(sizes(study, shaped(study)), 8 * numbers)


def _of_state(found: Sizes, seed: int = 0) -> MemoryEstimate:
    # The state before and after a step, gradients, the variables of the optimizer's
    # build, and the stored weights and gradients, a Python float for each.
    return MemoryEstimate(5 * found.state + 64 * found.weights, seed, found.state, 0)


def _groups(trials: Sequence[Trial], workers: int) -> tuple[WorkItem, ...]:
    """Return units of trials that share one compiled model, divided among workers."""
    groups: dict[Any, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(group(trial), []).append(trial)
    most = math.ceil(len(trials) / workers)
    return tuple(
        WorkItem("fit", tuple(alike[start : start + most]), 1)
        for alike in groups.values()
        for start in range(0, len(alike), most)
    )


def _has_constants(study: Study, first: keras.Model) -> bool:
    """Return whether a model of another seed has other outputs with these variables."""
    seed = study.trials[0].seed
    probe = study.split(seed).x_val
    keras.utils.set_random_seed(seed + 1)
    second = study.build()
    if [v.shape for v in first.variables] != [v.shape for v in second.variables]:
        return False  # the training raises an error
    for one, other in zip(first.variables, second.variables, strict=True):
        other.assign(one)
    return answers(first, probe) != answers(second, probe)


def _forward(
    study: Study, trials: Sequence[Trial], model: keras.Model
) -> tuple[Any, Any]:
    """Return the first trial's training pass, and tensors for its trace."""
    trial, mixture = trials[0], Mixture.attach(model, study, trials)
    objective = Objective(model, study, mixture)
    split = study.split(trial.seed)
    batch = study.config.train.batch_size
    given = (
        [*map(_value, model.trainable_variables)],
        [*map(_value, model.non_trainable_variables)],
        ops.convert_to_tensor(split.x_train[:batch]),
        ops.convert_to_tensor(split.y_train[:batch]),
        keras.tree.map_structure(
            lambda own: ops.convert_to_tensor(own[0]), mixture.parameters([trial])
        ),
    )
    return lambda given: objective(given, training=True), given


def _value(variable: keras.Variable) -> Tensor:
    return ops.convert_to_tensor(ops.convert_to_numpy(variable))
