"""What the claims ask of a trained function, for one trial of either engine.

The one rule: what is asked depends on the seed alone, so that a trial and the baseline
of its seed see the same noise and the same permutations, whichever engine trains them.

f is the output, for classification centred over the classes; its scale is the root
mean square of ‖f(x)‖₂ over the test part.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from kregkit.schema import NEAR_ZERO, ROLES
from kregkit.study.data import Split

SIZES: Final = (0.1, 0.3, 1.0)
"""Of the noise, in units of the root mean square deviation of the inputs that vary."""

ROWS: Final = 256
"""The Jacobian is taken at so many rows of the test part, at most."""

DIRECTIONS: Final = 16
"""Outputs beyond which the Jacobian's norm is estimated by random directions."""

_SHAPING = (
    layers.InputLayer
    | layers.Flatten
    | layers.Dropout
    | layers.GaussianNoise
    | layers.GaussianDropout
)


@dataclass(frozen=True)
class Inputs:
    """What a seed's models are asked: the test part and a row of zeros, four times.

    `x` has the zero row at its end, and so has each of `noisy`; in `permuted` every
    input is permuted over the test rows, each by its own permutation.
    """

    x: Any
    y: Any
    noisy: tuple[Any, ...]
    permuted: Any
    sizes: tuple[float, ...]
    varies: Any  # flat: which inputs vary on the training part


def inputs(split: Split, seed: int) -> Inputs:
    """Return what the models of a seed are asked."""
    random = np.random.default_rng([seed, 2])
    x = split.x_test
    deviation = split.x_train.reshape(len(split.x_train), -1).std(
        axis=0, dtype=np.float64
    )
    varies = deviation > 0
    unit = math.sqrt(np.mean(deviation[varies] ** 2)) if varies.any() else 0.0
    sizes = tuple(size * unit for size in SIZES)
    noise = random.standard_normal(x.shape, np.float32)
    noisy = tuple(_with_zero(x + np.float32(size) * noise) for size in sizes)
    permuted = random.permuted(x.reshape(len(x), -1), axis=0).reshape(x.shape)
    y = np.concatenate([split.y_test, split.y_test[:1]])
    return Inputs(_with_zero(x), y, noisy, _with_zero(permuted), sizes, varies)


def directions(outputs: int, classification: bool, seed: int) -> Any:
    """Return vectors v with Σ‖∂(v·f)/∂x‖² = ‖∂f/∂x‖_F², `(directions, outputs)`.

    One for each output; beyond `DIRECTIONS` so many random signs v/√DIRECTIONS, for
    which it holds in expectation (Hutchinson 1990, doi:10.1080/03610919008812866).
    """
    center = np.eye(outputs) - (1.0 / outputs if classification else 0.0)
    if outputs <= DIRECTIONS:
        return center.astype("float32")
    random = np.random.default_rng([seed, 3])
    signs = random.choice([-1.0, 1.0], (DIRECTIONS, outputs)) / math.sqrt(DIRECTIONS)
    return (signs @ center).astype("float32")


def input_kernel(model: keras.Model) -> Any:
    """Return the kernel that reads the inputs, one row of it for each; or None.

    There is one where the inputs, or what only flattens or drops them, go into one
    Dense layer and nowhere else. A convolution shares its weights among the inputs.
    """
    if not getattr(model, "_functional", None) and not hasattr(model, "operations"):
        return None
    functional = getattr(model, "_functional", None) or model
    known = {id(tensor) for tensor in functional.inputs}
    readers = []
    for operation in functional.operations:
        for node in operation._inbound_nodes:
            if not any(id(tensor) in known for tensor in node.input_tensors):
                continue
            if isinstance(operation, _SHAPING):
                known |= {id(tensor) for tensor in node.output_tensors}
            else:
                readers.append(operation)
    count = sum(math.prod(tensor.shape[1:]) for tensor in functional.inputs)
    if len(readers) != 1 or not isinstance(readers[0], layers.Dense):
        return None
    kernel = readers[0].kernel
    return kernel if kernel.shape[0] == count else None


