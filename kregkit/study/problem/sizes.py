"""The memory that a study takes at least, computed from shapes; nothing is allocated.

`resolve` refuses a model that does not fit before it is built, or, of the user's own
builders, before a second one is.
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
"""Elements of a weight that shows how many slots an optimizer has."""


@dataclass(frozen=True)
class Sizes:
    """What a model and its optimizer hold, in numbers of 4 bytes.

    `outputs` are those of all layers for one row; 0 for layers that do not say.
    """

    weights: int
    slots: int
    outputs: int

    @property
    def state(self) -> int:
        """The bytes of weights and optimizer."""
        return _FLOAT * (self.weights + self.slots)

    def of_fit(self, seeds: int, rows: int, batch: int) -> int:
        """Return the bytes that `fit` takes for one model after another.

        Weights, their gradients at a step and at the end, the initial weights of every
        seed, the optimizer's slots and how they began; outputs and their gradients for
        a batch; the data once, as numbers of 4 bytes: `rows` are those.
        """
        weights = (3 + seeds) * self.weights
        return _FLOAT * (weights + 2 * self.slots + 2 * batch * self.outputs + rows)


def sizes(study: Any, model: keras.Model) -> Sizes:
    """Return the sizes of a study's model, which may be one without values."""
    weights = sum(math.prod(variable.shape) for variable in model.variables)
    trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    outputs = sum(_of_a_row(getattr(layer, "output", None)) for layer in model.layers)
    each, single = slots(study.optimizer())
    return Sizes(weights, each * trained + single, outputs)


def slots(optimizer: keras.optimizers.Optimizer) -> tuple[int, int]:
    """Return how many numbers an optimizer keeps for each of a weight, and besides."""
    optimizer.build([keras.Variable([0.0] * _PROBE)])
    kept = sum(math.prod(variable.shape) for variable in optimizer.variables)
    return kept // _PROBE, kept % _PROBE


def multiply_adds(model: keras.Model) -> int:
    """Return the multiplications that the kernels of a model take for one row."""
    total = 0
    for weight in walk(model):
        if weight.role == "kernel":
            output = getattr(weight.layer, "output", None)
            shape: tuple[Any, ...] = getattr(output, "shape", ())[1:-1]
            places = 1 if None in shape else math.prod(shape)
            total += math.prod(weight.variable.shape) * places
    return total


def shaped(study: Any) -> keras.Model:
    """Return the study's model: without values, unless the user's code builds it."""
    model: keras.Model = study.build() if study.own_model else outline(study)
    return model


def outline(study: Any) -> keras.Model:
    """Return the study's built-in model with shapes and without values."""
    model: keras.Model = without_values(study.build)
    return model


def check_memory(study: Any, model: keras.Model) -> None:
    """Raise for a model that cannot be trained in the memory that is left."""
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
    """Return the key of [model] that the size of a model is decided by."""
    model = study.config.model
    if model.build is not None:
        return "build"
    options = {"hidden": model.hidden, "filters": model.filters}
    given = {key: max(widths) for key, widths in options.items() if widths}
    return max(given, key=lambda key: given[key]) if given else "name"


def _of_a_row(output: Any) -> int:
    """Return how many numbers an output has for one row; 0 if that is not known."""
    shape: tuple[Any, ...] = getattr(output, "shape", (None, None))[1:]
    return 0 if None in shape else math.prod(shape)
