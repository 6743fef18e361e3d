"""Imports and checks user-defined functions, above all model builders.

An error in the user's code becomes a `StudyError` of one line with its message.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from kregkit._keras import training_argument
from kregkit.errors import KregkitError, StudyError
from kregkit.weights import walk, walk_layers

Shape = tuple[int, ...]

_LONGEST: Final = 300
"""The maximum number of characters of a quoted error message."""

_TRIED: Final = 4
"""The number of random draws of weights, to test whether outputs are bounded."""


def build_own(
    builder: str, folder: Path, input_shape: Shape, outputs: int
) -> keras.Model:
    """Return the model of the user-defined "package.module:function".

    The module is searched in the study file's folder and in the current folder.

    Raises:
        StudyError: the function fails, or does not return a model with these inputs and
            outputs.
    """
    function = imported(builder, folder)
    with _importable(folder), told(f"{builder}(input_shape, outputs)"):
        model = function(input_shape, outputs)
        if not isinstance(model, keras.Model):
            raise StudyError(
                f"{builder} must return a keras.Model; returned {model!r:.60}."
            )
        # Builds it, for any batch.
        given = model(keras.Input(input_shape), **training_argument(model, False))
    shape = tuple(getattr(given, "shape", ()))
    if shape != (None, outputs):
        received = shape or f"a {type(given).__name__}"
        raise StudyError(
            f"{builder} must return a model with output shape {(None, outputs)}; "
            f"received {received}."
        )
    _check_unregularized(builder, model)
    return model


def check_own(builder: str, build: Callable[[], keras.Model], rows: Any) -> None:
    """Compare two models of a builder, and check the outputs of one.

    Args:
        builder: its name, for messages.
        build: returns a new model with Keras's present seed.
        rows: inputs as in training.

    Raises:
        StudyError: the builder returns the same weights twice, different weights for
            one seed, or a model that outputs probabilities.
    """
    first, second = (_seeded(build) for _ in range(2))
    held = {id(variable) for variable in first.variables}
    if any(id(variable) in held for variable in second.variables):
        raise StudyError(
            f"{builder} must return a new model at every call; it returned the same "
            "weights twice."
        )
    if _shapes(first) != _shapes(second):
        raise StudyError(
            f"{builder} must return the same structure at every call; it returned "
            "another one for the same seed."
        )
    for one, other in zip(first.variables, second.variables, strict=True):
        values = ops.convert_to_numpy(one), ops.convert_to_numpy(other)
        if not np.array_equal(*values):
            raise StudyError(
                f"{builder} must draw initial weights by Keras's initializers or its "
                f"seed (keras.random, numpy.random): {one.path} differs between two "
                "models of one seed, so that a trial could not be compared with its "
                "baseline."
            )
    kind = _probabilities(second, rows)
    if kind is not None:
        raise StudyError(
            f"{builder} must return a model that ends in logits; its outputs are "
            f"probabilities, {kind} whatever its weights are. Leave out the last "
            "activation: the loss applies it."
        )


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise errors of the user's code as a `StudyError` of one line."""
    try:
        yield
    except KregkitError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
        raise StudyError(f"{what} raised {summary(error)}") from None


def summary(error: BaseException) -> str:
    """Return an error as one line: its type, and its message without Keras's additions.

    Keras puts "Exception encountered when calling ...", or a text that ends in "Error
    encountered:", before the message, and the arguments of the call after it.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = re.sub(r"\A\s*Exception encountered when calling [^\n]*\n", "", text)
    text = re.split(r"\n\s*Arguments received by ", text)[0]
    text = text.rpartition("Error encountered:")[2]
    line = " ".join(text.split()).rstrip(".")
    line = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
    return f"{type(error).__name__}: {line}".rstrip(": ") + "."


def imported(builder: str, folder: Path) -> Callable[..., Any]:
    """Return the user-defined "package.module:function"."""
    module, _, name = builder.partition(":")
    with _importable(folder), told(f"importing {module!r}"):
        found = importlib.import_module(module)
        if not hasattr(found, name):
            raise StudyError(f"module {module!r} has no {name!r}.")
        return getattr(found, name)  # type: ignore[no-any-return]  # user-defined


def _seeded(build: Callable[[], keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build()


def _shapes(model: keras.Model) -> list[Shape]:
    return [tuple(variable.shape) for variable in model.variables]


def _probabilities(model: keras.Model, rows: Any) -> str | None:
    """Return a text if outputs are probabilities for all weights, or None.

    The last activation may be in a nested model, a function, or before a `Reshape`, so
    the structure does not show it. Weights are drawn at random instead, so large that
    logits leave the interval from 0 to 1.
    """
    random = np.random.default_rng(0)
    kinds = set[str]()
    for _ in range(_TRIED):
        for weight in walk(model):
            drawn = random.normal(scale=2.0, size=tuple(weight.variable.shape))
            weight.variable.assign(drawn)
        argument = training_argument(model, False)
        answer = ops.convert_to_numpy(model(rows, **argument)).astype("float64")
        with np.errstate(over="ignore"):  # exp of large logits
            kinds.add(_bounded(answer[np.isfinite(answer).all(axis=1)]))
    return None if "" in kinds or len(kinds) > 1 else kinds.pop()


def _bounded(answers: Any) -> str:
    """Return how the rows of outputs are bounded, or "" if they are not."""
    sums = answers.sum(axis=1)
    inside = np.all((answers >= 0) & (answers <= 1))
    if not len(answers) or np.ptp(answers) == 0:
        return ""
    if inside and answers.shape[1] > 1 and np.allclose(sums, 1.0, atol=1e-3):
        return "from 0 to 1 with the sum 1,"
    if inside:
        return "from 0 to 1"
    if answers.shape[1] > 1 and np.allclose(
        np.exp(answers).sum(axis=1), 1.0, atol=1e-3
    ):
        return "in logarithms,"
    return ""


def _check_unregularized(builder: str, model: keras.Model) -> None:
    """Raise if the model has a regularizer, which its baseline would keep."""
    own = [w.path for w in walk(model) if w.variable.regularizer is not None]
    own += [
        f"{place.path}/activity"
        for place in walk_layers(model)
        if place.layer.activity_regularizer is not None
    ]
    if own:
        raise StudyError(
            f"{builder} must return a model without regularizers, which the sweep "
            f"sets; received one on {', '.join(own)}."
        )


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [str(folder.resolve()), str(Path.cwd())]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
