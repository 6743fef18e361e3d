"""The minimum memory of a study, computed from shapes without allocation.

`resolve` rejects a model that does not fit before it is built. A user-defined builder
is called once before this check.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import keras

from kregkit._keras import without_values
from kregkit.errors import ModelError
from kregkit.study.memory import memory
from kregkit.weights import walk

_FLOAT: Final = 4
_PROBE: Final = 7
"""The size of a test weight that shows the number of an optimizer's slots."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model and its optimizer, in numbers of 4 bytes.

    `outputs` is the size of all layers' outputs for one row; unknown ones count 0.
    """

    weights: int
    slots: int
    outputs: int

    @property
    def state(self) -> int:
        """The bytes of weights and optimizer."""
        return _FLOAT * (self.weights + self.slots)

    def of_fit(self, seeds: int, rows: int, batch: int) -> int:
        """Return the bytes that `fit` needs for one model after another.

        These are: the weights, their gradients at a step and at the end, the initial
        weights of each seed, the optimizer's slots and their initial values, the
        outputs and their gradients for a batch, and the data once. `rows` is the number
        of elements of the data.
        """
        weights = (3 + seeds) * self.weights
        return _FLOAT * (weights + 2 * self.slots + 2 * batch * self.outputs + rows)


def sizes(study: Any, model: keras.Model) -> Sizes:
    """Return the sizes of a study's model, which may have no values."""
    weights = sum(math.prod(variable.shape) for variable in model.variables)
    trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    outputs = sum(_of_a_row(getattr(layer, "output", None)) for layer in model.layers)
    each, single = slots(study.optimizer())
    return Sizes(weights, each * trained + single, outputs)


def slots(optimizer: keras.optimizers.Optimizer) -> tuple[int, int]:
    """Return how many numbers an optimizer keeps per element, and in addition."""
    optimizer.build([keras.Variable([0.0] * _PROBE)])
    kept = sum(math.prod(variable.shape) for variable in optimizer.variables)
    return kept // _PROBE, kept % _PROBE


def multiply_adds(model: keras.Model) -> int:
    """Return the number of multiplications by a model's kernels for one row."""
    total = 0
    for weight in walk(model):
        if weight.role == "kernel":
            output = getattr(weight.layer, "output", None)
            shape: tuple[Any, ...] = getattr(output, "shape", ())[1:-1]
            places = 1 if None in shape else math.prod(shape)
            total += math.prod(weight.variable.shape) * places
    return total


def shaped(study: Any) -> keras.Model:
    """Return the study's model; a built-in one without values."""
    model: keras.Model = study.build() if study.own_model else outline(study)
    return model


def outline(study: Any) -> keras.Model:
    """Return the study's built-in model with shapes but no values."""
    model: keras.Model = without_values(study.build)
    return model


def check_memory(study: Any, model: keras.Model) -> None:
    """Raise if there is not enough free memory to train the model."""
    found, config = sizes(study, model), study.config
    rows = study.data.x.size + study.data.y.size
    needed = found.of_fit(config.seeds, rows, config.train.batch_size)
    if needed > (left := memory()):
        raise ModelError(
            f"the model has {found.weights} weights; to train it needs about "
            f"{needed >> 20} MiB of memory (weights, gradients, optimizer, outputs of "
            f"a batch, data); {left >> 20} MiB are left."
        )


def widest(study: Any) -> str:
    """Return the key of [model] that decides the size of the model."""
    model = study.config.model
    if model.build is not None:
        return "build"
    options = {"hidden": model.hidden, "filters": model.filters}
    given = {key: max(widths) for key, widths in options.items() if widths}
    return max(given, key=lambda key: given[key]) if given else "name"


def _of_a_row(output: Any) -> int:
    """Return the size of an output for one row, or 0 if it is not known."""
    shape: tuple[Any, ...] = getattr(output, "shape", (None, None))[1:]
    return 0 if None in shape else math.prod(shape)
