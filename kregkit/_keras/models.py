"""What models do not tell in public: their losses, logs and steps."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src import backend


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


def aggregated(model: Any, loss: Any) -> Any:
    """Return an additional loss as Keras adds it to the total, on several replicas.

    `compute_loss` is public, and adds the sum of all of them.
    """
    return model._aggregate_additional_loss(loss)
