"""All access to private names of Keras and its backends, and to the call stack.

Each function's docstring says why the public interface is not enough. Tests of these
functions fail if a later Keras has renamed what they read.
"""

from kregkit._keras.graphs import functions_of, register_converter, stacked
from kregkit._keras.layers import calls, own_fixed_variables, own_variables, sublayers
from kregkit._keras.models import (
    add_step_variables,
    aggregated,
    compiled_loss,
    is_validation,
    mask_of,
    parts,
    remove_step_variables,
    replace_reported,
    reported,
    restore_reported,
    seen_rows,
    synchronize,
    training_argument,
    watched_parts,
    without_values,
)
from kregkit._keras.optimizers import (
    BASE,
    applies_itself,
    averages,
    decays,
    index_of,
    replace_rules,
    slots,
    track,
    trained_variables,
    untrack,
    without_strategy,
)
from kregkit._keras.stack import (
    TrainingStep,
    in_apply,
    model_at_work,
    regularized,
    regularizes_activity,
    training_step,
)

__all__ = [
    "BASE",
    "TrainingStep",
    "add_step_variables",
    "aggregated",
    "applies_itself",
    "averages",
    "calls",
    "compiled_loss",
    "decays",
    "functions_of",
    "in_apply",
    "index_of",
    "is_validation",
    "mask_of",
    "model_at_work",
    "own_fixed_variables",
    "own_variables",
    "parts",
    "register_converter",
    "regularized",
    "regularizes_activity",
    "remove_step_variables",
    "replace_reported",
    "replace_rules",
    "reported",
    "restore_reported",
    "seen_rows",
    "slots",
    "stacked",
    "sublayers",
    "synchronize",
    "track",
    "trained_variables",
    "training_argument",
    "training_step",
    "untrack",
    "watched_parts",
    "without_strategy",
    "without_values",
]
