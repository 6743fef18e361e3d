"""What `import kregkit` adds to `import keras`, and how long `kregkit --help` takes.

Every run is a fresh interpreter. What an import adds is timed inside it, after Keras;
whole processes with and without it take turns as a check that nothing is missed. The
import of `kregkit.callbacks`, which needs polars, is given too: that is what a user
who logs writes next.
"""

import subprocess
import sys

from experiments.benchmarks._interleave import emit, figure, interleave, ratios, timed

ROUNDS, HELPS = 5, 11
CLOCK = "import time; begin = time.perf_counter()"
TOLD = "print(time.perf_counter() - begin)"


def python(*arguments: str) -> str:
    """Run this Python and return the last line that it prints."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def whole(program: str) -> float:
    """Return the seconds of a whole process."""
    return timed(lambda: python("-c", f"{program}; print()"))


def added(program: str) -> float:
    """Return the seconds of a program inside a process that has imported Keras."""
    return float(python("-c", f"import keras; {CLOCK}; {program}; {TOLD}"))


def main() -> None:
    """Measure and print the figures."""
    both = "import keras; import kregkit"
    arms = {
        "keras": lambda: whole("import keras"),
        "both": lambda: whole(both),
        "kregkit": lambda: added("import kregkit"),
        "callbacks": lambda: added("import kregkit.callbacks"),
    }
    interleave(arms, 1)  # fills the caches of the file system
    seconds = interleave(arms, ROUNDS)
    name = "import kregkit, after import keras"
    emit(figure(name, "seconds", seconds["kregkit"], 0.3))
    name = "import kregkit.callbacks, after import keras"
    emit(figure(name, "seconds", seconds["callbacks"]))
    emit(figure("import keras, whole process", "seconds", seconds["keras"]))
    name = "import keras and kregkit / import keras, whole processes"
    emit(figure(name, "ratio", ratios(seconds["both"], seconds["keras"])))
    helps = [timed(lambda: python("-m", "kregkit", "--help")) for _ in range(HELPS)]
    emit(figure("kregkit --help, whole process", "seconds", helps, 0.5))


if __name__ == "__main__":
    main()
