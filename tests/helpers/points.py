"""Values, gradients and proximal points of every case, by the backend of Keras.

`python points.py FILE dtype` writes them, for another backend to be held against.
"""

import sys

import numpy as np

from helpers.formulas import CASES, Case
from helpers.gradients import gradient, numpy

Points = dict[str, np.ndarray]


def weights(case: Case) -> np.ndarray:
    """Return a tensor with zeros, a group of them and a tie among its weights."""
    w = np.random.default_rng(0).normal(scale=0.5, size=(4, 5)).astype("float32")
    w[1, 2], w[:, 4] = 0.0, 0.0
    w[2, 0] = -w[3, 1]
    return case.fit(w)


def points(case: Case, dtype: str) -> Points:
    """Return what a case makes of its weights, by what it is."""
    w, penalty = weights(case).astype(dtype), case.penalty
    found = {"value": numpy(penalty.value(w))}
    if penalty.differentiable:
        found["gradient"] = gradient(penalty, w)
    if penalty.proximal:
        each = np.abs(np.random.default_rng(1).normal(scale=0.2, size=w.shape))
        for index, amount in enumerate(case.takes(0.05, 2.0, each.astype(dtype))):
            found[f"prox {index}"] = numpy(penalty.prox(w, amount))
    return found


def main(file: str, dtype: str) -> None:
    """Write the points of every case."""
    named = {
        f"{case}: {name}": array
        for case in CASES
        for name, array in points(case, dtype).items()
    }
    np.savez(file, **named)


if __name__ == "__main__":
    main(*sys.argv[1:])
