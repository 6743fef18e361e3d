"""NumPy functions for the measures of a trained model that a report's claims need.

f(x) is a model's output in inference mode: the output of a regression, or the logits
minus their mean over classes, which does not change the predicted class. Random numbers
depend on the seed only, so a trial and its baseline get the same ones.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from keras import layers

from kregkit._keras import calls
from kregkit.schema import ACTIVE, NEAR_ZERO, QUANTILES
from kregkit.study.plan import Trial
from kregkit.study.problem.models import holders
from kregkit.weights import Weight, walk

NOISE: Final = (0.1, 0.3, 1.0)
"""Standard deviations of the noise, relative to those of the inputs."""

EXACT: Final = 16
"""With more outputs, gradients are taken of this number of random projections."""

_ROWS: Final = 1024
"""The number of training rows that are copied at a time."""

_CHUNK: Final = 256

_NOISE, _PERMUTATIONS, _PROJECTIONS = 2, 3, 4
"""Streams of a seed's random numbers; stream 1 is the order of batches."""

_SAME_ORDER: Final = (
    layers.Dropout,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Reshape,
)
"""Layers that keep all inputs in their order, in inference mode."""


def chunk(rows: int) -> int:
    """Return how many rows are evaluated at a time: at most 256, in equal parts.

    Both engines must use the same parts, since a layer may add a sum over the batch to
    the loss.
    """
    return math.ceil(rows / math.ceil(rows / _CHUNK))


def centred(outputs: Any, task: str) -> Any:
    """Return f for outputs `(..., outputs)`, in float64."""
    f = np.asarray(outputs, "float64")
    return f - f.mean(axis=-1, keepdims=True) if task == "classification" else f


def errors(f: Any, y: Any, task: str) -> Any:
    """Return the errors of f, `(..., rows, outputs)`, summed over rows.

    A wrong class counts 1; in a regression, an error is the squared residual. The
    study's score is `1 − errors/most`; its Keras metric would take milliseconds for
    each trial.
    """
    if task == "classification":
        return (f.argmax(axis=-1) != y.reshape(f.shape[:-1])).sum(axis=-1)
    return np.square(y - f).sum(axis=(-2, -1))


def most(y: Any, task: str) -> float:
    """Return the errors at score 0; for a regression, the errors of the mean of y."""
    if task == "classification":
        return len(y)
    return float(len(y) * y.var(axis=0, dtype="float64").sum())


def varying(x_train: Any) -> Any:
    """Return which of the flattened inputs vary in the training part."""
    x = np.reshape(x_train, (len(x_train), -1))
    found: Any = x.min(axis=0) < x.max(axis=0)
    return found


def noise_sizes(x_train: Any) -> Any:
    """Return `NOISE` times the root mean square of the inputs' standard deviations.

    The mean is over inputs that vary. A size then means the same for pixels, many of
    which may be constant, as for standardised columns. It is 0 if no input varies.
    """
    x = np.reshape(x_train, (len(x_train), -1))
    mean, squares = x.mean(axis=0, dtype="float64"), np.zeros(x.shape[1])
    for start in range(0, len(x), _ROWS):  # avoids a float64 copy of all rows
        squares += np.square(x[start : start + _ROWS] - mean).sum(axis=0)
    own = squares[varying(x_train)] / len(x)
    return np.asarray(NOISE) * math.sqrt(own.mean() if own.size else 0.0)


def noise(seed: int) -> np.random.Generator:
    """Return the random generator for the noise of a seed, drawn row by row."""
    return np.random.default_rng([seed, _NOISE])


def permuted(x: Any, seed: int) -> Any:
    """Return the rows with each input permuted over rows, independently."""
    flat = np.reshape(x, (len(x), -1))
    random = np.random.default_rng([seed, _PERMUTATIONS])
    return random.permuted(flat, axis=0).reshape(x.shape)


