"""A whole study by the engine `batch` against its trials one by one.

`mlp_digits.toml`: 215 trials of an MLP 64-32 on the digits, 40
epochs, every measure logged at every epoch. A batch run is `kregkit run` from the
parsed file to the finished store, the report and the import of Keras left out; it
traces its program anew each time. Both engines log and measure the same.

Rounds of: 4 trials by `model.fit` with a new model each, as a user of Keras and of
`RegularizationLogger` writes it, a batch run, 4 more of these trials, and then as many
by the engine `fit` with a new model each, which runs an epoch's steps as one call, and
4 on a model which it has compiled before; one trial in a fresh process, Python and
imports with it; 4 trials by Keras Tuner's grid search and by Ray Tune with two
workers, which log nothing (`_rivals.py`).
The trials by `fit` are spread over the study, baseline and all penalties. A factor is
the seconds of a trial there over a 215th of the batch run of the same round. Ray Tune
without start-up is the time inside its trials, halved for its two workers; with it,
Ray and the imports of each worker are counted. What is not installed is left out.
"""

import functools
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from experiments.benchmarks._interleave import around, emit, figure, ratios, timed
from experiments.benchmarks._studies import plain, sample
from kregkit.study.engines.fit import train_one
from kregkit.study.file import config
from kregkit.study.problem.resolve import Study, resolve
from kregkit.study.run import prepare, train

FILE = Path(__file__).with_name("mlp_digits.toml")
ROUNDS, FITS, SHARED = 2, 8, 4
SECONDS, FACTOR = 60.0, 40.0
PLAIN = "model.fit, a new model per trial"
NEW = "engine fit, a new model per trial"
RIVALS = {"keras_tuner": "Keras Tuner", "ray": "Ray Tune, 2 workers"}


def batch() -> float:
    """Return the seconds of a batch run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        return timed(lambda: train(prepare(FILE, out), lambda *_: None, "batch"))


def shared(study: Study) -> float:
    """Return the seconds of a trial on a model that was compiled before."""
    alike = [
        trial
        for trial in study.trials
        if (trial.regularizer, trial.target) == ("L2", "kernel")
    ]
    trainer = train_one.Trainer(study)
    first, *others = sample(alike, SHARED + 1)
    trainer.train(first)
    runs = [functools.partial(trainer.train, trial) for trial in others]
    return statistics.mean(timed(run) for run in runs)


def rival(name: str) -> tuple[float, dict[str, float]]:
    """Return the seconds of a whole process, and those of a trial that it tells."""
    command = [sys.executable, "-m", "experiments.benchmarks._rivals", name, str(FILE)]
    told: list[str] = []

    def run() -> None:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        told.append(done.stdout.splitlines()[-1])

    seconds = timed(run)
    return seconds, json.loads(told[-1])


def main() -> None:
    """Measure and print the figures."""
    study = resolve(config.load(FILE)[0], FILE)
    chosen = sample(study.trials, FITS)
    train_one.deterministic()
    fits, plains = (
        [functools.partial(timed, functools.partial(one, study, t)) for t in chosen]
        for one in (train_one.train, plain)
    )
    fits[0]()  # what is loaded when it is needed first
    plains[0]()
    installed = [name for name in RIVALS if importlib.util.find_spec(name)]
    wholes: list[float] = []
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        whole, outer = around(batch, plains)
        wholes.append(whole)
        seconds[PLAIN].append(statistics.mean(outer))
        seconds[NEW].append(statistics.mean(fit() for fit in fits))
        seconds["engine fit, a shared model"].append(shared(study))
        seconds["a process per trial"].append(rival("process")[0])
        for name in installed:
            _, told = rival(name)
            seconds[RIVALS[name]].append(told["whole"])
            if "inside" in told:
                words = f"{RIVALS[name]}, without start-up"
                seconds[words].append(told["inside"])
    count = len(study.trials)
    title = f"study: {count} trials by batch, with tracing"
    emit(figure(title, "seconds", wholes, SECONDS))
    each = [whole / count for whole in wholes]
    emit(figure("study: batch, of each trial", "seconds", each))
    for name, found in seconds.items():
        values, words = ratios(found, each), f"study: {name} / batch"
        if name == PLAIN:
            emit(figure(words, "ratio", values, FACTOR, at_least=True))
        else:
            emit(figure(words, "ratio", values))
        emit(figure(f"study: {name}, of each trial", "seconds", found))
    for name in set(RIVALS) - set(installed):
        print(f"{name} is not installed; its figures are left out", file=sys.stderr)


if __name__ == "__main__":
    main()
