"""LeNet-300-100 on images, and a file of results that a run adds to and resumes from.

The test part is read for the tables, and for nothing that chooses.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kregkit.study.data.data import Split, load, split
from kregkit.study.file.config import DataConfig

BATCH = 100
KERNELS = 784 * 300 + 300 * 100 + 100 * 10


def images(name: str, seed: int) -> Split:
    """Return the parts of an image data set: 5,000 of the training rows validate."""
    config = DataConfig(name=name, validation_fraction=1 / 12)
    return split(load(config, Path()), config, seed)


def lenet(seed: int, optimizer: Any, regularizer: Any = None) -> keras.Model:
    """Return LeNet-300-100, compiled, with a penalty on the kernels of its layers."""
    keras.utils.set_random_seed(seed)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            dense(300, "relu", kernel_regularizer=regularizer),
            dense(100, "relu", kernel_regularizer=regularizer),
            dense(10, kernel_regularizer=regularizer),
        ]
    )
    recompile(model, optimizer)
    return model


def recompile(model: keras.Model, optimizer: Any) -> None:
    """Compile a model, with accuracy as its metric."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])


def kernels(model: keras.Model) -> np.ndarray:
    """Return all elements of the kernels."""
    layers = [layer for layer in model.layers if layer.weights]
    return np.concatenate([keras.ops.ravel(layer.kernel) for layer in layers])


def scores(model: keras.Model, parts: Split) -> dict[str, float]:
    """Return accuracy in percent on validation and test part, and the data loss."""
    x_val, x_test = parts.x_val, parts.x_test
    val = model.predict(x_val, 5000, verbose=0)
    test = model.predict(x_test, 5000, verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {
        "val": 100.0 * float(np.mean(val.argmax(1) == parts.y_val)),
        "test": 100.0 * float(np.mean(test.argmax(1) == parts.y_test)),
        "val_loss": float(loss(parts.y_val, val)),
    }


def resumed(
    file: Path, jobs: dict[str, Callable[[], dict[str, Any]]]
) -> dict[str, dict[str, Any]]:
    """Return the results of all jobs by name; those in the file are not run again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    found = {row["job"]: row for row in map(json.loads, lines)}
    for name, job in jobs.items():
        if name not in found:
            found[name] = {"job": name, **job()}
            with file.open("a") as out:
                out.write(json.dumps(found[name]) + "\n")
            print(json.dumps(found[name]), flush=True)
    return {name: found[name] for name in jobs}