def directions(seed: int, rows: int, outputs: int, task: str) -> Any:
    """Return directions v, `(directions, rows, outputs)`, with `Σ‖vᵀJ‖² = ‖J‖²_F`.

    J is the Jacobian of f, so v is centred like f. With at most `EXACT` outputs there
    is one direction for each, and the sum is exact. With more outputs there are `EXACT`
    random directions of ±1 for each row. The sum is then exact in expectation
    (Hutchinson 1990, doi:10.1080/03610919008812866), and its errors, which are
    independent between rows, mostly cancel in the mean over rows.
    """
    if outputs <= EXACT:
        v = np.broadcast_to(np.eye(outputs)[:, None], (outputs, rows, outputs))
    else:
        random = np.random.default_rng([seed, _PROJECTIONS])
        v = random.choice((-1.0, 1.0), (EXACT, rows, outputs)) / math.sqrt(EXACT)
    if task == "classification":
        v = v - v.mean(axis=2, keepdims=True)
    return v.astype("float32")


def first_kernel(model: Any) -> Weight | None:
    """Return the kernel `(inputs, units)` of the only layer that reads the inputs.

    None if the structure does not show the weights of an input. This is so for models
    that are not functional, and unless exactly one layer, a Dense layer, reads all
    inputs as one vector, directly or through layers that only reshape them.
    """
    known = {id(tensor) for tensor in getattr(model, "inputs", None) or ()}
    readers: list[Any] = []
    # `operations` includes operations that are no layers, in the order of the graph.
    for operation in getattr(model, "operations", model.layers):
        for node in calls(operation):
            if known.isdisjoint(map(id, node.input_tensors)):
                continue
            if _keeps_order(operation):
                known.update(map(id, node.output_tensors))
            else:
                readers.append(operation)
    if len(readers) != 1 or type(readers[0]) is not layers.Dense:
        return None
    (kernel,) = (w for w in walk(model) if w.layer is readers[0] and w.name == "kernel")
    inputs = math.prod(model.inputs[0].shape[1:])
    return kernel if kernel.variable.shape[0] == inputs else None


def ignored(kernel: Any, near: bool) -> Any:
    """Return which inputs have only weights of 0; with `near`, up to `NEAR_ZERO`."""
    return np.abs(kernel).max(axis=1) <= (NEAR_ZERO if near else 0.0)


def quantiles(arrays: Iterable[Any]) -> list[float] | None:
    """Return `QUANTILES` of the nonzero magnitudes of all elements."""
    flat = [np.abs(np.asarray(own, "float32")).ravel() for own in arrays]
    magnitudes = np.concatenate([own[own > 0] for own in flat] or [np.zeros(0)])
    if not magnitudes.size:
        return None
    return [float(own) for own in np.quantile(magnitudes, QUANTILES)]


def usage(code: Any, kernel: Any) -> Any:
    """Return the share of rows in which each unit is active.

    `code` is h `(rows, units)`, and `kernel` is the next layer's v `(units, outputs)`.
    A unit is active if `|h|·‖v‖₂` exceeds `ACTIVE` times the row's maximum; in a row of
    zeros, no unit is active. Magnitudes of h without v would misjudge codes with
    rescaled units, for which the decoder compensates.
    """
    behind = np.linalg.norm(np.asarray(kernel, "float64"), axis=1)
    contributed = np.abs(np.asarray(code, "float64")) * behind
    found: Any = contributed > ACTIVE * contributed.max(axis=1, keepdims=True)
    return found.mean(axis=0)


def step_law_error(
    trial: Trial,
    model: Any,
    values_of: Callable[[Any], Any],
    slope_of: Callable[[Any], Any],
) -> float | None:
    """Return `max |g − law|/λ` over the weights with the trial's penalty.

    The law is `2λw` for L2 and `λ·sign(w)` for L1. A step of gradient descent with
    learning rate a subtracts a·law in addition to the data's gradient. `values_of` and
    `slope_of` return arrays for a variable: w, and the gradient g of the attached
    penalty. None for other penalties, and for proximal steps, which subtract no g.
    """
    on_weights = trial.target in ("kernel", "bias") and trial.solver == "gradient"
    if not on_weights or trial.regularizer not in ("L1", "L2"):
        return None
    worst = 0.0
    held = holders(model, str(trial.target), str(trial.layers))
    for variable, _ in held.values():
        w, g = (np.asarray(of(variable), "float64") for of in (values_of, slope_of))
        law = np.sign(w) if trial.regularizer == "L1" else 2 * w
        worst = max(worst, float(np.abs(g / trial.strength - law).max()))
    return worst


def _keeps_order(operation: Any) -> bool:
    # A Flatten with channels first moves them to the end.
    moves = getattr(operation, "data_format", "") == "channels_first"
    return type(operation) in _SAME_ORDER and not moves
