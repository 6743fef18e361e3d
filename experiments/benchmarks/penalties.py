"""What every penalty of a weight costs: in a training step, and its proximal step.

Steps are those of `step.py`, of LeNet-300-100 with the penalty on every kernel, against
Keras's L2. On ResNet50's kernels value and gradient of the penalty are timed beside a
whole step on 16 images with Keras's L2: the ratio is (step + penalty − Keras's L2)/step
of one round. A proximal step is that of a kernel of 784 by 300 with an amount for each
weight, or one where a penalty takes no other, against Adam's update of the same kernel
by a given gradient. Orthogonality, value and gradient, is of the same kernel against
the forward pass of its layer on 128 rows, and of ResNet50's against its forward pass.
Not compiled by XLA, as Keras has it on a CPU unless told otherwise, and compiled, but
for ResNet50.
"""

import functools
import statistics
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.benchmarks._interleave import (
    Arm,
    emit,
    figure,
    interleave,
    ratios,
    timed,
)
from experiments.benchmarks._model import BATCH, lenet_300_100, rows
from experiments.benchmarks.proximal_resnet50 import BATCH as IMAGES
from experiments.benchmarks.proximal_resnet50 import resnet50, step
from experiments.benchmarks.step import STEPS, block
from kregkit import known, regularizers

BUILDS, ROUNDS, ROUNDS_OF_RESNET50, TIMES = 2, 25, 6, 5
RATIOS = ("GroupHoyerSquare", "Hoyer", "HoyerSquare")
EXCEPTED = ("ExclusiveLasso", "GroupLInf", "LInf", "NuclearNorm", "SLOPE")
"""Their proximal steps sort, or need singular values."""

OF_MATRICES = ("NuclearNorm", "Orthogonality", "SpectralNorm")
"""Their cost is compared with a forward pass of the layer, not with a step."""

OURS = {
    cls.__name__: regularizers.make(cls.__name__, 1e-6)
    for cls in regularizers.classes()
    if cls.only_on != "activity"
} | {"SpectralNorm, power": regularizers.SpectralNorm(1e-6, form="power")}
KERAS, AGAIN = "Keras L2", "Keras L2, again"
TRAINED = {name: penalty for name, penalty in OURS.items() if penalty.differentiable}
PENALTIES = {name: keras.regularizers.L2(1e-6) for name in (KERAS, AGAIN)} | TRAINED


def limit(name: str) -> float | None:
    """Return the target of a step's cost."""
    if name.split(",")[0] in OF_MATRICES:
        return None
    return 1.25 if name in RATIOS else 1.15


def report(title: str, costs: dict[str, list[float]]) -> None:
    """Print the ratios of all penalties to Keras's L2."""
    again = ratios(costs[AGAIN], costs[KERAS])
    noise = abs(statistics.median(again) - 1.0)
    emit(figure(f"{title}: Keras L2, again / Keras L2", "ratio", again))
    for name in TRAINED:
        values = ratios(costs[name], costs[KERAS])
        words = f"{title}: {name} / Keras L2"
        emit(figure(words, "ratio", values, limit(name), noise=noise))


def of_lenet(jit: bool, words: str) -> None:
    """Measure training steps of LeNet-300-100."""
    data = tf.data.Dataset.from_tensor_slices(rows(10 * BATCH))
    batches = data.batch(BATCH, drop_remainder=True).cache().repeat()
    seconds: dict[str, list[float]] = {name: [] for name in PENALTIES}
    for _ in range(BUILDS):
        arms = {
            name: block(lenet_300_100(penalty, jit), batches)
            for name, penalty in PENALTIES.items()
        }
        interleave(arms, 2)  # traces and warms up
        for name, found in interleave(arms, ROUNDS).items():
            seconds[name] += found
    report(f"penalties, {words}, LeNet-300-100, step", seconds)
    own = [found / STEPS for found in seconds[KERAS]]
    title = f"penalties, {words}, LeNet-300-100: Keras L2, one step"
    emit(figure(title, "seconds", own))


def run(function: Callable[[], Any], jit: bool, times: int = TIMES) -> Arm:
    """Return an arm: several calls of a traced function."""
    traced = tf.function(function, jit_compile=jit)

    def calls() -> None:
        for _ in range(times):
            found = traced()
        np.asarray(tf.nest.flatten(found)[0])

    return lambda: timed(calls)


def value_and_gradient(penalty: Any, kernels: list[Any]) -> Callable[[], Any]:
    """Return a function of a penalty's value, and its gradient in every kernel."""

    def found() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(kernels)
            total = tf.add_n([penalty(kernel) for kernel in kernels])
        return total, tape.gradient(total, kernels)

    return found


