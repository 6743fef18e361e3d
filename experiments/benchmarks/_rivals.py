"""Four trials of a study by other means, each in a process of its own.

The same model, data, epochs and strengths of L2 on every kernel, as
somebody without kregkit would train them: no logs, no store of tensors. Keras Tuner
searches its grid one after another, Ray Tune with two workers. Called as
`python -m experiments.benchmarks._rivals NAME FILE`; prints the seconds of a trial.
"""

import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras

from kregkit.study.engines.fit import train_one
from kregkit.study.file import config
from kregkit.study.problem.resolve import Study, resolve
from kregkit.weights import walk

STRENGTHS = [1e-6, 1e-4, 1e-2, 1e-1]
WORKERS = 2


def load(file: str) -> Study:
    """Return the study in this file."""
    return resolve(config.load(Path(file))[0], Path(file))


def compiled(study: Study, strength: float) -> Any:
    """Return a new model of the study with Keras's L2 on every kernel."""
    keras.utils.set_random_seed(0)
    model = study.build()
    for weight in walk(model):
        if weight.role == "kernel":
            weight.variable.regularizer = keras.regularizers.L2(strength)
    model.compile(study.optimizer(), study.loss(), metrics=[study.metric()])
    return model


def fitted(study: Study) -> dict[str, Any]:
    """Return what `fit` is called with."""
    split, own = study.split(0), study.config.train
    return {
        "x": split.x_train,
        "y": split.y_train,
        "epochs": own.epochs,
        "batch_size": own.batch_size,
        "validation_data": (split.x_val, split.y_val),
        "verbose": 0,
    }


def process(study: Study, folder: str) -> dict[str, float]:
    """Train one trial by kregkit's `fit`; the caller times the whole process."""
    train_one.deterministic()
    trial = next(trial for trial in study.trials if trial.regularizer == "L2")
    return {"inside": train_one.train(study, trial).final["wall_seconds"]}


def keras_tuner(study: Study, folder: str) -> dict[str, float]:
    """Search a grid of strengths by Keras Tuner."""
    import keras_tuner as kt

    def build(hp: Any) -> Any:
        return compiled(study, hp.Choice("strength", STRENGTHS))

    best = kt.Objective("val_score", "max")
    grid = kt.GridSearch(build, best, max_trials=len(STRENGTHS), directory=folder)
    begin = time.perf_counter()
    grid.search(**fitted(study))
    return {"whole": (time.perf_counter() - begin) / len(STRENGTHS)}


def ray(study: Study, folder: str) -> dict[str, float]:
    """Search a grid of strengths by Ray Tune, two trials at a time."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # or Ray keeps one in ~/.ray
    import ray
    from ray import tune

    file = str(Path(sys.argv[2]).resolve())

    def trainable(chosen: dict[str, Any]) -> None:
        study = load(file)
        begin = time.perf_counter()
        model = compiled(study, chosen["strength"])
        history = model.fit(**fitted(study)).history
        seconds = time.perf_counter() - begin
        tune.report({"score": history["val_score"][-1], "seconds": seconds})

    begin = time.perf_counter()
    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=folder,
    )
    results = tune.Tuner(
        trainable,
        param_space={"strength": tune.grid_search(STRENGTHS)},
        tune_config=tune.TuneConfig(max_concurrent_trials=WORKERS),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    ).fit()
    whole = time.perf_counter() - begin
    inside = sum(one.metrics["seconds"] for one in results)
    ray.shutdown()
    count = len(STRENGTHS)
    return {"whole": whole / count, "inside": inside / count / WORKERS}


def main() -> None:
    """Run one of them and print its seconds per trial."""
    name, file = sys.argv[1:]
    means = {"process": process, "keras_tuner": keras_tuner, "ray": ray}
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(means[name](load(file), folder)), flush=True)


if __name__ == "__main__":
    main()
