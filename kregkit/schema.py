"""Names and types of all stored columns, for stores, loggers and reports.

This module does not import Keras, so reports can be built without Keras.
"""

from typing import Final

SCHEMA_VERSION: Final = 1

NEAR_ZERO: Final = 1e-3
"""`near_zero_fraction` counts the elements with a magnitude up to this."""

INSIDE: Final = 0.1
"""A weight is at a stationary point if u is within this share of the strength of the
subdifferential of its penalty."""

ACTIVE: Final = 0.1
"""A unit of a code is active in a row where |h|·‖v‖₂ exceeds this share of the row's
largest such product; v are the weights from the unit into the next layer. The product
measures the unit's contribution, so rescaling between h and v does not change it."""

PROBE: Final = 256
"""The maximum number of validation rows on which activations are measured."""

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
"""The measures and their definitions. Norms of activations are means over samples."""

METRICS: Final[dict[str, tuple[str, str]]] = {
    "accuracy": ("classification", "share of rows whose class has the largest output"),
    "balanced_accuracy": (
        "classification",
        "mean over classes of the share of their rows that are found (recall)",
    ),
    "crossentropy": (
        "classification",
        "mean of -log p over rows, p the probability that softmax gives the class",
    ),
    "f1_macro": ("classification", "mean over classes of F1"),
    "mean_absolute_error": ("regression", "mean of |y - output|"),
    "mean_squared_error": ("regression", "mean of (y - output)²"),
    "median_absolute_error": (
        "regression",
        "median of |y - output| over rows, of several targets their mean",
    ),
    "r2": ("regression", "1 - Σ(y - output)² / Σ(y - mean of y)²"),
    "roc_auc": (
        "classification",
        "area under the ROC curve, with three classes or more the mean of one class "
        "against the others",
    ),
    "root_mean_squared_error": (
        "regression",
        "root of the mean of (y - output)² over rows, of several targets their mean",
    ),
    "top_3_accuracy": (
        "classification",
        "share of rows whose class is among the three largest outputs",
    ),
    "top_5_accuracy": (
        "classification",
        "share of rows whose class is among the five largest outputs",
    ),
}
"""The metrics that a study can name: for each, its task and its definition."""

_MEASURED: Final = dict.fromkeys(MEASURES, "float")

ROWS: Final[dict[str, str]] = {
    "trial": "str",
    "step": "int",  # finished optimizer steps; 0: before training
    "epoch": "int",  # finished epochs; 0: before training
    "layer": "str",  # "" for the row of the whole model
    "tensor": "str",  # "kernel", "bias", ..., "activation"; "model" for the model
    "role": "str",  # "kernel", "bias", ..., "activation"; "model" for the model
    "size": "int",  # number of elements; for an activation, per sample
    **_MEASURED,
    "penalty": "float",  # this tensor's penalty; for the model, the sum of all
    "loss": "float",  # this and the next five: only in the row of the whole model
    "data_loss": "float",
    "score": "float",
    "val_loss": "float",
    "val_data_loss": "float",
    "val_score": "float",
    "kkt_residual": "float",  # this and the next come from `kregkit.optimality`: for
    "gradient_ratio": "float",  # weights only, in a log with `optimality`
}

FINALS: Final[dict[str, str]] = {
    "study": "str",
    "trial": "str",
    "status": "str",  # "done" or "failed"
    "failed_epoch": "int",  # the epoch (from 1) with a loss that is not finite
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
    "split_redrawn": "bool",  # True if the test part depends on the seed
    "train_score": "float",
    "val_score": "float",
    "test_score": "float",
    "majority_score": "float",  # test score of the best constant answer
    "train_data_loss": "float",
    "val_data_loss": "float",
    "test_data_loss": "float",
    "penalty": "float",  # sum of the weight penalties and the activity penalties, the
    # latter on the probe
    # Below, f is the logits minus their mean over classes, or a regression's output.
    # Undefined values are null; for integer inputs these are the measures that need
    # inputs outside the data. `study.probes` has the definitions.
    "logit_norm_at_zero": "float",  # ‖f(0)‖₂ / logit_scale, 0 an input after scaling
    "score_under_noise": "floats",  # on the test part, for each of `noise_sizes`
    "noise_sizes": "floats",  # standard deviations of the noise
    "jacobian_norm": "float",  # √(mean ‖∂f/∂x‖²_F) over the first rows of the test part
    "inputs_ignored": "float",  # of the inputs that vary on the training part, the
    # share with exactly zero outgoing weights
    "permuted_change": "float",  # √(mean ‖change of f‖²) / logit_scale on the test part
    # when the inputs of `inputs_near_ignored` are permuted; null if there are none
    "kkt_residual": "float",  # √(Σd²/n) over the penalised weights, d the distance of u
    # to the penalty's subdifferential; null: the baseline, activity, failed trials and
    # decoupled decay, where the optimizer's scale of each weight decides where training
    # ends, so that it is no minimum of data loss and penalty
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
    # λ·sign(w) for L1, for kernels or biases and the gradient solver; else null
    "input_shape": "ints",  # shape of one row: (columns,), or (height, width, channels)
    "code_usage": "floats",  # for each unit of an autoencoder's code, the share of the
    # probe's rows in which it is active (see ACTIVE)
    "inputs": "str",  # a text: the inputs and their preprocessing
    "classes": "str",  # with their numbers; null if the numbers are the labels
    "metric_names": "strs",  # `[train] metrics`; null: the study file names none
    "train_metrics": "doubles",  # the values of these metrics, in this order, on each
    "val_metrics": "doubles",  # part, with the final weights; null if undefined.
    "test_metrics": "doubles",  # `study.metrics` has the definitions
}

ADDED: Final = (
    "learning_rate",
    "input_shape",
    "code_usage",
    "inputs",
    "classes",
    "logit_scale",
    "inputs_near_ignored",
    "kernel_quantiles",
    "bias_quantiles",
    "activation_quantiles",
    "step_law_error",
    "kkt_residual",
    "gradient_ratio",
    "metric_names",
    "train_metrics",
    "val_metrics",
    "test_metrics",
)
"""Columns that older stores lack. They are read as null from such stores."""

TENSORS: Final[dict[str, str]] = {
    "trial": "str",
    "layer": "str",
    "tensor": "str",
    "role": "str",
    "shape": "ints",
    "size": "int",
    "values": "floats",  # flattened in C order; a seeded sample if `sampled`
    "u": "floats",  # -∂(data loss)/∂w for the elements of `values`, over the training
    # part in inference mode; null: frozen, a failed trial, a log without `optimality`
    "sampled": "bool",
    "histogram": "ints",  # 200 bins of equal width over [low, high]
    "low": "float",
    "high": "float",
}

TENSOR_WHOLE: Final = 100_000
TENSOR_SAMPLE: Final = 20_000
TENSOR_BINS: Final = 200

ROLES: Final = ("kernel", "bias", "activation")
"""The tensor roles that a report compares. Each target acts on one of them."""
