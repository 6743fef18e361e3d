"""Names and types of everything that is stored, and names as data.

The one rule: what a store, a table or a study file may hold is declared here and
nowhere else, without Keras, so that a report is made where Keras is not installed.
A test holds these names equal to the registries that implement them.
"""

from dataclasses import dataclass
from typing import Final

SCHEMA_VERSION: Final = 1

NEAR_ZERO: Final = 1e-3
"""`near_zero_fraction` counts the elements whose magnitude is at most this."""

ACTIVE: Final = 0.1
"""A unit of a code is active in a row where |h|·‖v‖₂ is above this share of the largest
such product in that row, v the weights from the unit into the next layer. It is what
the unit contributes: a unit that is made large, with small weights behind it, is not
more active, nor is a small one with large weights less."""

PROBE: Final = 256
"""Activations are measured on this many rows of the validation part, at most."""

QUANTILES: Final = (0.5, 0.9, 0.99)
"""The levels of `kernel_quantiles`, `bias_quantiles` and `activation_quantiles`."""

MEASURES: Final[dict[str, str]] = {
    "l1": "sum of magnitudes, Σ|w|",
    "l2": "Euclidean norm, √Σw²",
    "max_abs": "largest magnitude, max|w|; of an activation its mean over samples",
    "mean": "mean of the elements",
    "std": "standard deviation of the elements (divided by n)",
    "zero_fraction": "share of elements that are exactly zero",
    "near_zero_fraction": f"share of elements with |w| <= {NEAR_ZERO:g}",
    "hoyer": "Hoyer sparsity, (√n - ‖w‖₁/‖w‖₂)/(√n - 1): 0 when all are equal, "
    "1 when one element is left",
    "unit_zero_fraction": "share of output units whose every weight is zero",
    "input_zero_fraction": "share of inputs whose every outgoing weight is zero",
    "spectral_norm": "largest singular value of the kernel as a matrix of "
    "inputs by units",
    "stable_rank": "(‖W‖₂/spectral norm)², between 1 and the rank",
    "dead_unit_fraction": "share of units that are zero for the whole probe batch",
}
"""Every measure with its definition. Norms of activations are means per sample."""

_MEASURED: Final = dict.fromkeys(MEASURES, "float")

ROWS: Final[dict[str, str]] = {
    "trial": "str",
    "step": "int",  # optimizer steps done; 0 is before training
    "epoch": "int",  # epochs finished; 0 is before training
    "layer": "str",  # "" for the row of the whole model
    "tensor": "str",  # "kernel", "bias", ..., "activation"; "model" for the model
    "role": "str",  # "kernel", "bias", ..., "activation"; "model" for the model
    "size": "int",  # elements; of an activation: elements per sample
    **_MEASURED,
    "penalty": "float",  # value of this tensor's penalty; of the model: their sum
    "loss": "float",  # as the next five: only in the row of the whole model
    "data_loss": "float",
    "score": "float",
    "val_loss": "float",
    "val_data_loss": "float",
    "val_score": "float",
    "kkt_residual": "float",  # of `kregkit.optimality`, as the next: only of weights,
    "gradient_ratio": "float",  # and only in a log with `optimality`
}

FINALS: Final[dict[str, str]] = {
    "study": "str",
    "trial": "str",
    "status": "str",  # "done" or "failed"
    "failed_epoch": "int",  # the epoch (from 1) whose loss was not finite
    "data": "str",
    "task": "str",  # "classification" or "regression"
    "model": "str",
    "regularizer": "str",  # null: the baseline
    "target": "str",  # null: the baseline
    "layers": "str",  # null: the baseline
    "solver": "str",
    "strength": "float",  # null: the baseline
    "parameters": "str",  # further parameters of the regularizer, as sorted JSON
    "seed": "int",
    "epochs": "int",
    "n_train": "int",
    "n_val": "int",
    "n_test": "int",
    "split_redrawn": "bool",  # whether the test part depends on the seed
    "train_score": "float",
    "val_score": "float",
    "test_score": "float",
    "majority_score": "float",  # test score of the best constant answer
    "train_data_loss": "float",
    "val_data_loss": "float",
    "test_data_loss": "float",
    "penalty": "float",  # sum of the weight penalties and the probe's activity ones
    # Of the next, f is the logits minus their mean over classes, or a regression's
    # output; what is not defined is null. `study.probes` has the definitions.
    "logit_norm_at_zero": "float",  # ‖f(0)‖₂ / logit_scale, 0 an input after scaling
    "score_under_noise": "floats",  # on the test part, with noise of each of the sizes
    "noise_sizes": "floats",  # standard deviations of the noise
    "jacobian_norm": "float",  # √(mean ‖∂f/∂x‖²_F) over the first rows of the test part
    "inputs_ignored": "float",  # share of the inputs that vary on the training part
    # whose every outgoing weight is exactly zero
    "permuted_change": "float",  # √(mean ‖change of f‖²) / logit_scale on the test part
    # when the inputs of `inputs_near_ignored` are permuted; null where there are none
    "kkt_residual": "float",  # √(Σd²/n) over the weights that the penalty is on, d the
    # distance of u to its subdifferential; null: the baseline, activity, failed trials
    # and decoupled decay, which ends where the optimizer's own scale of each weight
    # says, not at a minimum of data loss and penalty
    "engine": "str",
    "wall_seconds": "float",
    "backend": "str",
    "dtype_policy": "str",
    "kregkit_version": "str",
    "keras_version": "str",
    "backend_version": "str",
    "schema_version": "int",
    "learning_rate": "float",
    "logit_scale": "float",  # √(mean ‖f(x)‖²) over the test part
    "inputs_near_ignored": "float",  # as inputs_ignored, with |w| <= NEAR_ZERO
    "kernel_quantiles": "floats",  # QUANTILES of the magnitudes above zero, over all
    "bias_quantiles": "floats",  # layers; of activations on the probe
    "activation_quantiles": "floats",
    "step_law_error": "float",  # max |∂penalty/∂w − law|/λ, with law 2λw for L2 and
    # λ·sign(w) for L1, on kernels or biases by gradient steps; else null
    "input_shape": "ints",  # of one row of the data: (columns,), or (height, width,
    # channels) of an image
    "code_usage": "floats",  # of each unit of an autoencoder's code the share of the
    # probe's rows in which it is active, by ACTIVE
}

