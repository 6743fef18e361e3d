"""Proximal: any Keras optimizer, with the proximal step in its own metric.

A penalty acts by its proximal step or by its gradient, never by both.
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
"""What every Keras optimizer has; here they are the inner optimizer's."""


@keras.saving.register_keras_serializable("kregkit")
class Proximal(keras.optimizers.Optimizer):
    """A Keras optimizer whose penalties act by their proximal operators.

    After every update of a weight `w` by the inner optimizer it sets
    `w = penalty.prox(w, step·strength)`, the minimum of `Σᵢ (uᵢ − wᵢ)²/(2·stepᵢ) +
    strength·value(u)`, where `step` is what the inner optimizer moves each weight by
    for a gradient of one (Yun, Lozano and Yang 2021, arXiv:2007.07484). Weights that a
    penalty puts at zero are exactly zero. The penalty stays in the loss, and its
    gradient does not reach the weights, from `build` on and wherever the loss is
    computed, until `release`.

    Handled are the penalties of this package that have a proximal operator, and
    Keras's own `L1`, `L2` and `L1L2`, on any trainable variable; other regularizers
    and activity penalties act by their gradients, as ever. A model that is compiled
    with another optimizer later trains as if this one had never been; any other
    training by another optimizer is refused until `release`. A loop of your own calls
    `build` before its first step. It computes penalties by `model.losses`, or calls
    those of this package with the variable; a regularizer of Keras's that it calls by
    itself is a further term of its loss.

    Constraints are applied after the proximal step. Updates that are skipped (between
    gradient accumulations, or where a loss scale overflows) have none. Moving averages
    of weights are of those after the proximal step; a mean of zeros and others is not
    zero.

    Args:
        inner_optimizer: an optimizer of Keras that is not in use yet, or its name: SGD,
            Adam, AdamW, Nadam, RMSprop, Adagrad, Adadelta or Adamax, or a
            `LossScaleOptimizer` around one. Learning rate, clipping and so on are its.
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
        """Take over the penalties of these variables, again after a `release`."""
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
                "operator; it does what its inner optimizer does.",
                stacklevel=3,
            )

    def release(self) -> None:
        """Let the penalties have their gradients again, for another optimizer.

        A Proximal handles the penalties of its variables from `build` on, wherever
        their loss is computed: they have no gradient then, and an optimizer that is no
        Proximal is refused at its first update (Keras's own training steps, whose
        optimizer is known, excepted). `build` takes them over again. A step that was
        compiled before keeps what it was compiled with.
        """
        for held in self.phases.handled.values():
            held.release(self)

    def replaces(self, penalty: Penalty) -> bool:
        """Return whether its steps stand for the gradient of a penalty at present."""
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
        # The inner optimizer's own: one that scales losses has a form without side
        # effects, and its `apply` is not it.
        with self._updating():
            weights, state = self.inner_optimizer.stateless_apply(
                optimizer_variables, grads, trainable_variables
            )
        return weights, state

    @contextlib.contextmanager
    def _updating(self) -> Iterator[None]:
        """Update the weights, which other optimizers may not.

        Raises:
            ModelError: a penalty has had its gradient, after a `release`.
        """
        with contextlib.ExitStack() as stack:
            for held in self.phases.handled.values():
                if not held.claimed_by(self):
                    raise ModelError(
                        f"Proximal: {held.path}: was released, so that its penalty "
                        "has a gradient too; call `build(trainable_variables)` before "
                        "you train with it again."
                    )
                stack.enter_context(held.updated_by_owner())
            yield

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


def _named(name: str) -> Any:
    """Return the optimizer that Keras has under a name, or the name."""
    try:
        return keras.optimizers.get(name)
    except ValueError:  # refused with the words for any other value
        return name
