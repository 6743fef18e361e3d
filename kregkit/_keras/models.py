"""Private parts of Keras models: their losses, logs and steps."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src import backend


def without_values(build: Callable[[], Any]) -> Any:
    """Return the result of `build`, with variables that have shapes but no values.

    The public stateless scope defers initial values. The list of deferred variables is
    private; without its reset, the next such scope would initialize them all.
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
    """Return the keyword `training` for a call of a model, if its `call` takes it.

    Keras's own steps test the same attribute. The public `__call__` raises for
    arguments that `call` does not take.
    """
    return {"training": training} if model._call_has_training_arg else {}


def add_step_variables(model: Any, shape: tuple[int, ...], *names: str) -> list[Any]:
    """Return new variables that are part of the state of training and test steps.

    On JAX a step updates only the state that Keras passes to it. `Metric.add_variable`
    is public, but `model.metrics` does not tell which metric is Keras's mean of the
    loss. That metric resets its two variables by name, so new variables are kept.
    """
    add = model._loss_tracker.add_variable
    return [add(shape, "zeros", name=name) for name in names]


def remove_step_variables(model: Any, variables: list[Any]) -> None:
    """Remove the variables of `add_step_variables`; Keras has no public method."""
    for metric in model.metrics:
        for variable in variables:
            metric._tracker.untrack(variable)


def seen_rows(model: Any) -> float:
    """Return the number of rows in Keras's mean of the loss since its last reset."""
    return float(model._loss_tracker.count)


def reported(model: Any) -> Callable[..., dict[str, Any]]:
    """Return the method that `fit` calls for the logs of an epoch, before callbacks.

    `fit` uses the public `get_metrics_result` only if its keys equal those of the last
    step, and other code calls it too.
    """
    return model._get_metrics_result_or_logs  # type: ignore[no-any-return]  # untyped


def replace_reported(model: Any, function: Callable[..., dict[str, Any]]) -> None:
    """Replace the method `reported` of this model; `restore_reported` undoes it."""
    reported(model)  # raises if this Keras does not have the name
    model._get_metrics_result_or_logs = function


def restore_reported(model: Any) -> None:
    """Undo `replace_reported`."""
    del model._get_metrics_result_or_logs


def is_validation(arguments: dict[str, Any]) -> bool:
    """Return whether `fit` called `evaluate`, which an argument shows."""
    return bool(arguments.get("_use_cached_eval_dataset"))


def synchronize(model: Any) -> None:
    """Assign the values after the last step to the variables; on JAX, `fit` holds them.

    `jax_state_sync` is a public method that other backends do not have.
    """
    synchronize = getattr(model, "jax_state_sync", None)
    if synchronize is not None:
        synchronize()


def compiled_loss(model: Any) -> Any:
    """Return Keras's loss over all outputs, or None.

    The public `model.loss` is the argument of `compile`, not the losses that Keras
    makes from it for each output.
    """
    return getattr(model, "_compile_loss", None)


def parts(model: Any) -> list[Any]:
    """Return the losses of the outputs, with their paths, weights and names."""
    return list(compiled_loss(model)._flat_losses)


@contextlib.contextmanager
def watched_parts(model: Any, watch: Callable[[Any], Any]) -> Iterator[None]:
    """Replace the loss of each of the `parts` by `watch(part)`."""
    held = compiled_loss(model)._flat_losses
    watched = [part._replace(loss=watch(part)) for part in held]
    compiled_loss(model)._flat_losses = watched
    try:
        yield
    finally:
        compiled_loss(model)._flat_losses = held


def mask_of(outputs: Any) -> Any:
    """Return the mask that Keras attached to a tensor; only layers get it publicly."""
    return backend.get_keras_mask(outputs)


def aggregated(model: Any, loss: Any) -> Any:
    """Return an additional loss as Keras adds it to the total, on several replicas.

    The public `compute_loss` adds the sum of all additional losses.
    """
    return model._aggregate_additional_loss(loss)
