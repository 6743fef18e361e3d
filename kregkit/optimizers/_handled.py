"""Penalties whose gradient an optimizer may do without, and when it does.

The one rule: whose proximal step is taken has no gradient, in that training only.
"""

import sys
import weakref
from types import FrameType
from typing import Any

import keras
from keras import ops

from kregkit.errors import ModelError
from kregkit.numerics import Tensor
from kregkit.regularizers import L1, L1L2, L2, Penalty
from kregkit.regularizers._base import placed
from kregkit.weights import Weight, walk, walk_layers, weight_at_work


class Handled(keras.regularizers.Regularizer):
    """The penalty of a variable, where an optimizer may stand in for its gradient.

    Its gradient is zero where the model whose loss it is in trains with one of the
    `optimizers` that replaces it, or has no optimizer at all and somebody's own loop
    does. With any other optimizer it is the penalty as it was.
    """

    def __init__(self, penalty: Penalty, weight: Weight | None) -> None:
        self.penalty = penalty
        self._weight = weight
        self.optimizers: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def placed(self) -> Penalty:
        """The penalty of the weight, as its layer has it, once that is known."""
        return self.penalty.placed(self._weight)

    def __call__(self, w: Tensor) -> Tensor:
        self._weight = self._weight or weight_at_work(w)
        value = self.placed(w)
        training = optimizers_in_use()
        handling = set(self.optimizers) & training if training else self.optimizers
        replaced = any(own.phases.replaces(self.penalty) for own in handling)
        return ops.stop_gradient(value) if replaced else value

    def get_config(self) -> dict[str, Any]:
        return self.penalty.get_config()


def unhandled(regularizer: Any) -> Any:
    """Return a variable's regularizer as it was before an optimizer handled it."""
    return regularizer.penalty if isinstance(regularizer, Handled) else regularizer


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


def optimizers_in_use() -> set[Any]:
    """Return the optimizers of the model at work, and those inside them.

    A model may hold others than the one that it was compiled with, and train by them.
    """
    model = model_in_use()
    held = () if model is None else vars(model).values()
    found = {own for own in held if isinstance(own, keras.optimizers.Optimizer)}
    for optimizer in list(found):
        while hasattr(optimizer, "inner_optimizer"):
            optimizer = optimizer.inner_optimizer
            found.add(optimizer)
    return found


def model_in_use() -> Any:
    """Return the compiled model at work, the innermost, or None.

    Keras calls a regularizer with a weight and nothing else, and tells an optimizer
    nothing of its model: only the stack knows both.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_varnames[:1] == ("self",):
            model = frame.f_locals.get("self")
            if isinstance(model, keras.Model) and getattr(model, "optimizer", None):
                return model
        frame = frame.f_back
    return None


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
        placed(unhandled(getattr(weight.variable, "regularizer", None)), weight)
