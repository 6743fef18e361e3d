"""Runs a study from its file to its store, for the command line.

The finished trials are those in the store; a resumed run trains the others. A killed
run loses only the present unit: a trial of the engine `fit`, a batch of the engine
`batch`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kregkit.errors import StoreError
from kregkit.store import Store
from kregkit.study.file import config as config_module
from kregkit.study.file.locate import located
from kregkit.study.plan import Trial, digest, plan


@dataclass(frozen=True)
class Job:
    """A study file, checked without Keras, and the trials that its store lacks."""

    file: Path
    text: str
    config: config_module.StudyConfig
    store: Store
    report: Path
    trials: tuple[Trial, ...]
    waiting: tuple[Trial, ...]
    fresh: bool


Progress = Callable[[float, int], None]
"""Called with the number of newly trained trials (or fractions), and of failed ones."""


def prepare(file: Path, out: Path | None = None, fresh: bool = False) -> Job:
    """Parse and plan a study, and compare it with its store.

    Store and report are `out/store` and `out/report`; without `out`, `runs/<name>` and
    `reports/<name>`.

    Raises:
        StudyError, DataError: the file or its data file cannot be used.
        StoreError: the store belongs to another study, or cannot be read.
    """
    config, text, trials = planned(file)
    folder = Path("runs") / config.name if out is None else out / "store"
    report = Path("reports") / config.name if out is None else out / "report"
    store = Store(folder)
    finished = _finished(store, config.name, fresh)
    expected = {trial.id for trial in trials}
    if not finished <= expected:
        raise StoreError(
            f"{folder}: holds {len(finished - expected)} trials that {file} does not "
            "plan: its data, model or training changed. Use --fresh to start again, or "
            "--out for another folder"
        )
    waiting = tuple(trial for trial in trials if trial.id not in finished)
    return Job(file, text, config, store, report, trials, waiting, fresh)


def planned(file: Path) -> tuple[config_module.StudyConfig, str, tuple[Trial, ...]]:
    """Return a study file's config, its text and its trials, without Keras."""
    config, text = config_module.load(file)
    with located(file, "data", "file"):
        return config, text, plan(config, digest(config, file.parent))


def train(
    job: Job,
    progress: Progress,
    engine: str = "auto",
    workers: int = 1,
    begin: Callable[[str], None] = lambda words: None,
) -> int:
    """Train the waiting trials, and store each unit at once.

    Args:
        job: the study.
        progress: called during training.
        engine: "auto", "batch" or "fit".
        workers: the number of processes.
        begin: called before the first unit, with a text about data and engines.

    Returns:
        The number of failed trials.

    Raises:
        StudyError, DataError, ModelError: before the first training step, for errors
            that need Keras and the data; later, a `ModelError` if memory runs out, a
            builder returns another structure, or a worker ends.
        StoreError, VersionError: the store cannot be resumed here.
    """
    from kregkit.study.advice import advice
    from kregkit.study.data.data import told
    from kregkit.study.engines.fit.train_one import deterministic
    from kregkit.study.engines.schedule import schedule
    from kregkit.study.engines.training import Training
    from kregkit.study.engines.workers import spread
    from kregkit.study.problem.resolve import resolve
    from kregkit.watch.records import environment

    study = resolve(job.config, job.file)
    chosen = schedule(study, job.waiting, engine, workers)
    units = chosen.units
    if job.fresh:
        job.store.clear()
    job.store.check_resumable(environment())
    job.store.begin(job.text)
    if units:
        lines = [f"{told(study.data, job.config.data)}{chosen}"]
        lines += [f"warning: {line}" for line in advice(job.config)]
        begin("\n".join(lines))
    if workers > 1 and len(units) > 1:
        spread(units, job.waiting, job.config, job.file, job.store, workers, progress)
        return job.store.failed()
    deterministic()
    training = Training(study, job.store, job.waiting)
    for unit in units:
        training.train(unit, progress)
    return job.store.failed()


def _finished(store: Store, name: str, fresh: bool) -> frozenset[str]:
    text = store.study()
    if text is None:
        if (store.path / "parts").exists():
            raise StoreError(f"{store.path}: a store without a study file")
        return frozenset()
    stored = config_module.parse(text, str(store.path / "study.toml"))
    if stored.name != name:
        raise StoreError(
            f"{store.path}: holds the study {stored.name!r}, not {name!r}. Use --out "
            "for another folder"
        )
    return frozenset() if fresh else store.finished()
