"""What only the call stack tells: which step, model or weight is at work now."""

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import keras

from kregkit.errors import VersionError


def _losses_of_weights() -> Any:
    """Return the code in which Keras calls the regularizers of weights.

    Raises:
        VersionError: a version of Keras that has other names there. It must not pass
            in silence: the groups of a transposed convolution would be wrong.
    """
    method = getattr(keras.layers.Layer, "_get_regularization_losses", None)
    code = getattr(method, "__code__", None)
    names = {"self", "variable", "v"}
    if code is None or not names <= set(code.co_varnames):
        raise VersionError(
            "kregkit reads which weight a penalty is computed of in Keras's "
            "`Layer._get_regularization_losses`, from its variables self, variable and "
            f"v; Keras {keras.__version__} has not all of these."
        )
    return code


_LOSSES_OF_WEIGHTS = _losses_of_weights()


class TrainingStep:
    """A `train_step` of Keras's own that is at work: its model and its gradients."""

    def __init__(self, frame: FrameType) -> None:
        self._frame = frame
        self.model: Any = frame.f_locals["self"]

    @property
    def optimizer(self) -> Any:
        """The optimizer that applies the gradients of this step."""
        return self.model.optimizer

    @property
    def has_own_loss(self) -> bool:
        """Whether the loss is computed in another way than Keras's own."""
        own: Any = keras.Model
        theirs = type(self.model).compute_loss is not own.compute_loss
        return theirs or "compute_loss" in vars(self.model)

    def took(self, gradients: Sequence[Any]) -> bool:
        """Return whether these are the very gradients that the step computed."""
        own = self._frame.f_locals.get("gradients") or ()
        return all(any(g is other for other in own) for g in gradients)


def training_step() -> TrainingStep | None:
    """Return the training step of Keras's own that is at work, the innermost, or None.

    Such a step computes the loss of `self`, takes its gradient, and hands that to
    `self.optimizer`. A step that is somebody else's code is not one, even in a model.
    Keras calls a regularizer with a weight and nothing else: only the stack tells which
    step it belongs to.
    """
    own: Any = keras.Model
    codes = {own.train_step.__code__}
    if keras.backend.backend() == "jax":  # takes its gradient of another function
        codes.add(own.compute_loss_and_updates.__code__)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in codes:
            return TrainingStep(frame)
        frame = frame.f_back
    return None


def in_apply() -> bool:
    """Return whether an optimizer is at work on gradients that it was given.

    Keras builds an optimizer, and those inside it, in its first `apply` where nobody
    did before: after the gradients were taken.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        own = frame.f_locals.get("self") if frame.f_code.co_name == "apply" else None
        if isinstance(own, keras.optimizers.Optimizer):
            return True
        frame = frame.f_back
    return False


def model_at_work() -> Any:
    """Return the compiled model that called what runs now, the innermost, or None.

    Keras tells an optimizer nothing of its model: only the stack knows both.
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
    """Return the layer and the variable whose penalty Keras computes of `w`, or None.

    Keras calls a regularizer with a tensor and nothing else. Without a variable that
    names it, the layer that the tensor belongs to is known to the stack alone.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _LOSSES_OF_WEIGHTS:
            own = frame.f_locals
            return (own["self"], own["variable"]) if own.get("v") is w else None
        frame = frame.f_back
    return None


def regularizes_activity(regularizer: Any) -> bool:
    """Return whether a layer computes the penalty of its output by this regularizer.

    Keras calls it from a method of the layer, as it does with those of weights: the
    regularizer is told neither. Its caller is two frames above this one.
    """
    frame = sys._getframe(2)
    layer = frame.f_locals.get("self")
    return getattr(layer, "activity_regularizer", None) is regularizer
