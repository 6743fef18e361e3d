"""How the cost of a batch run grows with its trials.

1 to 1024 trials of the MLP of the studies as one program, 5 epochs, every measure
logged; each number of trials has a process of its own, one after another, which also
gives the most memory that it held. An epoch is one of a program that has run before,
as `Program.train` has it. The first run is a whole one of 5 epochs, tracing included.
Time is linear from where the seconds per trial no longer fall: the least number of
trials that is within 10 % of the least.

FLOP/s: the multiply-adds of the dense layers in training, forward and backward, times
two, over the seconds of a compiled epoch less those of its validation and its
measures, which are timed alone. All else that a step does (gathering rows, loss,
penalties, Adam) takes time and is not counted. Beside it what the same process
reaches in a large float32 matrix product, the best of several.
"""

import json
import os
import statistics
import subprocess
import sys

from experiments.benchmarks._interleave import emit, figure

TRIALS = (1, 4, 16, 64, 256, 1024)
NEAR = 1.1


def main() -> None:
    """Measure and print the figures."""
    each: dict[int, float] = {}
    products = []
    for count in TRIALS:
        done = subprocess.run(
            [sys.executable, "-m", "experiments.benchmarks._scaled", str(count)],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        each[count] = statistics.median(found["epochs"]) / count
        products.append(found["product"])
        words = f"scale: {count} trial{'s' * (count > 1)}"
        emit(figure(f"{words}, an epoch", "seconds", found["epochs"]))
        per_trial = [epoch / count for epoch in found["epochs"]]
        emit(figure(f"{words}, an epoch, per trial", "seconds", per_trial))
        emit(figure(f"{words}, first run, with tracing", "seconds", [found["first"]]))
        emit(figure(f"{words}, peak memory", "MiB", [found["peak"]]))
        emit(figure(f"{words}, training steps", "GFLOP/s", [found["flops"] / 1e9]))
        share = found["flops"] / found["product"]
        emit(figure(f"{words}, of a large matrix product", "share", [share]))
    least = NEAR * min(each.values())
    linear = next(count for count in TRIALS if each[count] <= least)
    emit(figure("scale: linear from", "trials", [linear]))
    giga = [product / 1e9 for product in products]
    emit(figure("scale: a large matrix product", "GFLOP/s", giga))


if __name__ == "__main__":
    main()
