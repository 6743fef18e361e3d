"""Proximal: any Keras optimizer, with the proximal step in its own metric.

The one rule: a penalty acts by its proximal step or by its gradient, never by both.
"""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import keras

from kregkit.errors import ParameterError, must
from kregkit.numerics import Tensor
from kregkit.optimizers._handled import (
    Handled,
    model_in_use,
    optimizers_in_use,
    penalty_of,
    refuse_conflicts,
    refuse_groups,
    unhandled,
)
from kregkit.optimizers._phases import Phases
from kregkit.optimizers._steps import has_after_update, innermost, kind
from kregkit.regularizers._base import stepping
from kregkit.weights import weight_of

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
"""What every Keras optimizer has; here they are the inner optimizer's."""


@keras.saving.register_keras_serializable("kregkit")
class Proximal(keras.optimizers.Optimizer):
    """A Keras optimizer whose penalties act by their proximal operators.

    After every update of a weight `w` by the inner optimizer it sets
    `w = penalty.prox(w, step·strength)`, the minimum of `Σᵢ (uᵢ − wᵢ)²/(2·stepᵢ) +
    strength·value(u)`, where `step` is what the inner optimizer moves each weight by
    for a gradient of one (Yun, Lozano and Yang 2021, arXiv:2007.07484). Weights that a
    penalty puts at zero are exactly zero. The penalty stays in the loss, and its
    gradient does not reach the weights.

    Handled are the penalties of this package that have a proximal operator, and
    Keras's own `L1`, `L2` and `L1L2`, on any trainable variable; other regularizers
    and activity penalties act by their gradients, as ever. A model that is compiled
    with another optimizer later trains as if this one had never been.

    Constraints are applied after the proximal step. Updates that are skipped (between
    gradient accumulations, or where a loss scale overflows) have none. Moving averages
    of weights are of those after the proximal step; a mean of zeros and others is not
    zero.

    Args:
        inner_optimizer: an optimizer of Keras that is not in use yet: SGD, Adam, AdamW,
            Nadam, RMSprop, Adagrad, Adadelta or Adamax, or a `LossScaleOptimizer`
            around one. Learning rate, clipping and so on are its.
        metric: "optimizer", or "euclidean" for an amount of `learning_rate·strength`
            whatever the optimizer, which any optimizer may have. With momentum or an
            adaptive step that solves another problem: with Adam and L1 on the
            diabetes data no coefficient was zero where 4 of 10 should be.

    Raises:
        ParameterError: `inner_optimizer` is no optimizer, has a `Proximal` inside, or
            is in use; `metric` is another word; later, the first step of a loop that
            did not build the optimizer before, or a penalty whose proximal step takes
            one amount for all weights, with an optimizer that gives each its own step,
            or a word for groups that the layer it is on does not have.
        ModelError: an optimizer whose step is not known, with metric "optimizer";
            later, a model in which layers share a weight under different regularizers
            (a loop of one's own is not looked at).
    """

    solver: ClassVar[str] = "proximal"

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        metric: str = "optimizer",
        name: str = "proximal",
    ) -> None:
        core = innermost(inner_optimizer)
        if not isinstance(core, keras.optimizers.Optimizer):
            rule = "a Keras optimizer"
            raise ParameterError(
                must("Proximal", "inner_optimizer", rule, inner_optimizer)
            )
        if metric not in METRICS:
            rule = f"one of {', '.join(map(repr, METRICS))}"
            raise ParameterError(must("Proximal", "metric", rule, metric))
        if isinstance(inner_optimizer, Proximal) or has_after_update(core):
            raise ParameterError(
                "Proximal: `inner_optimizer` has a proximal step already; give each "
                "Proximal an optimizer of its own."
            )
        if core.built:
            rule = "an optimizer that is not in use yet"
            raise ParameterError(
                must("Proximal", "inner_optimizer", rule, inner_optimizer)
            )
        if metric == "optimizer":
            kind(core)
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.metric = metric
        # Keras would count the model's weights as the optimizer's where it sees them.
        self.__dict__["_trainable_variables"] = []
        for setting in _SETTINGS:  # those of the inner optimizer are found instead
            self.__dict__.pop(setting, None)
        self.phases = Phases(core, metric)

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
        """Take over the penalties of these variables."""
        if self.built:
            return
        if (model := model_in_use()) is not None:
            refuse_conflicts(model)
            refuse_groups(model)
        self._refuse_steps(variables)
        self.inner_optimizer.build(variables)
        self.phases.build()
        self._trainable_variables.extend(variables)
        self.built: bool = True
        for index, variable in enumerate(variables):
            regularizer = getattr(variable, "regularizer", None)
            if isinstance(regularizer, Handled):
                held = regularizer
            else:
                penalty = penalty_of(regularizer)
                if penalty is None:
                    continue
                held = Handled(penalty, model and weight_of(model, variable))
                variable.regularizer = held
            held.optimizers.add(self)
            self.phases.handled[index] = held
        if not any(own.proximal for own in self.phases.penalties.values()):
            warnings.warn(
                "Proximal: no trainable variable has a penalty with a proximal "
                "operator; it does what its inner optimizer does.",
                stacklevel=2,
            )

    def apply(
        self,
        grads: Sequence[Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        if not self.built:
            trainable_variables = list(trainable_variables or ())
            with keras.name_scope(self.name):
                self.build(trainable_variables)
            grads = self._first(grads, trainable_variables)
        self.inner_optimizer.apply(grads, trainable_variables)

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Tensor],
        grads: Sequence[Tensor],
        trainable_variables: Sequence[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        # The inner optimizer's own: one that scales losses has a form without side
        # effects, and its `apply` is not it.
        weights, state = self.inner_optimizer.stateless_apply(
            optimizer_variables, grads, trainable_variables
        )
        return weights, state

    def scale_loss(self, loss: Tensor) -> Tensor:
        return self.inner_optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def save_own_variables(self, store: Any) -> None:
        """Save nothing: all is the inner optimizer's, which Keras saves beside it."""

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

    def _refuse_steps(self, variables: Sequence[keras.Variable]) -> None:
        """Refuse penalties that take one amount, where each weight has its own."""
        for variable in () if self.phases.one_step else variables:
            penalty = penalty_of(unhandled(getattr(variable, "regularizer", None)))
            if penalty is not None and penalty.one_amount:
                raise ParameterError(
                    f"Proximal: {variable.path}: {type(penalty).__name__} has a "
                    "proximal step for weights of one step alone, and "
                    f"{type(self._core).__name__} gives each its own; take SGD, or "
                    "metric='euclidean'."
                )

    def _first(
        self, grads: Sequence[Tensor], variables: Sequence[keras.Variable]
    ) -> Sequence[Tensor]:
        """Return gradients without the penalties', which had them until this step."""
        phases = self.phases
        replaced = {i: p for i, p in phases.penalties.items() if phases.replaces(p)}
        if not replaced:
            return grads
        tensorflow = keras.backend.backend() == "tensorflow"
        if tensorflow and not _executing_eagerly():
            return grads  # of a trace that is thrown away
        if not tensorflow or self not in optimizers_in_use():
            raise ParameterError(
                "Proximal: a loop of your own must call `build(trainable_variables)` "
                "before its first step, so that no penalty has a gradient in it."
            )
        import tensorflow as tf

        found = list(grads)
        for index, penalty in replaced.items():
            with tf.GradientTape() as tape:
                loss = self.scale_loss(penalty(variables[index].value))
            found[index] -= tape.gradient(loss, variables[index].value)
        return found


def _stepping() -> bool:
    return any(isinstance(own, Proximal) for own in optimizers_in_use())


stepping.append(_stepping)


def _executing_eagerly() -> bool:
    import tensorflow as tf

    return bool(tf.executing_eagerly())
