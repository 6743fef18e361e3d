"""The names that a study file can use, and the valid values of their parameters.

Study files are checked against these without loading Keras. A test compares them with
the registries.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Range:
    """Valid values of a numeric parameter: `low <= value <= high`.

    With `open_low`, `low < value`. Values are finite.
    """

    low: float
    high: float = float("inf")
    open_low: bool = False
    default: float | None = None

    def admits(self, value: float) -> bool:
        """Return whether the value is valid."""
        above = value > self.low if self.open_low else value >= self.low
        return above and value <= self.high and value < float("inf")

    def __str__(self) -> str:
        """Return the rule as text for messages."""
        if self.high < float("inf"):
            return f"a number from {self.low:g} to {self.high:g}"
        return f"a finite number {'>' if self.open_low else '>='} {self.low:g}"


@dataclass(frozen=True)
class Choice:
    """Valid values of a string parameter: `words`, and full matches of `pattern`."""

    words: tuple[str, ...]
    default: str
    pattern: str | None = None

    def admits(self, word: object) -> bool:
        """Return whether the value is valid."""
        if self.pattern and isinstance(word, str) and re.fullmatch(self.pattern, word):
            return True
        return word in self.words


LEARNING_RATE: Final = 1e-3
"""The default learning rate of a study."""

STRENGTH: Final = Range(0.0)
SWEPT_STRENGTH: Final = Range(0.0, open_low=True)

DECOUPLED: Final = "decoupled"
"""Decoupled weight decay, as in AdamW. Studies list it as a regularizer, but it is no
penalty: it has no loss term, no value and no proximal operator."""

BLOCK: Final = r"([1-9]\d{0,5})x([1-9]\d{0,5})"
"""A block of a kernel as a matrix, inputs by units: "4x4"."""

GROUP: Final = Choice(
    ("column", "filter", "head", "input", "row", "unit"), "unit", BLOCK
)
"""The valid names of `group`, which `groups.group_axes` explains."""

WEIGHTING: Final = Choice(("none", "sqrt"), "sqrt")
"""The factor of a group's norm, for d weights: 1 ("none") or √d ("sqrt")."""

ORTHOGONALITY: Final = Choice(
    ("double_soft", "mutual_coherence", "off_diagonal", "soft", "srip", "srip_power"),
    "soft",
)
"""The forms of `Orthogonality`."""

SPECTRAL: Final = Choice(("exact", "power"), "exact")
"""The forms of `SpectralNorm`."""

REDUCTION: Final = Choice(("masked", "mean", "sample", "sum"), "sample")
"""The reductions of `layers.ActivityRegularization`."""

ONE_STEP: Final = "sgd"
"""The optimizer with the same step size for all weights."""

TARGETS: Final = {
    "activity": "the outputs of layers that have a kernel",
    "beta": "the shifts of normalisation layers",
    "bias": "biases",
    "depthwise": "depthwise kernels only",
    "embeddings": "embeddings only",
    "gamma": "the scales of normalisation layers",
    "kernel": "kernels of every kind, including embeddings",
    "pointwise": "pointwise kernels only",
    "recurrent": "recurrent kernels only",
}
"""The targets of a penalty, with a line of description each."""

_KINDS = ("depthwise", "pointwise", "recurrent")
KERNEL_TARGETS: Final = {kind: f"{kind}_kernel" for kind in _KINDS} | {
    "embeddings": "embeddings"
}
"""The targets that are one kind of kernel, and the weight's name in its layer."""
SOLVERS: Final = ("gradient", "proximal")

DATASETS: Final[dict[str, str]] = {
    "digits": "1797 images of 8x8 pixels, 10 classes (scikit-learn)",
    "breast_cancer": "569 rows, 30 inputs, 2 classes (scikit-learn)",
    "wine": "178 rows, 13 inputs, 3 classes (scikit-learn)",
    "iris": "150 rows, 4 inputs, 3 classes (scikit-learn)",
    "diabetes": "442 rows, 10 inputs, regression (scikit-learn)",
    "mnist": "70,000 images of 28x28 pixels, 10 classes (Keras)",
    "fashion_mnist": "70,000 images of 28x28 pixels, 10 classes (Keras)",
    "cifar10": "60,000 images of 32x32x3 pixels, 10 classes (Keras)",
}

MODELS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "linear": ("one dense layer: softmax or linear regression", frozenset()),
    "mlp": ("dense hidden layers (`hidden`), ReLU", frozenset({"hidden"})),
    "cnn": (
        "3x3 convolutions (`filters`), each with ReLU and max pooling, then dense "
        "layers (`hidden`)",
        frozenset({"filters", "hidden"}),
    ),
    "lenet_300_100": ("dense 300-100, ReLU", frozenset()),
    "lenet_5": ("the Caffe form: 5x5 convolutions 20-50, dense 500", frozenset()),
    "autoencoder": (
        "dense encoder (`hidden`; its last entry is the size of the code) and its "
        "mirror; `code` is the code's activation; the target is the input",
        frozenset({"code", "hidden"}),
    ),
}
"""Built-in models: a line of description and the options of each."""

CODE: Final = Choice(("relu", "sigmoid"), "relu")
"""The activation of an autoencoder's code. "sigmoid" keeps units between 0 and 1, as
`KLSparsity` assumes; "relu" allows exact zeros."""

CODE_LAYER: Final = "code"
"""The name of the autoencoder layer that outputs the code."""

LOSSES: Final = {
    "huber": "regression",
    "log_cosh": "regression",
    "mean_absolute_error": "regression",
    "mean_squared_error": "regression",
    "sparse_categorical_crossentropy": "classification",
}
"""Losses that a study can name, with their task."""

OPTIMIZERS: Final[dict[str, frozenset[str]]] = {
    "adadelta": frozenset(),
    "adagrad": frozenset(),
    "adam": frozenset(),
    "adamax": frozenset(),
    "adamw": frozenset({"weight_decay"}),
    "nadam": frozenset(),
    "rmsprop": frozenset({"momentum"}),
    "sgd": frozenset({"momentum", "nesterov"}),
}
"""Optimizers that a study can name, with their options."""