def of_resnet50() -> None:
    """Measure penalties of ResNet50's kernels beside a step of it."""
    variables = resnet50(None).trainable_variables
    kernels = [tf.constant(v.value) for v in variables if v.path.endswith("/kernel")]
    arms = {
        name: run(value_and_gradient(penalty, kernels), False, 1)
        for name, penalty in PENALTIES.items()
    }
    arms["step"] = step(PENALTIES[KERAS], False, keras.optimizers.Adam(1e-3))
    interleave(arms, 2)
    seconds = interleave(arms, ROUNDS_OF_RESNET50)
    costs = {
        name: [
            whole + own - keras_own
            for whole, own, keras_own in zip(
                seconds["step"], seconds[name], seconds[KERAS], strict=True
            )
        ]
        for name in PENALTIES
    }
    report("penalties, no XLA, ResNet50, step", costs)
    of_passes(kernels)
    title = "penalties, no XLA, ResNet50: Keras L2, one step"
    emit(figure(title, "seconds", seconds["step"]))


def of_passes(kernels: list[Any]) -> None:
    """Measure orthogonality against a forward pass of ResNet50."""
    model, random = resnet50(None), np.random.default_rng(0)
    x = tf.constant(random.random((IMAGES, 224, 224, 3), np.float32))
    arms = {"forward": run(lambda: model(x, training=False), False, 1)}
    for form in known.ORTHOGONALITY.words:
        if form != "srip":  # minutes
            own = regularizers.Orthogonality(1e-6, form=form)
            arms[form] = run(value_and_gradient(own, kernels), False, 1)
    interleave(arms, 2)
    seconds = interleave(arms, ROUNDS_OF_RESNET50)
    for form in list(arms)[1:]:
        title = f"penalties, no XLA, ResNet50: Orthogonality, {form} / forward pass"
        emit(figure(title, "ratio", ratios(seconds[form], seconds["forward"]), 2.0))


def of_one_layer(jit: bool, words: str) -> None:
    """Measure proximal steps against Adam, and matrix penalties against the layer."""
    random = np.random.default_rng(0)
    kernel = tf.constant(0.05 * random.standard_normal((784, 300), np.float32))
    amounts = tf.constant(1e-3 * random.random((784, 300), np.float32))
    held, adam = keras.Variable(kernel), keras.optimizers.Adam(1e-3)
    adam.build([held])

    def update() -> Any:
        adam.apply([kernel], [held])
        return tf.identity(held.value)

    arms = {"Adam": run(update, jit)}
    for name, penalty in OURS.items():
        if penalty.proximal:
            amount = amounts[0, 0] if penalty.scalar_step_only else amounts
            arms[name] = run(functools.partial(penalty.prox, kernel, amount), jit)
    interleave(arms, 3)
    seconds = interleave(arms, 2 * ROUNDS)
    for name in list(arms)[1:]:
        values = ratios(seconds[name], seconds["Adam"])
        most = None if name in EXCEPTED else 1.0
        title = f"penalties, {words}, proximal step of a kernel: {name} / Adam"
        emit(figure(title, "ratio", values, most))
    own = [found / TIMES for found in seconds["Adam"]]
    emit(figure(f"penalties, {words}: Adam's update of a kernel", "seconds", own))

    x = tf.constant(random.random((BATCH, 784), np.float32))
    arms = {"forward": run(lambda: tf.nn.relu(x @ kernel), jit)}
    names = ("NuclearNorm", "SpectralNorm", "SpectralNorm, power")
    matrices = {name: OURS[name] for name in names}
    for form in known.ORTHOGONALITY.words:
        own = regularizers.Orthogonality(1e-6, form=form)
        matrices[f"Orthogonality, {form}"] = own
    for name, penalty in matrices.items():
        arms[name] = run(value_and_gradient(penalty, [kernel]), jit)
    interleave(arms, 3)
    seconds = interleave(arms, ROUNDS)
    for name in matrices:
        values = ratios(seconds[name], seconds["forward"])
        most = 2.0 if name.startswith("Orthogonality") else None
        title = f"penalties, {words}: {name} / forward pass of the layer"
        emit(figure(title, "ratio", values, most))


def main() -> None:
    """Measure and print the figures."""
    for jit, words in ((False, "no XLA"), (True, "XLA")):
        of_lenet(jit, words)
        of_one_layer(jit, words)
    of_resnet50()


if __name__ == "__main__":
    main()
