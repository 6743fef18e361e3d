"""Finds the penalties that `Proximal` handles, and the models that it cannot train."""

from collections.abc import Iterable
from typing import Any

import keras

from kregkit.errors import ModelError, ParameterError
from kregkit.regularizers import L1, L1L2, L2, Penalty
from kregkit.regularizers._base import bound
from kregkit.regularizers._handled import ProximalPenalty
from kregkit.weights import walk, walk_layers


def unhandled(regularizer: Any) -> Any:
    """Return a variable's original regularizer, from before an optimizer handled it."""
    return (
        regularizer.penalty if isinstance(regularizer, ProximalPenalty) else regularizer
    )


def is_handled(regularizer: Any) -> bool:
    """Return whether an optimizer now applies this regularizer by proximal steps."""
    held = isinstance(regularizer, ProximalPenalty)
    return held and not regularizer.has_gradient()


def penalty_of(regularizer: Any) -> Penalty | None:
    """Return a regularizer as a penalty of this package, or None.

    Keras's L1, L2 and L1L2 are converted.
    """
    match type(regularizer):
        case keras.regularizers.L1:
            return L1(float(regularizer.l1))
        case keras.regularizers.L2:
            return L2(float(regularizer.l2))
        case keras.regularizers.L1L2 if regularizer.l1 or regularizer.l2:
            return L1L2(float(regularizer.l1), float(regularizer.l2))
    return regularizer if isinstance(regularizer, Penalty) else None


def proximable(regularizer: Any) -> Penalty | None:
    """Return a regularizer as a penalty with a proximal operator, or None."""
    penalty = penalty_of(regularizer)
    return penalty if penalty is not None and penalty.proximal else None


def refuse_conflicts(model: Any) -> None:
    """Raise if layers share a weight with different regularizers.

    Keras uses the regularizer of the layer that created the weight, and ignores the
    others without a message.

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
                    f"with different regularizers, {others} and {words}, and Keras "
                    "uses only one; give both layers the same regularizer."
                )


def refuse_groups(model: Any) -> None:
    """Raise if a penalty's named `group` does not exist in its weight.

    Raises:
        ParameterError: there is such a penalty.
    """
    for weight in walk(model):
        bound(unhandled(getattr(weight.variable, "regularizer", None)), weight)


def refuse_tensor_steps(variables: Iterable[keras.Variable], optimizer: Any) -> None:
    """Raise if a penalty needs one step size for all weights.

    Call it for an optimizer with a step size for each weight.

    Raises:
        ParameterError: a variable has such a penalty.
    """
    for variable in variables:
        penalty = penalty_of(unhandled(getattr(variable, "regularizer", None)))
        if penalty is not None and penalty.scalar_step_only:
            raise ParameterError(
                f"Proximal: {variable.path}: {type(penalty).__name__} needs one step "
                f"size for all weights, and {type(optimizer).__name__} has one for "
                "each; use SGD, or metric='euclidean'."
            )
