"""Distributes the units of a study to worker processes, which train and store them.

Workers share only the store. If a worker fails, or the run is interrupted, all workers
end.
"""

import contextlib
import importlib
import multiprocessing
import os
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kregkit.errors import KregkitError, ModelError
from kregkit.store import Store

if TYPE_CHECKING:
    from kregkit.study.engines.schedule import WorkItem
    from kregkit.study.file.config import StudyConfig
    from kregkit.study.plan import Trial


def load_backend_quietly() -> None:
    """Import TensorFlow without the lines that its libraries print.

    They are printed before TensorFlow's log level applies. If the import fails, they
    are shown.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            tensorflow = importlib.import_module("tensorflow")
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    # TensorFlow warns of operations that a vectorized map runs in a loop. `kregkit
    # plan` shows the engine instead.
    tensorflow.get_logger().setLevel("ERROR")


def spread(
    units: Sequence["WorkItem"],
    trials: Sequence["Trial"],
    config: "StudyConfig",
    file: Path,
    store: Store,
    workers: int,
    progress: Callable[[float, int], None],
) -> None:
    """Train the units in `workers` processes, each with its share of the cores.

    Raises:
        KregkitError: a worker raised it; the other workers are ended.
        ModelError: a worker was killed, as happens when memory runs out.
    """
    workers = min(workers, len(units))
    spawning = multiprocessing.get_context("spawn")
    waiting, told = spawning.Queue(), spawning.Queue()
    waiting.cancel_join_thread()  # do not wait for units that no worker took
    for unit in units:
        waiting.put(unit)
    processes: list[Any] = []
    try:
        with _without_interrupts():
            for number in range(workers):
                waiting.put(None)
                shared = (tuple(trials), config, file, store, waiting, told)
                given = (number, workers, *shared)
                process = spawning.Process(target=_work, args=given, daemon=True)
                process.start()
                processes.append(process)
        running = len(processes)
        while running:
            _check(processes)
            try:
                message = told.get(timeout=0.5)
            except queue.Empty:
                continue
            if message is None:
                running -= 1
            elif isinstance(message, Exception):
                raise message
            else:
                progress(*message)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C, which a terminal sends to all, for processes started inside."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_MEANING: Final = {
    -9: ", killed, as happens when memory runs out",
    1: "; its error is shown above",
}


def _check(processes: Sequence[Any]) -> None:
    killed = [process.exitcode for process in processes if process.exitcode]
    if killed:
        meaning = _MEANING.get(killed[0], "")
        raise ModelError(
            f"a worker ended with exit status {killed[0]}{meaning}. "
            "Finished trials are stored: run it again with fewer workers."
        )


def _work(
    number: int,
    workers: int,
    trials: Sequence["Trial"],
    config: "StudyConfig",
    file: Path,
    store: Store,
    waiting: Any,
    told: Any,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _take_share(number, workers)
    load_backend_quietly()
    from kregkit.study.engines.fit.train_one import deterministic
    from kregkit.study.engines.training import Training
    from kregkit.study.problem.resolve import resolve

    deterministic()
    try:
        training = Training(resolve(config, file), store, trials)
        while (unit := waiting.get()) is not None:
            training.train(unit, lambda done, failed: told.put((done, failed)))
    except KregkitError as error:
        told.put(error)
    told.put(None)


def _end_with_parent() -> None:
    """End when the parent ends: a resumed run would train the same trials."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _take_share(number: int, workers: int) -> None:
    """Restrict this process to its share of the cores, if the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // workers)
    own = {cores[(number * share + index) % len(cores)] for index in range(share)}
    with contextlib.suppress(PermissionError):
        os.sched_setaffinity(0, own)
