"""One point of `scale.py`: so many trials, in a process that trains nothing else.

The memory is the most that this process ever held, so that every number
of trials needs its own. Called as `python -m experiments.benchmarks._scaled TRIALS`;
prints what it measured as one line of JSON.
"""

import json
import statistics
import sys
import time
from itertools import pairwise

import tensorflow as tf
from keras import ops

from experiments.benchmarks._interleave import interleave, timed
from experiments.benchmarks._studies import (
    MLP,
    called,
    epochs,
    last_epoch,
    made,
    sample,
)
from experiments.benchmarks.resnet50 import peak_mib
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit.train_one import deterministic
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import Measuring

EPOCHS, STRENGTHS, ROUNDS, SIDE, PRODUCTS = 5, 34, 5, 2048, 10
WIDTHS = (64, 64, 32, 10)


def operations(study: Study) -> int:
    """Return the floating point operations of the dense layers in an epoch of a trial.

    A multiply-add is two. Each layer has one product forward and two backward, for
    its kernel and for its input; the first has no gradient for its input.
    """
    sizes = [wide * narrow for wide, narrow in pairwise(WIDTHS)]
    return 2 * len(study.split(0).x_train) * (3 * sum(sizes) - sizes[0])


def product() -> float:
    """Return the FLOP/s of a large float32 matrix product, the best of several."""
    one = tf.random.normal((SIDE, SIDE))
    best = min(timed(lambda: tf.matmul(one, one).numpy()) for _ in range(PRODUCTS))
    return 2 * SIDE**3 / best


def main() -> None:
    """Measure and print."""
    deterministic()
    count = int(sys.argv[1])
    study = made(MLP, EPOCHS, STRENGTHS)
    trials = sample(study.trials, count)
    begin = time.perf_counter()
    # The program has every term of the study, whichever trials it is given.
    program = Program(study, study.trials, count)
    program.train(trials, lambda share: None)
    first = time.perf_counter() - begin
    later, _ = epochs(program, trials)
    peak = peak_mib()
    passes, given = program._passes, last_epoch(program, trials)
    state, parameters, _, _, val, probe, _ = given
    steps = ops.convert_to_tensor(Measuring.steps)
    arms = {
        "epoch": called(passes.epoch, *given),
        "evaluate": called(passes.evaluate, state, parameters, val),
        "measure": called(passes.measure, state, parameters, probe, steps),
    }
    interleave(arms, 1)  # warms up
    parts = interleave(arms, ROUNDS)
    training = [
        epoch - evaluate - measure
        for epoch, evaluate, measure in zip(*parts.values(), strict=True)
    ]
    found = {
        "first": first,
        "epochs": later,
        "peak": peak,
        "flops": operations(study) * count / statistics.median(training),
        "product": product(),
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
