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

_RATIO: Final = Range(0.0, 1.0, default=0.5)
_WIDTH: Final = Range(1e-6, 1e6, default=0.1)  # squared, it is still a float32
_BEND: Final = Range(1.001, 1e6, default=3.7)
_REFERENCE: Final = Range(-1e6, 1e6, default=0.0)
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

REGULARIZERS: Final[dict[str, dict[str, Range | Choice]]] = {
    "L0": {},
    "L1": {},
    "L2": {},
    "L1L2": {"ratio": _RATIO},
    "WeightedL1": {"factors": Range(0.0, 1e6, default=1.0)},
    "L1SP": {"reference": _REFERENCE},
    "L2SP": {"reference": _REFERENCE},
    "GroupLasso": {"group": GROUP, "weighting": WEIGHTING},
    "SparseGroupLasso": {"ratio": _RATIO, "group": GROUP, "weighting": WEIGHTING},
    "GroupLInf": {"group": GROUP, "weighting": Choice(WEIGHTING.words, "none")},
    "GroupMCP": {"threshold": _WIDTH, "group": GROUP, "weighting": WEIGHTING},
    "GroupSCAD": {
        "threshold": _WIDTH,
        "a": _BEND,
        "group": GROUP,
        "weighting": WEIGHTING,
    },
    "ExclusiveLasso": {"group": GROUP},
    "LInf": {},
    "SLOPE": {"last": _RATIO},
    "L1MinusL2": {"beta": Range(0.0, 1.0, default=1.0)},
    "MCP": {"threshold": _WIDTH},
    "SCAD": {"threshold": _WIDTH, "a": _BEND},
    "CappedL1": {"threshold": _WIDTH},
    "LogSum": {"epsilon": _WIDTH},
    "TransformedL1": {"a": _WIDTH},
    "LHalf": {},
    "LTwoThirds": {},
    "Huber": {"delta": _WIDTH},
    "Hoyer": {},
    "HoyerSquare": {},
    "GroupHoyerSquare": {"group": GROUP},
    "Orthogonality": {"form": ORTHOGONALITY},
    "NuclearNorm": {},
    "SpectralNorm": {"form": SPECTRAL},
    "HoyerActivity": {},
    "KLSparsity": {"rho": Range(1e-3, 0.999, default=0.05)},
    "DeCov": {},
    "VarianceCovariance": {
        "gamma": Range(1e-6, 1e6, default=1.0),
        "nu": Range(0.0, 1e6, default=0.04),
    },
    "EntropyPenalty": {},
    "TotalVariation": {},
    DECOUPLED: {},
}
"""Regularizers that a sweep can name, with their parameters beside `strength`.

A `Range` is a numeric parameter, which may differ between the trials of one batch; a
`Choice` is structural, and may not.
"""


def numeric(name: str) -> dict[str, Range]:
    """Return the numeric parameters of a regularizer, `strength` first."""
    further = REGULARIZERS[name].items()
    return {"strength": STRENGTH} | {n: r for n, r in further if isinstance(r, Range)}


FORMULAS: Final[dict[str, str]] = {
    "L0": "#{w ≠ 0}",
    "L1": "Σ|w|",
    "L2": "Σw²",
    "L1L2": "r·Σ|w| + (1−r)·Σw²",
    "WeightedL1": "Σ cᵢ·|wᵢ|",
    "L1SP": "Σ|w − w₀|",
    "L2SP": "Σ(w − w₀)²",
    "GroupLasso": "Σ_g √d_g·‖w_g‖₂",
    "SparseGroupLasso": "r·Σ|w| + (1−r)·Σ_g √d_g·‖w_g‖₂",
    "GroupLInf": "Σ_g max|w_g|",
    "GroupMCP": "Σ_g d_g·MCP(‖w_g‖₂/√d_g)",
    "GroupSCAD": "Σ_g d_g·SCAD(‖w_g‖₂/√d_g)",
    "ExclusiveLasso": "½·Σ_g (Σ|w_g|)²",
    "LInf": "max|w|",
    "SLOPE": "Σ λᵢ·|w|₍ᵢ₎",
    "L1MinusL2": "Σ|w| − β·√Σw²",
    "MCP": "Σ (m − m²/2θ), m = min(|w|, θ)",
    "SCAD": "Σ (m − max(m − κ, 0)²/2(θ − κ)), m = min(|w|, θ), κ = θ/a",
    "CappedL1": "Σ min(|w|, θ)",
    "LogSum": "Σ log(1 + |w|/ε)",
    "TransformedL1": "Σ (a + 1)·|w|/(a + |w|)",
    "LHalf": "Σ √|w|",
    "LTwoThirds": "Σ |w|^(2/3)",
    "Huber": "Σ (m²/2δ + |w| − m), m = min(|w|, δ)",
    "Hoyer": "Σ|w|/√Σw²",
    "HoyerSquare": "(Σ|w|)²/Σw²",
    "GroupHoyerSquare": "(Σ_g ‖w_g‖₂)²/Σw²",
    "Orthogonality": "‖WᵀW − I‖_F²",
    "NuclearNorm": "Σᵢ σᵢ(W)",
    "SpectralNorm": "σ₁(W)²",
    "HoyerActivity": "Σᵢ ‖hᵢ‖₁/‖hᵢ‖₂",
    "KLSparsity": "n·Σⱼ (ρ·log(ρ/mⱼ) + (1−ρ)·log((1−ρ)/(1−mⱼ)))",
    "DeCov": "n·½·Σ_{i≠j} C_ij²",
    "VarianceCovariance": ("n/d·(Σⱼ max(γ − √(C_jj + 1e-4), 0) + ν·Σ_{i≠j} C_ij²)"),
    "EntropyPenalty": "Σᵢ Σⱼ hᵢⱼ·log hᵢⱼ",
    "TotalVariation": "Σᵢ Σ|hᵢ[…, t+1, …] − hᵢ[…, t, …]|",
    DECOUPLED: "w ← w − learning rate·strength·w in each step, no loss (AdamW)",
}
"""The unscaled value of each regularizer; of `DECOUPLED` what it does to a weight."""

WITHOUT_PROX: Final = (
    "DeCov",
    "EntropyPenalty",
    "GroupHoyerSquare",
    "Hoyer",
    "HoyerActivity",
    "HoyerSquare",
    "KLSparsity",
    "Orthogonality",
    "SpectralNorm",
    "TotalVariation",
    "VarianceCovariance",
    DECOUPLED,
)
"""The regularizers that have no proximal operator."""

WITHOUT_GRADIENT: Final = ("L0",)
"""The regularizers that only their proximal operator trains."""

ONE_AMOUNT: Final = ("GroupMCP", "GroupSCAD", "L1MinusL2", "NuclearNorm", "SLOPE")
"""The regularizers whose proximal step takes one amount for all weights."""

ONE_STEP: Final = "sgd"
"""The optimizer whose step is one for all weights."""

ONLY_ON: Final = {
    "DeCov": "activity",
    "EntropyPenalty": "activity",
    "HoyerActivity": "activity",
    "KLSparsity": "activity",
    "NuclearNorm": "kernel",
    "Orthogonality": "kernel",
    "SpectralNorm": "kernel",
    "TotalVariation": "activity",
    "VarianceCovariance": "activity",
    DECOUPLED: "kernel",
}
"""The regularizers that studies put on one target alone."""

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
