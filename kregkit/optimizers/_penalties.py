"""The penalties of weights, Keras's own among them, and what a model may not have."""

from collections.abc import Iterable
from typing import Any

import keras

from kregkit.errors import ModelError, ParameterError
from kregkit.regularizers import L1, L1L2, L2, Penalty
from kregkit.regularizers._base import bound
from kregkit.regularizers._handled import ProximalPenalty
from kregkit.weights import walk, walk_layers


def unhandled(regularizer: Any) -> Any:
    """Return a variable's regularizer as it was before an optimizer handled it."""
    return (
        regularizer.penalty if isinstance(regularizer, ProximalPenalty) else regularizer
    )


def is_handled(regularizer: Any) -> bool:
    """Return whether an optimizer takes the proximal steps of a regularizer."""
    held = isinstance(regularizer, ProximalPenalty)
    return held and not regularizer.has_gradient()


def penalty_of(regularizer: Any) -> Penalty | None:
    """Return the penalty that a regularizer is, as one of this package, or None."""
    match type(regularizer):
        case keras.regularizers.L1:
            return L1(float(regularizer.l1))
        case keras.regularizers.L2:
            return L2(float(regularizer.l2))
        case keras.regularizers.L1L2 if regularizer.l1 or regularizer.l2:
            return L1L2(float(regularizer.l1), float(regularizer.l2))
    return regularizer if isinstance(regularizer, Penalty) else None


def proximable(regularizer: Any) -> Penalty | None:
    """Return the penalty whose proximal step can stand for a regularizer, or None."""
    penalty = penalty_of(regularizer)
    return penalty if penalty is not None and penalty.proximal else None


def refuse_conflicts(model: Any) -> None:
    """Refuse a weight that layers share under different regularizers.

    Keras keeps the regularizer that it was made with, and says nothing of the others.

    Raises:
        ModelError: there is such a weight.
    """
    owners: dict[int, tuple[str, str]] = {}
    for place in walk_layers(model):
        for name in [n for n in vars(place.layer) if n.endswith("_regularizer")]:
            regularizer = getattr(place.layer, name)
            weight = getattr(place.layer, name.removesuffix("_regularizer"), None)
            if regularizer is None or not isinstance(weight, keras.Variable):
                continue
            words = repr(penalty_of(regularizer) or regularizer)
            other, others = owners.setdefault(id(weight), (place.path, words))
            if words != others:
                raise ModelError(
                    f"{weight.path}: layers {other!r} and {place.path!r} share it "
                    f"with different regularizers, {others} and {words}, of which "
                    "Keras keeps one; give both the same."
                )


def refuse_groups(model: Any) -> None:
    """Refuse words for groups that a weight of a model has not, in every weight.

    Raises:
        ParameterError: a penalty has such a word.
    """
    for weight in walk(model):
        bound(unhandled(getattr(weight.variable, "regularizer", None)), weight)


def refuse_tensor_steps(variables: Iterable[keras.Variable], optimizer: Any) -> None:
    """Refuse penalties that take one amount, where each weight has its own step.

    Raises:
        ParameterError: a variable has such a penalty.
    """
    for variable in variables:
        penalty = penalty_of(unhandled(getattr(variable, "regularizer", None)))
        if penalty is not None and penalty.scalar_step_only:
            raise ParameterError(
                f"Proximal: {variable.path}: {type(penalty).__name__} has a proximal "
                f"step for weights of one step alone, and {type(optimizer).__name__} "
                "gives each its own; take SGD, or metric='euclidean'."
            )
