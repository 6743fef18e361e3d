"""How zeros that come and go are made to stay: six ways, one start.

`KREGKIT_DATA=... python -m experiments.zeros.consolidation` writes
reports/consolidation/report.md; results are kept in runs/consolidation.jsonl as they
come. LeNet-300-100 on MNIST with L1(1e-4) by Proximal(Adam) for 8 epochs; each way
then goes on from there for 4:

- `none` trains on as before;
- `snap`: 1 epoch more, |w| <= 1e-3 set to zero, and 3 epochs of healing: the zeros
  stay and the others train without a penalty;
- `freeze`: a weight that is zero at 3 checks in a row, one after every 100 steps of an
  epoch, stays zero;
- `gradient average`: Adam with β₁ = 0.99, which averages ten times as many gradients;
- `dual average`: w = prox(w₀ - s·Σg, t·s·λ) after t steps, with the sum of all
  gradients and the step s of Adam as it was when these epochs began;
- `dual average, heal`: 1 epoch as before, 2 of dual averaging and 1 of healing.

`snap` and `dual average, heal` are the callback `Consolidate`; the others are written
out in this file.
"""

import statistics
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.zeros._lenet import (
    BATCH,
    images,
    kernels,
    lenet,
    recompile,
    resumed,
    scores,
)
from kregkit.callbacks import Consolidate
from kregkit.optimizers import Proximal, innermost, step_size
from kregkit.regularizers import L1

SEEDS, FIRST, LAST, STRENGTH, RATE = 3, 8, 4, 1e-4, 1e-3
CHECK, CHECKS = 100, 3
WAYS = (
    "none",
    "snap",
    "freeze",
    "gradient average",
    "dual average",
    "dual average, heal",
)
REPORT = Path("reports/consolidation/report.md")


class Freeze(keras.callbacks.Callback):
    """Keeps the weights at zero that were zero at several checks in a row."""

    def on_train_begin(self, logs: Any = None) -> None:
        self._kernels = [layer.kernel for layer in self.model.layers if layer.weights]
        self._counts = [np.zeros(kernel.shape, int) for kernel in self._kernels]
        for kernel in self._kernels:
            mask = tf.Variable(tf.ones(kernel.shape))
            kernel.constraint = lambda w, mask=mask: w * mask
            kernel.mask = mask
        self.model.make_train_function(force=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (batch + 1) % CHECK:
            return
        for kernel, count in zip(self._kernels, self._counts, strict=True):
            zero = keras.ops.convert_to_numpy(kernel) == 0
            count[:] = np.where(zero, count + 1, 0)
            frozen = (count >= CHECKS) | (kernel.mask.numpy() == 0)
            kernel.mask.assign(1.0 - frozen)


def dual_average(model: keras.Model, x: Any, y: Any, seed: int) -> None:
    """Train for the last epochs by regularized dual averaging in Adam's metric."""
    optimizer, penalty = innermost(model.optimizer), L1(STRENGTH)
    weights = model.trainable_variables
    steps = [
        step_size(optimizer, i, optimizer.learning_rate, optimizer.iterations)
        for i in range(len(weights))
    ]
    begin = [tf.identity(w.value) for w in weights]
    sums = [tf.Variable(tf.zeros(w.shape)) for w in weights]
    time = tf.Variable(0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(rows: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(tf.gather(y, rows), model(tf.gather(x, rows), training=True))
        time.assign_add(1.0)
        for i, g in enumerate(tape.gradient(value, [w.value for w in weights])):
            sums[i].assign_add(g)
            point = begin[i] - steps[i] * sums[i]
            if len(point.shape) == 2:
                point = penalty.prox(point, time * steps[i] * STRENGTH)
            weights[i].assign(point)

    random = np.random.default_rng(seed)
    for _ in range(LAST):
        order = random.permutation(len(x))
        for begun in range(0, len(x), BATCH):
            step(tf.constant(order[begun : begun + BATCH]))


def seed_of(seed: int) -> dict[str, Any]:
    """Return what every way leaves of one start, for a seed."""
    parts = images("mnist", seed)
    data = (tf.constant(parts.x_train), tf.constant(parts.y_train))
    model = lenet(seed, Proximal(keras.optimizers.Adam(RATE)), L1(STRENGTH))
    model.fit(*data, BATCH, FIRST, verbose=0)
    weights, state = model.get_weights(), [v.numpy() for v in model.optimizer.variables]
    rows = {"start": _row(model, parts)}
    for way in WAYS:
        beta = 0.99 if way == "gradient average" else 0.9
        recompile(model, Proximal(keras.optimizers.Adam(RATE, beta_1=beta)))
        model.set_weights(weights)
        model.optimizer.build(model.trainable_variables)
        for variable, value in zip(model.optimizer.variables, state, strict=True):
            variable.assign(value)
        if way == "dual average":
            dual_average(model, *data, seed)
        else:
            callbacks = {
                "snap": [Consolidate(average=0, heal=3)],
                "freeze": [Freeze()],
                "dual average, heal": [Consolidate(average=2, heal=1)],
            }
            model.fit(*data, BATCH, LAST, verbose=0, callbacks=callbacks.get(way))
        rows[way] = _row(model, parts)
        for weight in model.trainable_variables:
            weight.constraint = None
    return {"rows": rows}


def _row(model: keras.Model, parts: Any) -> dict[str, float]:
    sizes = np.abs(kernels(model))
    zero, near = np.mean(sizes == 0), np.mean(sizes <= 1e-3)
    own = {"zero": 100 * zero, "near": 100 * near, "exact": 100 * zero / near}
    return {**{k: float(v) for k, v in own.items()}, **scores(model, parts)}


def main() -> None:
    """Train what is missing, and write the report."""
    jobs = {f"seed {seed}": lambda seed=seed: seed_of(seed) for seed in range(SEEDS)}
    found = resumed(Path("runs/consolidation.jsonl"), jobs)

    def cell(way: str, column: str, less: str = "") -> str:
        values = [
            job["rows"][way][column] - (job["rows"][less][column] if less else 0.0)
            for job in found.values()
        ]
        mean, sd = statistics.mean(values), statistics.stdev(values)
        return f"{mean:+.2f} ± {sd:.2f}" if less else f"{mean:.2f} ± {sd:.2f}"

    lines = [
        "# From zeros that come and go to zeros that stay",
        "",
        __doc__.split("\n\n", 1)[1].strip().replace("`KREGKIT", "Made by `KREGKIT"),
        "",
        f"Mean ± sd over {SEEDS} seeds, in percent and points. *Exact* is the share of "
        "the weights with |w| <= 1e-3 that are zero. The difference is that of the "
        "validation accuracy to `none`, paired by seed.",
        "",
        "| | exactly zero | within 1e-3 | exact | validation | difference | test |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in ("start", *WAYS):
        own = [cell(way, c) for c in ("zero", "near", "exact", "val")]
        cells = [*own, cell(way, "val", less="none"), cell(way, "test")]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
