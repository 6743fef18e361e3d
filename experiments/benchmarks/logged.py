"""What logging every measure at every epoch adds to training by the engine `batch`.

The MLP of the studies, 215 trials as one program. The compiled epoch, with its
validation and its measures, against the same epoch compiled without measures: both
take turns, from the same state, and so does a second one without, which shows the
noise. The pass that measures is timed alone too. What comes once, after the last
epoch (scores of all parts, exact norms, the rows) and the writing of the store, is
given in seconds beside the seconds of an epoch.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from keras import ops

from experiments.benchmarks._interleave import (
    emit,
    figure,
    interleave,
    ratios,
    timed,
)
from experiments.benchmarks._studies import (
    MLP,
    called,
    epochs,
    last_epoch,
    made,
    sample,
)
from kregkit.store import Store
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit.train_one import deterministic
from kregkit.watch.measuring import Measuring, compiled

TRIALS, EPOCHS, ROUNDS, LIMIT = 215, 5, 60, 0.15


def without(passes: Any) -> Any:
    """Return the compiled epoch without its measures, traced in its first call."""

    def epoch(*given: Any) -> Any:
        measure = passes.measure
        passes.measure = lambda state, *_: (ops.zeros(()), state.vectors)
        try:
            return passes._trained(*given)
        finally:
            passes.measure = measure

    return compiled(epoch)


def main() -> None:
    """Measure and print the figures."""
    deterministic()
    study = made(MLP, EPOCHS)
    trials = sample(study.trials, TRIALS)
    program = Program(study, trials, TRIALS)
    given = last_epoch(program, trials)
    passes, (state, parameters, _, _, _, probe, _) = program._passes, given
    steps = ops.convert_to_tensor(Measuring.steps)
    arms = {
        "with": called(passes.epoch, *given),
        "without": called(without(passes), *given),
        "again": called(without(passes), *given),
        "measure": called(passes.measure, state, parameters, probe, steps),
    }
    interleave(arms, 2)  # traces, warms up
    seconds = interleave(arms, ROUNDS)
    bare = seconds["without"]
    again = [ratio - 1.0 for ratio in ratios(seconds["again"], bare)]
    added = [ratio - 1.0 for ratio in ratios(seconds["with"], bare)]
    title = f"logged: an epoch of {TRIALS} trials, what every measure adds"
    noise = abs(statistics.median(again))
    emit(figure(title, "share", added, LIMIT, noise=noise))
    emit(figure("logged: control, without measures again", "share", again))
    alone = ratios(seconds["measure"], bare)
    emit(figure("logged: the measuring pass alone", "share", alone))
    emit(figure("logged: the epoch without measures", "seconds", bare))
    emit(figure("logged: the measuring pass", "seconds", seconds["measure"]))
    _, after = epochs(program, trials)
    emit(figure("logged: after the last epoch, once", "seconds", [after]))
    results = program.train(trials, lambda share: None)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        store.begin()
        writing = timed(
            lambda: store.write(
                [row for result in results for row in result.rows],
                [result.final for result in results],
                [tensor for result in results for tensor in result.tensors],
            )
        )
    emit(figure(f"logged: writing {EPOCHS} epochs, once", "seconds", [writing]))


if __name__ == "__main__":
    main()
