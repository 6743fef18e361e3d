"""What things are called on a page.

One thing has one name, in tables, figures and sentences alike.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from kregkit.report.cells import Series, Setting
from kregkit.report.wording.numbers import strength


@dataclass(frozen=True)
class Tensor:
    """What a role is called."""

    symbol: str
    elements: str  # plural
    element: str
    tensors: str


TENSORS = {
    "kernel": Tensor("W", "kernel weights", "kernel weight", "kernels"),
    "bias": Tensor("b", "biases", "bias", "biases"),
    "activation": Tensor("y", "activations", "activation", "outputs"),
}
SHORT = {"kernel": "Kernel W", "bias": "Bias b", "activity": "Activity y"}
TARGETS = {
    "kernel": "the kernel W",
    "bias": "the bias b",
    "activity": "the activity y",
}
MEASURE_LABELS = {
    "test_score": "Test score",
    "val_score": "Validation score",
    "train_score": "Training score",
    "majority_score": "Score of a constant",
    "test_data_loss": "Test data loss",
    "val_data_loss": "Validation data loss",
    "train_data_loss": "Training data loss",
    "generalisation_gap": "Generalisation gap",
    "l1": "‖·‖₁",
    "l2": "‖·‖₂",
    "max_abs": "max |·|",
    "mean": "mean",
    "std": "std",
    "zero_fraction": "exactly zero",
    "near_zero_fraction": "|·| ≤ 1e-3",
    "hoyer": "Hoyer",
    "unit_zero_fraction": "zero units",
    "input_zero_fraction": "zero inputs",
    "spectral_norm": "spectral norm",
    "stable_rank": "stable rank",
    "dead_unit_fraction": "dead units",
    "relative_gap": "Gap over validation loss",
    "origin_ratio": "‖f(0)‖₂ over scale",
    "jacobian_ratio": "Jacobian over scale",
    "jacobian_norm": "Jacobian norm",
    "noise_cost": "Score lost under noise",
    "inputs_ignored": "Inputs ignored",
    "inputs_near_ignored": "Inputs near-ignored",
    "permuted_change": "Change when permuted",
    "active_units": "Active units per row",
    "unused_units": "Never active",
    "constant_units": "Always active",
    "busiest_share": "Busiest tenth",
    "q50": "median |·|",
    "q99": "99 % quantile |·|",
    "q99_over_q50": "99 % over median |·|",
}


@dataclass(frozen=True)
class GoalWords:
    """What a goal is called, and what is compared for it."""

    name: str
    compared: str


GOALS = {
    "score": GoalWords("Best score", "test score"),
    "test loss": GoalWords("Lower test loss", "test loss"),
    "overfitting": GoalWords("Less overfitting", "validation loss minus training loss"),
    "sparse weights": GoalWords("Sparse weights", "kernel weights exactly zero"),
    "small model": GoalWords(
        "Small model",
        "kernel weights in units that are zero as a whole",
    ),
    "few inputs": GoalWords("Few inputs", "inputs whose every weight is exactly zero"),
    "sparse activations": GoalWords("Sparse activations", "activations exactly zero"),
    "small activations": GoalWords("Small activations", "‖y‖₂"),
    "through the origin": GoalWords(
        "Function through the origin", "‖f(0)‖₂ over the scale of f"
    ),
    "robust to noise": GoalWords("Robust to noise", "score lost under input noise"),
    "few active units": GoalWords("Few active units", "active units per row"),
    "exact zeros": GoalWords("Exact zeros", "units of the code exactly zero"),
    "no unused units": GoalWords("No unused units", "units that are never active"),
    "evenly used units": GoalWords("Evenly used units", "the busiest tenth's share"),
}
"""Of every goal of `recommendations`, and of an autoencoder's code."""


def symbol(role: str) -> str:
    """Return W, b, y, or the role itself for the less common ones."""
    return TENSORS[role].symbol if role in TENSORS else role


def measure(role: str, name: str) -> str:
    """Return the label of a measure of a role: ‖W‖₂, b exactly 0, Test score."""
    label = MEASURE_LABELS.get(name, name)
    if role == "model":
        return label
    sign = symbol(role)
    return label.replace("·", sign) if "·" in label else f"{sign} {label}"


def series(one: Series, among: Sequence[Series]) -> str:
    """Return L1, with what else tells it from the other series of its target."""
    own = [other for other in among if other.target == one.target]
    words = [one.regularizer]
    if one.parameters not in (None, "", "{}"):
        words.append(_parameters(str(one.parameters)))
    for name in ("solver", "layers"):
        if len({getattr(other, name) for other in own}) > 1:
            words.append(f"{getattr(one, name)}")
    if one.learning_rate is not None:
        words.append(_rate(one.learning_rate))
    return " · ".join(words)


def setting(one: Setting, among: Sequence[Series]) -> str:
    """Return "L1 1e-4", or "baseline", with what else tells it apart."""
    if one.series is None:
        if one.learning_rate is None:
            return "baseline"
        return f"baseline · {_rate(one.learning_rate)}"
    return f"{series(one.series, among)} {strength(one.strength)}"


def named(one: Series) -> str:
    """Return "L2 on the kernel", with the solver where it is not the gradient."""
    target = SHORT.get(one.target, one.target).split()[0].lower()
    words = [one.regularizer]
    if one.parameters not in (None, "", "{}"):
        words.append(f"({_parameters(str(one.parameters))})")
    words.append(f"on the {target}")
    if one.solver not in (None, "gradient"):
        words.append(f"({one.solver})")
    if one.learning_rate is not None:
        words.append(f"({_rate(one.learning_rate)})")
    return " ".join(words)


def choice(one: Series | None) -> str:
    """Return what is recommended: "L2 on the kernel", with its layers if it has any."""
    if one is None:
        return "no regularizer"
    return named(one) + (f" ({one.layers})" if one.layers else "")


def _rate(learning_rate: float) -> str:
    return f"lr {strength(learning_rate)}"


def _parameters(text: str) -> str:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        return text
    if not isinstance(parsed, dict):
        return text
    return ", ".join(f"{key} {value}" for key, value in parsed.items())
