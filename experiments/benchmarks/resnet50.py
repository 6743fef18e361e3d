"""One logging pass over ResNet50 against one pass of TensorBoard's histograms.

Weights only, no probe. Each arm is one `on_epoch_end`, the hook in which both
callbacks work during `fit` (kregkit counts a step before it): kregkit measures every
weight, its spectral norm too, and TensorBoard (`histogram_freq=1`) writes a histogram
of every variable to a temporary folder. The first call of each, which traces, is given
apart, and so is memory: what a process holds after the model is built, after the first
pass, and after the last.
"""

import resource
import tempfile
from pathlib import Path
from typing import Any

import keras

from experiments.benchmarks._interleave import emit, figure, interleave, ratios, timed
from kregkit.callbacks import RegularizationLogger
from kregkit.regularizers import L2

ROUNDS, PASSES, TIMES_CHEAPER = 8, 20, 20.0


def held_mib() -> float:
    """Return the memory that this process holds, in MiB; 0 where Linux is not."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0.0
    return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20


def peak_mib() -> float:
    """Return the most memory that this process ever held, in MiB, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def resnet50() -> Any:
    """Return ResNet50 with random weights and L2 on the kernel of its last layer."""
    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None)
    model.layers[-1].kernel_regularizer = L2(1e-4)
    model.compile("sgd", "categorical_crossentropy")
    return model


def main() -> None:
    """Measure and print the figures."""
    model = resnet50()
    memory = {"model built": held_mib()}
    logger = RegularizationLogger()

    def call() -> None:
        logger.on_epoch_begin(0)
        logger.on_train_batch_end(0)
        logger.on_epoch_end(0, {})

    logger.set_model(model)
    logger.set_params({"steps": 1})
    first = timed(lambda: (logger.on_train_begin(), call()))
    memory["after the first pass"] = held_mib()
    passes = [timed(call) for _ in range(PASSES)]
    memory[f"after {PASSES} more passes"] = held_mib()
    memory["peak until then"] = peak_mib()
    emit(
        figure(
            "ResNet50: kregkit, beginning and first pass, with tracing",
            "seconds",
            [first],
        )
    )
    emit(figure("ResNet50: kregkit, one pass", "seconds", passes))
    with tempfile.TemporaryDirectory() as folder:
        board = keras.callbacks.TensorBoard(folder, histogram_freq=1, write_graph=False)
        board.set_model(model)
        board.on_train_begin()
        arms = {
            "TensorBoard": lambda: timed(lambda: board.on_epoch_end(0, {})),
            "kregkit": lambda: timed(call),
        }
        first = arms["TensorBoard"]()
        seconds = interleave(arms, ROUNDS)
        board.on_train_end()
    times = ratios(seconds["TensorBoard"], seconds["kregkit"])
    emit(figure("ResNet50: TensorBoard, first pass", "seconds", [first]))
    emit(figure("ResNet50: TensorBoard, one pass", "seconds", seconds["TensorBoard"]))
    name = "ResNet50: TensorBoard's pass / kregkit's pass"
    emit(figure(name, "ratio", times, TIMES_CHEAPER, at_least=True))
    end = timed(logger.on_train_end)
    emit(figure("ResNet50: kregkit, end, with exact norms", "seconds", [end]))
    memory["peak of the whole benchmark"] = peak_mib()
    for name, held in memory.items():
        emit(figure(f"ResNet50: memory, {name}", "MiB", [held]))


if __name__ == "__main__":
    main()
