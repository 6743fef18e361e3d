"""What only the inside of Keras can tell, one function for each question.

Each says why there is no public way. Tests of these functions fail where a later Keras
has renamed what they read.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import keras
from keras.src import backend


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


def add_step_variables(model: Any, shape: tuple[int, ...], *names: str) -> list[Any]:
    """Return new variables that every training and test step of a model carries along.

    On JAX a step returns only the state that Keras hands to it. `Metric.add_variable`
    is public, but `model.metrics` does not say which of its metrics is Keras's own mean
    of the loss. That one resets its two own variables by name, so that these stay.
    """
    add = model._loss_tracker.add_variable
    return [add(shape, "zeros", name=name) for name in names]


def remove_step_variables(model: Any, variables: list[Any]) -> None:
    """Remove what `add_step_variables` added; Keras has no public way to do this."""
    for metric in model.metrics:
        for variable in variables:
            metric._tracker.untrack(variable)


def seen_rows(model: Any) -> float:
    """Return the number of rows in Keras's mean of the loss, since its last reset."""
    return float(model._loss_tracker.count)


def reported(model: Any) -> Callable[..., dict[str, Any]]:
    """Return what `fit` calls for the logs of an epoch, before any callback sees them.

    `get_metrics_result` is public, but `fit` keeps it only where its keys are those of
    the last step, and others call it too.
    """
    return model._get_metrics_result_or_logs  # type: ignore[no-any-return]  # untyped


def replace_reported(model: Any, function: Callable[..., dict[str, Any]]) -> None:
    """Replace what `reported` returns, on this model alone; `restore` undoes it."""
    reported(model)  # raises where a version of Keras has no such name
    model._get_metrics_result_or_logs = function


def restore_reported(model: Any) -> None:
    """Undo `replace_reported`."""
    del model._get_metrics_result_or_logs


def is_validation(arguments: dict[str, Any]) -> bool:
    """Return whether `evaluate` was called by `fit`, which tells it by an argument."""
    return bool(arguments.get("_use_cached_eval_dataset"))


def synchronize(model: Any) -> None:
    """Give the variables the values of the step before: on JAX `fit` holds those.

    `jax_state_sync` is a public method that other backends have not.
    """
    synchronize = getattr(model, "jax_state_sync", None)
    if synchronize is not None:
        synchronize()


def compiled_loss(model: Any) -> Any:
    """Return Keras's loss over all outputs, or None.

    `model.loss` is public, but it is what `compile` was given, before Keras has made
    one loss for each output of it.
    """
    return getattr(model, "_compile_loss", None)


def parts(model: Any) -> list[Any]:
    """Return the losses of the outputs, with their paths, weights and names."""
    return list(compiled_loss(model)._flat_losses)


@contextlib.contextmanager
def watched_parts(model: Any, watch: Callable[[Any], Any]) -> Iterator[None]:
    """Let `watch(part)` take the place of the loss of each of the `parts`."""
    held = compiled_loss(model)._flat_losses
    watched = [part._replace(loss=watch(part)) for part in held]
    compiled_loss(model)._flat_losses = watched
    try:
        yield
    finally:
        compiled_loss(model)._flat_losses = held


def mask_of(outputs: Any) -> Any:
    """Return the mask that Keras has attached to a tensor; layers alone are told."""
    return backend.get_keras_mask(outputs)