@dataclass(frozen=True)
class Ignored:
    """Which of the inputs that vary have only zero, or near-zero, weights."""

    exactly: float | None
    nearly: float | None
    mask: Any  # flat: the nearly ignored that vary


def ignored(kernel: Any, asked: Inputs) -> Ignored:
    """Return what a kernel `(inputs, units)` ignores; None: there is no such kernel."""
    nothing = np.zeros(len(asked.varies), bool)
    if kernel is None or not asked.varies.any():
        return Ignored(None, None, nothing)
    largest = np.abs(kernel).max(axis=1)
    exactly, nearly = (asked.varies & (largest <= bound) for bound in (0.0, NEAR_ZERO))
    count = asked.varies.sum()
    return Ignored(float(exactly.sum() / count), float(nearly.sum() / count), nearly)


def columns(
    asked: Inputs,
    found: Ignored,
    classification: bool,
    answers: Sequence[Any],
    squares: Any,
) -> dict[str, Any]:
    """Return the columns of `finals`.

    Args:
        asked: what the model was asked.
        found: the inputs that it ignores.
        classification: whether the outputs are logits.
        answers: the outputs for `x`, each of `noisy`, and for `x` with the inputs of
            `found.mask` permuted.
        squares: ‖∂f/∂x‖_F² of some test rows.
    """
    plain, *noisy, permuted = (
        np.asarray(a, np.float64).reshape(len(a), -1) for a in answers
    )
    f, moved = _centred(plain, classification), _centred(permuted, classification)
    scale = _root_mean_square(f[:-1])
    y = asked.y[:-1]
    return {
        "logit_scale": scale,
        "logit_norm_at_zero": float(np.linalg.norm(f[-1]) / scale) if scale else None,
        "noise_sizes": list(asked.sizes),
        "score_under_noise": [_score(y, a[:-1], classification) for a in noisy],
        "jacobian_norm": float(np.sqrt(np.mean(squares, dtype=np.float64))),
        "inputs_ignored": found.exactly,
        "inputs_near_ignored": found.nearly,
        "permuted_change": _root_mean_square((moved - f)[:-1]) / scale
        if scale and found.mask.any()
        else None,
    }


def quantiles(found: Any) -> dict[str, Any]:
    """Return the columns of `Measuring.quantiles`; null where they are not defined."""
    return {
        f"{role}_quantiles": None if np.isnan(own).any() else own.tolist()
        for role, own in zip(ROLES, found, strict=True)
    }


def in_chunks(answer: Callable[[Any], Any], count: int, size: int) -> list[Any]:
    """Return what a function gives for all rows, asked for so many at a time.

    It is given row numbers, always `size` of them: the last are repeated.
    """
    rows = np.minimum(np.arange(-(-count // size) * size), count - 1)
    return [answer(rows[start : start + size]) for start in range(0, len(rows), size)]


def _with_zero(x: Any) -> Any:
    return np.concatenate([x, np.zeros_like(x[:1])]).astype("float32")


def _centred(answers: Any, classification: bool) -> Any:
    if not classification:
        return answers
    return answers - answers.mean(axis=1, keepdims=True)


def _root_mean_square(rows: Any) -> float:
    return float(np.sqrt(np.mean(np.sum(rows**2, axis=1))))


def _score(y: Any, answers: Any, classification: bool) -> float:
    """Return accuracy, or R² over all outputs together."""
    if classification:
        return float(np.mean(answers.argmax(axis=1) == y.ravel()))
    y = y.reshape(len(y), -1).astype(np.float64)
    total = np.sum((y - y.mean(axis=0)) ** 2)
    return float(1.0 - np.sum((y - answers) ** 2) / total) if total > 0 else 0.0
