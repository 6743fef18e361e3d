"""The names that studies and penalties know, with the ranges of their parameters.

The one rule: data alone, so that study files are checked without Keras. A test holds
it equal to the registries.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Range:
    """Admissible values of a numeric parameter: low <(=) value <(=) high."""

    low: float
    high: float = float("inf")
    open_low: bool = False
    default: float | None = None

    def admits(self, value: float) -> bool:
        """Return whether the value is finite and inside."""
        above = value > self.low if self.open_low else value >= self.low
        return above and value <= self.high and value < float("inf")

    def __str__(self) -> str:
        """Return the rule in words, for messages."""
        if self.high < float("inf"):
            return f"a number from {self.low:g} to {self.high:g}"
        return f"a finite number {'>' if self.open_low else '>='} {self.low:g}"


@dataclass(frozen=True)
class Choice:
    """Admissible words of a structural parameter, or of the whole pattern if any."""

    words: tuple[str, ...]
    default: str
    pattern: str | None = None

    def admits(self, word: object) -> bool:
        """Return whether it is one of the words, or of the pattern."""
        if self.pattern and isinstance(word, str) and re.fullmatch(self.pattern, word):
            return True
        return word in self.words


LEARNING_RATE: Final = 1e-3
"""The learning rate of a study whose file names none."""

STRENGTH: Final = Range(0.0)
SWEPT_STRENGTH: Final = Range(0.0, open_low=True)

DECOUPLED: Final = "decoupled"
"""Weight decay beside the optimizer's step, as AdamW's: a regularizer of studies that
is no penalty: no term of the loss, no value, no proximal step."""

BLOCK: Final = r"([1-9]\d{0,5})x([1-9]\d{0,5})"
"""A block of a kernel as a matrix: so many inputs by so many units, as "4x4"."""

GROUP: Final = Choice(
    ("column", "filter", "head", "input", "row", "unit"), "unit", BLOCK
)
"""What the groups of a weight are; the words are in `groups.group_axes`."""

WEIGHTING: Final = Choice(("none", "sqrt"), "sqrt")
"""What the norm of a group of d weights counts: once, or √d times."""

ORTHOGONALITY: Final = Choice(
    ("double_soft", "mutual_coherence", "off_diagonal", "soft", "srip", "srip_power"),
    "soft",
)
"""The forms of `Orthogonality`."""

SPECTRAL: Final = Choice(("exact", "power"), "exact")
"""The forms of `SpectralNorm`."""

REDUCTION: Final = Choice(("masked", "mean", "sample", "sum"), "sample")
"""What `layers.ActivityRegularization` divides the penalty of an output by."""

ONE_STEP: Final = "sgd"
"""The optimizer whose step is one for all weights."""

TARGETS: Final = {
    "activity": "what a layer with a kernel returns",
    "beta": "the shifts of normalisation layers",
    "bias": "biases",
    "depthwise": "depthwise kernels alone",
    "embeddings": "embeddings alone",
    "gamma": "the scales of normalisation layers",
    "kernel": "kernels of every kind, embeddings among them",
    "pointwise": "pointwise kernels alone",
    "recurrent": "recurrent kernels alone",
}
"""What a penalty can be put on, with a line each."""

_KINDS = ("depthwise", "pointwise", "recurrent")
KERNEL_TARGETS: Final = {kind: f"{kind}_kernel" for kind in _KINDS} | {
    "embeddings": "embeddings"
}
"""The targets that are one kind of kernel, and its name in a layer."""
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
        "dense encoder (`hidden`, whose last are the units of the code) and its "
        "mirror; `code` is the code's activation; the target is the input",
        frozenset({"code", "hidden"}),
    ),
}
"""Built-in models with a line each and the options that they take."""

CODE: Final = Choice(("relu", "sigmoid"), "relu")
"""The activation of an autoencoder's code. With "sigmoid" its units are between 0 and
1, as `KLSparsity` takes them to be; with "relu" they can be exactly zero."""

CODE_LAYER: Final = "code"
"""The layer of an autoencoder whose output is its code."""

LOSSES: Final = {
    "huber": "regression",
    "log_cosh": "regression",
    "mean_absolute_error": "regression",
    "mean_squared_error": "regression",
    "sparse_categorical_crossentropy": "classification",
}
"""Losses that a study can name, with the task that each is for."""

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
"""Optimizers that a study can name, with the options that they take."""
