"""Finds the running training step, model or weight on the call stack."""

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import keras

from kregkit.errors import VersionError


def _losses_of_weights() -> Any:
    """Return the code object in which Keras calls the regularizers of weights.

    Raises:
        VersionError: this Keras has other names there. Without the error, the groups of
            a transposed convolution would be wrong.
    """
    method = getattr(keras.layers.Layer, "_get_regularization_losses", None)
    code = getattr(method, "__code__", None)
    names = {"self", "variable", "v"}
    if code is None or not names <= set(code.co_varnames):
        raise VersionError(
            "kregkit finds the weight of a penalty in Keras's "
            "`Layer._get_regularization_losses`, by its variables self, variable and "
            f"v; Keras {keras.__version__} does not have all of these."
        )
    return code


_LOSSES_OF_WEIGHTS = _losses_of_weights()


class TrainingStep:
    """A running `train_step` of Keras: its model and its gradients."""

    def __init__(self, frame: FrameType) -> None:
        self._frame = frame
        self.model: Any = frame.f_locals["self"]

    @property
    def optimizer(self) -> Any:
        """The optimizer that applies the gradients of this step."""
        return self.model.optimizer

    @property
    def has_own_loss(self) -> bool:
        """Whether the model has a custom `compute_loss`."""
        own: Any = keras.Model
        theirs = type(self.model).compute_loss is not own.compute_loss
        return theirs or "compute_loss" in vars(self.model)

    def took(self, gradients: Sequence[Any]) -> bool:
        """Return whether these are the gradients that the step computed, unchanged."""
        own = self._frame.f_locals.get("gradients") or ()
        return all(any(g is other for other in own) for g in gradients)


def training_step() -> TrainingStep | None:
    """Return the innermost running training step of Keras, or None.

    Such a step computes the loss of `self`, takes its gradient, and passes that to
    `self.optimizer`. A custom `train_step` does not count. Keras calls a regularizer
    with a weight only, so the step is known from the stack alone.
    """
    own: Any = keras.Model
    codes = {own.train_step.__code__}
    if keras.backend.backend() == "jax":  # takes the gradient of another function
        codes.add(own.compute_loss_and_updates.__code__)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in codes:
            return TrainingStep(frame)
        frame = frame.f_back
    return None


def in_apply() -> bool:
    """Return whether the `apply` of an optimizer is running.

    If nobody builds an optimizer before, Keras builds it, with its inner optimizers, in
    its first `apply`, after the gradients were taken.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        own = frame.f_locals.get("self") if frame.f_code.co_name == "apply" else None
        if isinstance(own, keras.optimizers.Optimizer):
            return True
        frame = frame.f_back
    return False


def model_at_work() -> Any:
    """Return the innermost compiled model on the stack, or None.

    A Keras optimizer does not know its model.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_varnames[:1] == ("self",):
            model = frame.f_locals.get("self")
            if isinstance(model, keras.Model) and getattr(model, "optimizer", None):
                return model
        frame = frame.f_back
    return None


def regularized(w: Any) -> tuple[Any, Any] | None:
    """Return the layer and variable for which Keras computes a penalty of `w`, or None.

    Keras calls a regularizer with a tensor only, so its layer is known from the stack
    alone.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _LOSSES_OF_WEIGHTS:
            own = frame.f_locals
            return (own["self"], own["variable"]) if own.get("v") is w else None
        frame = frame.f_back
    return None


def regularizes_activity(regularizer: Any) -> bool:
    """Return whether a layer is calling this regularizer as its activity regularizer.

    Keras calls regularizers of weights and of activities with a tensor only, from a
    method of the layer. That method is two frames above this function.
    """
    frame = sys._getframe(2)
    layer = frame.f_locals.get("self")
    return getattr(layer, "activity_regularizer", None) is regularizer
