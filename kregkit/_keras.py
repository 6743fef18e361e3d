"""What only the inside of Keras can tell, one function for each question.

Each says why there is no public way. Tests of these functions fail where a later Keras
has renamed what they read.
"""

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import keras


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


def applies_itself(optimizer: Any) -> bool:
    """Return whether an optimizer is Keras's own and hands gradients to no other.

    There is no common interface of the optimizers that hold others.
    """
    own: Any = keras.optimizers
    holders = tuple(
        getattr(own, name)
        for name in ("LossScaleOptimizer", "MultiOptimizer")
        if hasattr(own, name)
    )
    ours = type(optimizer).__module__.startswith("keras.")
    return ours and not isinstance(optimizer, holders)


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


def without_values(build: Callable[[], Any]) -> Any:
    """Return what `build` makes, its variables with shapes and without values.

    A stateless scope defers initial values. It is public; the list of the variables
    that wait for one is not, and the next such scope would give them all a value.
    """
    from keras.src.backend.common import global_state

    waiting = global_state.get_global_attribute(
        "uninitialized_variables", [], set_to_default=True
    )
    before = len(waiting)
    try:
        with keras.StatelessScope(initialize_variables=False):
            return build()
    finally:
        del waiting[before:]


def training_argument(model: Any, training: bool) -> dict[str, bool]:
    """Return `training` as an argument for a call of a model that takes it, else none.

    Keras's own steps ask the same; its public `__call__` refuses what `call` has not.
    """
    return {"training": training} if model._call_has_training_arg else {}
