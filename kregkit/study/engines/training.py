"""Trains units of trials with their engine, and stores each unit at once.

If a batch runs out of memory, it is repeated with half as many trials at a time.
"""

import gc
from collections.abc import Callable, Sequence
from typing import Final

from kregkit.errors import ModelError
from kregkit.store import Store
from kregkit.study.engines import backends
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit.train_one import Trainer
from kregkit.study.engines.protocol import Result
from kregkit.study.engines.schedule import WorkItem
from kregkit.study.plan import Trial, words
from kregkit.study.problem.resolve import Study

Progress = Callable[[float, int], None]
"""Called with the number of newly trained trials (or fractions), and of failed ones."""

_TRAINING: Final = 0.98
"""The share of a batch's progress for its epochs; the rest follows when it is stored.
"""


class Training:
    """Both engines for one study, with their compiled programs.

    Args:
        study: the study.
        store: the store for the finished units.
        trials: all trials that the engine `batch` may train.
    """

    def __init__(self, study: Study, store: Store, trials: Sequence[Trial]) -> None:
        self._study = study
        self._store = store
        self._trials = trials
        self._trainer = Trainer(study)
        self._program: Program | None = None

    def train(self, unit: WorkItem, progress: Progress) -> None:
        """Train and store the trials of a unit.

        Raises:
            ModelError: one trial alone runs out of memory.
        """
        if unit.engine == "batch":
            self._batches(unit.trials, unit.size, progress)
            return
        for trial in unit.trials:
            result = self._trainer.train(trial)
            self._keep([result])
            progress(1.0, int(result.failed))

    def _batches(self, trials: Sequence[Trial], size: int, progress: Progress) -> None:
        if self._program is not None:  # smaller, if an earlier one ran out of memory
            size = min(size, self._program.trials)
        rest = list(trials)
        while rest:
            now, done, results = rest[:size], 0.0, list[Result]()

            def advance(share: float, count: int = len(now)) -> None:
                nonlocal done
                done += _TRAINING * share * count
                progress(_TRAINING * share * count, 0)

            try:
                results = self._sized(size).train(now, advance)
            except Exception as error:
                if not backends.out_of_memory(error):
                    raise
                progress(-done, 0)
                if size == 1:
                    raise ModelError(
                        f"trial {now[0].id} ({words(now[0])}) alone runs out of memory."
                    ) from None
                self._program = None
            if self._program is None:  # out of memory; the error is freed by now
                size = -(-size // 2)
                gc.collect()
                continue
            self._keep(results)
            progress(len(now) - done, sum(result.failed for result in results))
            rest = rest[size:]

    def _sized(self, size: int) -> Program:
        if self._program is None:
            self._program = Program(self._study, self._trials, size)
        return self._program

    def _keep(self, results: list[Result]) -> None:
        self._store.write(
            [row for result in results for row in result.rows],
            [result.final for result in results],
            [tensor for result in results for tensor in result.tensors],
        )
