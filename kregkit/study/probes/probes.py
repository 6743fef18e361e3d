"""What the claims of a report need of a trained model, from its outputs, in NumPy.

f(x) is what a model answers in inference mode: the logits minus their
mean over the classes, which changes no answer, or the output of a regression. Random
numbers are the seed's, so that a trial and its baseline are compared pair by pair.
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
"""Standard deviations of the noise, in units of the inputs' own."""

EXACT: Final = 16
"""The most outputs whose gradients are all taken; of more, so many projections."""

_ROWS: Final = 1024
"""Rows of the training part that are copied at a time."""

_CHUNK: Final = 256

_NOISE, _PERMUTATIONS, _PROJECTIONS = 2, 3, 4
"""Streams of random numbers of a seed, beside that of the order of batches."""

_SAME_ORDER: Final = (
    layers.Dropout,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Reshape,
)
"""Layers that in inference mode hand on every input, in the order that it has."""


def chunk(rows: int) -> int:
    """Return how many rows are evaluated at a time: at most 256, in equal parts.

    Both engines must cut alike, since a layer may add the sum of something to the loss.
    """
    return math.ceil(rows / math.ceil(rows / _CHUNK))


def centred(outputs: Any, task: str) -> Any:
    """Return f for outputs `(..., outputs)`, in float64."""
    f = np.asarray(outputs, "float64")
    return f - f.mean(axis=-1, keepdims=True) if task == "classification" else f


def errors(f: Any, y: Any, task: str) -> Any:
    """Return Σ over rows of what a score counts against f, `(..., rows, outputs)`.

    With `most` it gives `score = 1 − errors/most`: the study's metric, which would take
    milliseconds for each of many trials. A wrong answer counts 1; in a regression it is
    the square of the residual.
    """
    if task == "classification":
        return (f.argmax(axis=-1) != y.reshape(f.shape[:-1])).sum(axis=-1)
    return np.square(y - f).sum(axis=(-2, -1))


def most(y: Any, task: str) -> float:
    """Return the errors whose score is 0; of a regression those of the mean of y."""
    if task == "classification":
        return len(y)
    return float(len(y) * y.var(axis=0, dtype="float64").sum())


def varying(x_train: Any) -> Any:
    """Return which inputs, flat, have more than one value in the training part."""
    x = np.reshape(x_train, (len(x_train), -1))
    found: Any = x.min(axis=0) < x.max(axis=0)
    return found


def noise_sizes(x_train: Any) -> Any:
    """Return `NOISE` times the root mean square of the inputs' standard deviations.

    The mean is over the inputs that vary, so that a size means the same for pixels,
    many of which may be constant, and for standardised columns. 0 where none varies.
    """
    x = np.reshape(x_train, (len(x_train), -1))
    mean, squares = x.mean(axis=0, dtype="float64"), np.zeros(x.shape[1])
    for start in range(0, len(x), _ROWS):  # else there is a copy of all in float64
        squares += np.square(x[start : start + _ROWS] - mean).sum(axis=0)
    own = squares[varying(x_train)] / len(x)
    return np.asarray(NOISE) * math.sqrt(own.mean() if own.size else 0.0)


def noise(seed: int) -> np.random.Generator:
    """Return what draws the noise of a seed, row after row."""
    return np.random.default_rng([seed, _NOISE])


def permuted(x: Any, seed: int) -> Any:
    """Return rows whose every input, for itself, was permuted over them."""
    flat = np.reshape(x, (len(x), -1))
    random = np.random.default_rng([seed, _PERMUTATIONS])
    return random.permuted(flat, axis=0).reshape(x.shape)


def directions(seed: int, rows: int, outputs: int, task: str) -> Any:
    """Return directions v, `(directions, rows, outputs)`, with `Σ‖vᵀJ‖² = ‖J‖²_F`.

    J is the Jacobian of f, so v is centred as f is. Of at most `EXACT` outputs there is
    one direction for each, and the sum is exact. Of more there are `EXACT` random ones
    of ±1, of each row its own: the sum's expectation is exact (Hutchinson 1990,
    doi:10.1080/03610919008812866), and the mean over rows, over which the errors are
    independent, is near it.
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
    """Return the kernel `(inputs, units)` of the one Dense layer that reads the inputs.

    None where the structure does not say which weights an input has: in a model that
    is not functional, or where what reads the inputs, directly or through layers that
    only reshape them, is not one Dense layer alone that gets all of them in a row.
    """
    known = {id(tensor) for tensor in getattr(model, "inputs", None) or ()}
    readers: list[Any] = []
    # A functional model has operations that are no layers, in the order of the graph.
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
    """Return which inputs have only weights that are 0, or near it by `NEAR_ZERO`."""
    return np.abs(kernel).max(axis=1) <= (NEAR_ZERO if near else 0.0)


def quantiles(arrays: Iterable[Any]) -> list[float] | None:
    """Return `QUANTILES` of the magnitudes above zero, of all elements together."""
    flat = [np.abs(np.asarray(own, "float32")).ravel() for own in arrays]
    magnitudes = np.concatenate([own[own > 0] for own in flat] or [np.zeros(0)])
    if not magnitudes.size:
        return None
    return [float(own) for own in np.quantile(magnitudes, QUANTILES)]


def usage(code: Any, kernel: Any) -> Any:
    """Return of each unit the share of rows in which it is active.

    `code` is h `(rows, units)`, `kernel` the next layer's v `(units, outputs)`. A unit
    is active where `|h|·‖v‖₂` is above `ACTIVE` times the largest of the row: in a row
    of zeros no unit is. Magnitudes of h alone would call a code sparse in which one
    unit is made large, or all small, and the decoder makes up for it.
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
    """Return `max |g − law|/λ` over the weights that a trial's penalty is on.

    The law is `2λw` for L2 and `λ·sign(w)` for L1: a step of gradient descent with
    learning rate a subtracts a times it, beside what it subtracts for the data.
    `values_of` and `slope_of` give arrays for a variable of the model: w, and g, what
    the framework takes for the gradient of the penalty that is attached. None where the
    trial has another penalty, or proximal steps, in which no g is subtracted.
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
    # A Flatten of channels first puts them last.
    moves = getattr(operation, "data_format", "") == "channels_first"
    return type(operation) in _SAME_ORDER and not moves
