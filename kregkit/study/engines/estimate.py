"""Estimates the time and memory of a study before it is trained, for `kregkit plan`.

The time is the number of multiplications of all rows, epochs and trials at a rate for
each engine, plus constants for each trial, each traced program, and the run. Rates and
constants were measured on 2 cores of 2.5 GHz.
"""

from dataclasses import dataclass
from typing import Final

from kregkit.study.engines.schedule import Schedule
from kregkit.study.problem.resolve import Study
from kregkit.study.problem.sizes import multiply_adds, shaped, sizes

_LOADED: Final = 1000 * 2**20
"""The bytes of a process with TensorFlow and a traced program."""
_UNITS: Final = ((86400, "days"), (3600, "hours"), (60, "minutes"))


@dataclass(frozen=True)
class Rates:
    """Seconds for a run, a traced program, a trial, a step and an operation."""

    run: float
    program: float
    trial: float
    step: float
    operation: float


RATES: Final = {
    "batch": Rates(15.0, 10.0, 0.03, 0.0, 1e-10),
    "fit": Rates(12.0, 2.5, 0.3, 3e-4, 5e-11),
}


@dataclass(frozen=True)
class StudyCost:
    """The seconds and bytes that a study needs, and the counted operations."""

    seconds: float
    memory: int
    operations: int

    def __str__(self) -> str:
        """Return the estimate as one line."""
        return (
            f"takes about {duration(self.seconds)} and {self.memory >> 20} MiB of "
            f"memory: {self.operations:.0e} operations, counted"
        )


def estimate(study: Study, chosen: Schedule, workers: int = 1) -> StudyCost:
    """Return the estimate for training by this schedule, and its report."""
    model, split, train = shaped(study), study.split(0), study.config.train
    found, products = sizes(study, model), multiply_adds(model)
    steps = -(-len(split.x_train) // train.batch_size)
    # Forward and backward for training rows, forward for validation rows, and the
    # optimizer and a penalty for each weight in each step.
    epoch = (
        products * (6 * len(split.x_train) + 2 * len(split.x_val))
        + 20 * found.weights * steps
    )
    seconds = operations = 0.0
    for engine in dict.fromkeys(unit.engine for unit in chosen.units):
        own, units = RATES[engine], [u for u in chosen.units if u.engine == engine]
        trials = sum(len(unit.trials) for unit in units)
        programs = len(units) if engine == "fit" else 1
        counted = trials * train.epochs * epoch
        work = trials * (own.trial + own.step * train.epochs * steps)
        shared = programs * own.program + work + own.operation * counted
        seconds += own.run + shared / min(workers, len(units))
        operations += counted
    rows = study.data.x.size + study.data.y.size
    needed = found.of_fit(study.config.seeds, rows, train.batch_size)
    memory = max(needed, chosen.memory)
    processes = min(workers, max(1, len(chosen.units)))
    return StudyCost(seconds, processes * (_LOADED + memory), int(operations))


def duration(seconds: float) -> str:
    """Return a time with one or two digits in a suitable unit."""
    for size, name in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