ADDED: Final = (
    "learning_rate",
    "input_shape",
    "code_usage",
    "logit_scale",
    "inputs_near_ignored",
    "kernel_quantiles",
    "bias_quantiles",
    "activation_quantiles",
    "step_law_error",
    "kkt_residual",
    "gradient_ratio",
)
"""Columns that older stores lack, the last of their tables; there they are null."""

TENSORS: Final[dict[str, str]] = {
    "trial": "str",
    "layer": "str",
    "tensor": "str",
    "role": "str",
    "shape": "ints",
    "size": "int",
    "values": "floats",  # flattened in C order; a seeded sample when `sampled`
    "u": "floats",  # -∂(data loss)/∂w at the elements of `values`, over the training
    # part in inference mode; null: frozen, a failed trial, a log without `optimality`
    "sampled": "bool",
    "histogram": "ints",  # 200 bins of equal width over [low, high]
    "low": "float",
    "high": "float",
}

TENSOR_WHOLE: Final = 100_000
TENSOR_SAMPLE: Final = 20_000
TENSOR_BINS: Final = 200


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
    """Admissible words of a structural parameter."""

    words: tuple[str, ...]
    default: str


LEARNING_RATE: Final = 1e-3
"""The learning rate of a study whose file names none."""

STRENGTH: Final = Range(0.0)
SWEPT_STRENGTH: Final = Range(0.0, open_low=True)

DECOUPLED: Final = "decoupled"
"""Weight decay beside the optimizer's step, as AdamW's: a regularizer of studies that
is no penalty: no term of the loss, no value, no proximal step."""

_RATIO: Final = Range(0.0, 1.0, default=0.5)
_WIDTH: Final = Range(1e-6, 1e6, default=0.1)  # squared, it is still a float32
_GROUP: Final = Choice(("filter", "input", "unit"), "unit")

REGULARIZERS: Final[dict[str, dict[str, Range | Choice]]] = {
    "L1": {},
    "L2": {},
    "L1L2": {"ratio": _RATIO},
    "GroupLasso": {"group": _GROUP},
    "SparseGroupLasso": {"ratio": _RATIO, "group": _GROUP},
    "MCP": {"threshold": _WIDTH},
    "SCAD": {"threshold": _WIDTH, "a": Range(1.001, 1e6, default=3.7)},
    "CappedL1": {"threshold": _WIDTH},
    "LogSum": {"epsilon": _WIDTH},
    "TransformedL1": {"a": _WIDTH},
    "LHalf": {},
    "LTwoThirds": {},
    "Huber": {"delta": _WIDTH},
    "HoyerActivity": {},
    "HoyerSquare": {},
    "KLSparsity": {"rho": Range(1e-3, 0.999, default=0.05)},
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
    "L1": "Σ|w|",
    "L2": "Σw²",
    "L1L2": "r·Σ|w| + (1−r)·Σw²",
    "GroupLasso": "Σ_g √d_g·‖w_g‖₂",
    "SparseGroupLasso": "r·Σ|w| + (1−r)·Σ_g √d_g·‖w_g‖₂",
    "MCP": "Σ (m − m²/2θ), m = min(|w|, θ)",
    "SCAD": "Σ (m − max(m − κ, 0)²/2(θ − κ)), m = min(|w|, θ), κ = θ/a",
    "CappedL1": "Σ min(|w|, θ)",
    "LogSum": "Σ log(1 + |w|/ε)",
    "TransformedL1": "Σ (a + 1)·|w|/(a + |w|)",
    "LHalf": "Σ √|w|",
    "LTwoThirds": "Σ |w|^(2/3)",
    "Huber": "Σ (m²/2δ + |w| − m), m = min(|w|, δ)",
    "HoyerActivity": "Σᵢ ‖hᵢ‖₁/‖hᵢ‖₂",
    "HoyerSquare": "(Σ|w|)²/Σw²",
    "KLSparsity": "n·Σⱼ (ρ·log(ρ/mⱼ) + (1−ρ)·log((1−ρ)/(1−mⱼ)))",
    DECOUPLED: "w ← w − learning rate·strength·w in each step, no loss (AdamW)",
}
"""The unscaled value of each regularizer; of `DECOUPLED` what it does to a weight."""

WITHOUT_PROX: Final = ("HoyerActivity", "HoyerSquare", "KLSparsity", DECOUPLED)
"""The regularizers that have no proximal operator."""

ONLY_ON: Final = {
    "HoyerActivity": "activity",
    "KLSparsity": "activity",
    DECOUPLED: "kernel",
}
"""The regularizers that studies put on one target alone."""

TARGETS: Final = ("activity", "bias", "kernel")
SOLVERS: Final = ("gradient", "proximal")
ROLES: Final = ("kernel", "bias", "activation")
"""The tensor roles that a report compares; targets act on them in this way."""

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
