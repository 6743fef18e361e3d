"""`Proximal` adds proximal steps to a Keras optimizer, for exact zeros.

A penalty acts by its proximal operator or by its gradient, never by both.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

import keras

from kregkit._keras import in_apply, model_at_work, trained_variables
from kregkit.errors import ModelError, ParameterError, must
from kregkit.numerics import Tensor
from kregkit.optimizers._first_step import without_penalties
from kregkit.optimizers._gradients import whole
from kregkit.optimizers._penalties import (
    penalty_of,
    refuse_conflicts,
    refuse_groups,
    refuse_tensor_steps,
)
from kregkit.optimizers._schedule import ProximalSchedule
from kregkit.optimizers._steps import has_after_update, innermost, kind
from kregkit.regularizers import Penalty
from kregkit.regularizers._handled import ProximalPenalty
from kregkit.weights import bind

METRICS: Final = ("optimizer", "euclidean")

_SETTINGS: Final = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    "_model_variables_moving_average",
)
"""The settings of all Keras optimizers, which are read from the inner optimizer."""


@keras.saving.register_keras_serializable("kregkit")
class Proximal(keras.optimizers.Optimizer):
    """A Keras optimizer that applies penalties by their proximal operators.

    After each update of a weight `w` by the inner optimizer, it sets
    `w = penalty.prox(w, step·strength)`, the minimum of `Σᵢ (uᵢ − wᵢ)²/(2·stepᵢ) +
    strength·value(u)`. `step` is the inner optimizer's step size for each weight (Yun,
    Lozano and Yang 2021, arXiv:2007.07484). The result has exact zeros. From `build` to
    `release`, the penalty is part of the loss but its gradient does not reach the
    weights, wherever the loss is computed.

    Proximal handles this package's penalties that have a proximal operator, and Keras's
    `L1`, `L2` and `L1L2`, on any trainable variable. Other regularizers and activity
    penalties act by their gradients. You can compile the model with another optimizer
    later, which then trains as usual; any other training by another optimizer raises an
    error until `release`.

    A custom training loop must call `build` before its first step. It can use
    `model.losses`, or call this package's penalties with the variable. If it calls a
    regularizer of Keras itself, that regularizer keeps its gradient.

    Constraints are applied after the proximal step. Skipped updates (during gradient
    accumulation, or after a loss scale overflow) have no proximal step. Moving averages
    use the weights after the proximal step; an average over zeros and other values is
    not zero.

    Args:
        inner_optimizer: a Keras optimizer that is not built yet, or its name: SGD,
            Adam, AdamW, Nadam, RMSprop, Adagrad, Adadelta or Adamax, or a
            `LossScaleOptimizer` around one. Set learning rate and clipping there.
        metric: "optimizer", or "euclidean" for the amount `learning_rate·strength`,
            with any optimizer. With momentum or adaptive step sizes, "euclidean" solves
            another problem: with Adam and L1 on the diabetes data, no coefficient was
            zero where 4 of 10 should be.

    Raises:
        ParameterError: `inner_optimizer` is no optimizer, contains a `Proximal`, or is
            built; `metric` is unknown. Later: a custom loop takes its first step before
            `build`; a penalty needs one step size for all weights, and the optimizer
            has one for each; a penalty's named `group` does not exist in its layer.
        ModelError: with metric "optimizer", the optimizer's step size is not known.
            Later: layers share a weight with different regularizers (not checked in
            custom loops).
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer | str,
        metric: str = "optimizer",
        name: str = "proximal",
    ) -> None:
        if isinstance(inner_optimizer, str):
            inner_optimizer = _named(inner_optimizer)
        core = innermost(inner_optimizer)
        if not isinstance(core, keras.optimizers.Optimizer):
            rule = "a Keras optimizer, or the name of one"
            raise ParameterError(
                must("Proximal", "inner_optimizer", rule, inner_optimizer)
            )
        if metric not in METRICS:
            rule = f"one of {', '.join(map(repr, METRICS))}"
            raise ParameterError(must("Proximal", "metric", rule, metric))
        if isinstance(inner_optimizer, Proximal) or has_after_update(core):
            raise ParameterError(
                "Proximal: `inner_optimizer` already has a proximal step; give each "
                "Proximal a separate optimizer."
            )
        if core.built:
            rule = "an optimizer that is not built yet"
            raise ParameterError(
                must("Proximal", "inner_optimizer", rule, inner_optimizer)
            )
        if metric == "optimizer":
            kind(core)
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.metric = metric
        # A plain attribute, so that Keras does not track the model's weights as the
        # optimizer's variables.
        self.__dict__["_trainable_variables"] = []
        for setting in _SETTINGS:  # `__getattr__` reads them from the inner optimizer
            self.__dict__.pop(setting, None)
        self.phases = ProximalSchedule(core, metric)
        self._late: dict[int, Penalty] = {}

    def __getattr__(self, name: str) -> Any:
        if name in _SETTINGS and "inner_optimizer" in self.__dict__:
            return getattr(self._core, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTINGS and "inner_optimizer" in self.__dict__:
            setattr(self._core, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def _core(self) -> Any:
        return innermost(self.__dict__["inner_optimizer"])

    @property
    def variables(self) -> list[keras.Variable]:
        return list(self.inner_optimizer.variables)

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> Any:
        return self.inner_optimizer.iterations

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Handle the penalties of these variables; call it again after a `release`."""
        if not self.built:
            self._build(variables)
        for held in self.phases.handled.values():
            held.claim(self)

    def _build(self, variables: Sequence[keras.Variable]) -> None:
        if (model := model_at_work()) is not None:
            refuse_conflicts(model)
            refuse_groups(model)
            bind(model)
        if not self.phases.one_step:
            refuse_tensor_steps(variables, self._core)
        self.inner_optimizer.build(variables)
        self.phases.build()
        trained_variables(self).extend(variables)
        self.built: bool = True
        late = in_apply()
        for index, variable in enumerate(variables):
            regularizer = getattr(variable, "regularizer", None)
            if isinstance(regularizer, ProximalPenalty):
                held = regularizer
            else:
                penalty = penalty_of(regularizer)
                if penalty is None:
                    continue
                held = ProximalPenalty(penalty, variable)
                variable.regularizer = held
            self.phases.handled[index] = held
            if late and held.has_gradient() and self.replaces(held.penalty):
                self._late[index] = held.bound
        if not any(own.proximal for own in self.phases.penalties.values()):
            warnings.warn(
                "Proximal: no trainable variable has a penalty with a proximal "
                "operator; it acts like its inner optimizer.",
                stacklevel=3,
            )

    def release(self) -> None:
        """Restore the gradients of the penalties, for another optimizer.

        From `build` on, the penalties of its variables have no gradient, wherever the
        loss is computed. The first update by an optimizer that is no Proximal raises an
        error, except in Keras's own training steps, where the optimizer is known. Call
        `build` to handle the penalties again. A compiled step does not change.
        """
        for held in self.phases.handled.values():
            held.release(self)

    def replaces(self, penalty: Penalty) -> bool:
        """Return whether proximal steps now replace the gradient of a penalty."""
        return self.phases.replaces(penalty)

    def apply(
        self,
        grads: Sequence[Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        if not self.built:
            trainable_variables = list(trainable_variables or ())
            with keras.name_scope(self.name):
                self.build(trainable_variables)
        if self._late:
            late, self._late = self._late, {}
            grads = without_penalties(self, grads, trained_variables(self), late)
        grads = whole(self, grads, trainable_variables)
        with self._updating():
            self.inner_optimizer.apply(grads, trainable_variables)

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Tensor],
        grads: Sequence[Tensor],
        trainable_variables: Sequence[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        # The stateless form of a `LossScaleOptimizer` differs from its `apply`.
        with self._updating():
            weights, state = self.inner_optimizer.stateless_apply(
                optimizer_variables, grads, trainable_variables
            )
        return weights, state

    @contextlib.contextmanager
    def _updating(self) -> Iterator[None]:
        """Allow the updates inside, which raise for other optimizers.

        Raises:
            ModelError: a penalty has its gradient, after a `release`.
        """
        with contextlib.ExitStack() as stack:
            for held in self.phases.handled.values():
                if not held.claimed_by(self):
                    raise ModelError(
                        f"Proximal: {held.path} was released, so its penalty has a "
                        "gradient; call `build(trainable_variables)` before you train "
                        "with this Proximal again."
                    )
                stack.enter_context(held.updated_by_owner())
            yield

    def scale_loss(self, loss: Tensor) -> Tensor:
        return self.inner_optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def save_own_variables(self, store: Any) -> None:
        """Save nothing: Keras saves the inner optimizer's variables itself."""

    def load_own_variables(self, store: Any) -> None:
        """Load nothing."""

    def exclude_from_weight_decay(self, **kwargs: Any) -> None:
        self._core.exclude_from_weight_decay(**kwargs)

    def get_config(self) -> dict[str, Any]:
        inner = keras.saving.serialize_keras_object(self.inner_optimizer)
        return {"inner_optimizer": inner, "metric": self.metric, "name": self.name}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        inner = keras.saving.deserialize_keras_object(
            config["inner_optimizer"], custom_objects=custom_objects
        )
        return cls(**(config | {"inner_optimizer": inner}))


def _named(name: str) -> Any:
    """Return the Keras optimizer with this name, or the name if there is none."""
    try:
        return keras.optimizers.get(name)
    except ValueError:  # `Proximal` then raises the message for any wrong value
        return name
