"""`Consolidate`: from zeros that come and go to a pattern that stays.

A weight is zero by the proximal step or by one threshold for all of them,
and once healing has begun it stays zero.
"""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit.errors import ModelError, ParameterError, must
from kregkit.optimizers import Proximal
from kregkit.optimizers._schedule import ProximalSchedule
from kregkit.schema import NEAR_ZERO


class Consolidate(keras.callbacks.Callback):
    """Ends a `fit` with weights that are either exactly zero or free of their penalty.

    With mini-batches the weights near zero go in and out of it for ever: what a
    proximal step does to one of them hangs on a gradient that is mostly noise. So
    training has phases, for every weight whose penalty `makes_zeros`. Other weights
    train as ever: `L2` makes none, nor does `NuclearNorm`, which makes a rank.

    1. warm-up: no proximal step is taken;
    2. sparsify: they are taken, with strengths that rise as `(epochs/ramp)³` where
       there is a ramp;
    3. average: where a penalty is known to be convex, dual averaging takes their place.
       A weight is zero where the mean of all gradients since is below the strength:
       the pattern settles, and has more zeros (Xiao 2010, JMLR 11; Lee and Wright
       2012, JMLR 13);
    4. heal: weights with `|w| <= below`, or all but the largest share `density`, are
       set to zero. Zeros stay there, and the others train on without a penalty, which
       takes its shrinkage back.

    Phases are epochs of one `fit`, and what `average`, `heal` and `warm_up` leave is
    for sparsifying. The loss and its penalties are logged at full strength in all of
    them. Penalties without a proximal operator act by their gradients until healing
    begins. Weight decay and constraints inside the optimizer do not reach averages.

    A `fit` that was interrupted and goes on by Keras's `BackupAndRestore` ends as one
    that was not.

    At the end the optimizer is as it was: another `fit` has the penalties again. After
    a `fit` that was interrupted, call `detach`, or train with a `Consolidate` again. A
    callback that restores the best weights must not look at epochs before healing.

    Args:
        average: how many epochs there are of dual averaging.
        heal: how many of the last epochs are for healing.
        warm_up: how many of the first epochs have no penalty.
        ramp: how many of the epochs that sparsify have smaller strengths.
        below: what is near enough to zero.
        density: the share of the weights, of all layers together, that may stay; where
            the training has left fewer than that, those stay. Instead of `below`.

    Raises:
        ParameterError: a number outside its range; in `fit`, phases longer than its
            epochs, an optimizer that is not `Proximal`, or no weight with such a
            penalty.
        ModelError: in `fit`, for a model that is not built, or averages on more than
            one replica.

    Warns:
        UserWarning: `fit` ended before healing began, or goes on in a phase in which
            its optimizer was not saved.
    """

    def __init__(
        self,
        average: int,
        heal: int,
        warm_up: int = 0,
        ramp: int = 0,
        below: float = NEAR_ZERO,
        density: float | None = None,
    ) -> None:
        super().__init__()
        self._phase: str | None = None
        epochs = {"average": average, "heal": heal, "warm_up": warm_up, "ramp": ramp}
        for name, value in epochs.items():
            low = int(name == "heal")
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                rule = f"a whole number of epochs >= {low}"
                raise ParameterError(must("Consolidate", name, rule, value))
        if not _is_number(below) or not 0.0 <= below < float("inf"):
            raise ParameterError(must("Consolidate", "below", "a number >= 0", below))
        if density is not None and not (_is_number(density) and 0.0 < density <= 1.0):
            rule = "a share of the weights, 0 < density <= 1"
            raise ParameterError(must("Consolidate", "density", rule, density))
        self.average = average
        self.heal = heal
        self.warm_up = warm_up
        self.ramp = ramp
        self.below = below
        self.density = density

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        epochs, name = self.params["epochs"], self.model.name
        self._healing_from = epochs - self.heal
        self._averaging_from = self._healing_from - self.average
        if self.warm_up + self.ramp >= self._averaging_from:
            raise ParameterError(
                f"Consolidate: `warm_up`, `ramp`, `average` and `heal` take "
                f"{self.warm_up}, {self.ramp}, {self.average} and {self.heal} epochs; "
                f"{epochs} leave none to sparsify."
            )
        if not self.model.built:
            raise ModelError(
                f"Consolidate: model {name!r} has no weights before its first step. "
                "Begin it with `keras.Input`."
            )
        strategy = getattr(self.model, "distribute_strategy", None)
        if self.average and strategy and strategy.num_replicas_in_sync > 1:
            raise ModelError(
                f"Consolidate: model {name!r} trains on several replicas; `average` "
                "must then be 0."
            )
        optimizer = _proximal(self.model.optimizer)
        if not optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        self._phases = optimizer.phases
        if not self._phases.zeroed():
            raise ParameterError(
                f"Consolidate: no trainable weight of model {name!r} has a penalty "
                f"that makes zeros; has {_kinds(self._phases)}."
            )
        self._begin(None)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch >= self._healing_from:
            self._begin("heal", resumed=epoch > self._healing_from)
        elif epoch >= self._averaging_from:
            self._begin("average", resumed=epoch > self._averaging_from)
        self._phases.forget()
        done = epoch - self.warm_up + 1  # of the epochs that sparsify
        rising = (done / self.ramp) ** 3 if self.ramp else 1.0
        self._phases.factor.assign(min(rising, 1.0) if done > 0 else 0.0)

    def detach(self) -> None:
        """Give the optimizer back as it was, after an interrupted `fit`."""
        self._begin(None)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._phase != "heal":
            warnings.warn(
                "Consolidate: training ended before it began to heal; nothing was set "
                "to zero.",
                stacklevel=2,
            )
        self.detach()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: the phases of a `fit` are the optimizer's."""
        return {**self.__dict__, "_phases": None, "_phase": None}

    def _begin(self, phase: str | None, resumed: bool = False) -> None:
        """Begin a phase, unless it is the present one; None is that of every `fit`.

        A `fit` that is `resumed` in mid-phase has it from the optimizer that was saved.
        """
        if phase is not None and phase == self._phase:
            return
        self._phase = phase
        going_on = phase is not None and resumed and self._phases.resume(phase)
        if phase is not None and resumed and not going_on:
            warnings.warn(
                f"Consolidate: this `fit` goes on after the first epoch of the phase "
                f"{phase!r}, but with an optimizer that was not saved in it; the phase "
                "begins anew.",
                stacklevel=2,
            )
        if going_on:
            pass  # as it was saved
        elif phase == "heal":
            self._phases.freeze(self._below())
        elif phase == "average":
            self._phases.average()
        else:
            self._phases.begin()
        # A step that was traced before knows nothing of it.
        self.model.make_train_function(force=True)

    def _below(self) -> float:
        """Return the largest magnitude that is not to stay."""
        if self.density is None:
            return self.below
        weights = self._phases.zeroed_weights()
        sizes = np.concatenate([ops.convert_to_numpy(w).ravel() for w in weights])
        sizes = np.sort(np.abs(sizes))
        kept = max(round(self.density * sizes.size), 1)
        return float(sizes[-kept - 1]) if kept < sizes.size else 0.0


def _proximal(optimizer: Any) -> Proximal:
    """Return the `Proximal` among an optimizer and those inside it."""
    held = optimizer
    while not isinstance(held, Proximal):
        if not hasattr(held, "inner_optimizer"):
            rule = "a Proximal, in `compile`"
            raise ParameterError(must("Consolidate", "optimizer", rule, optimizer))
        held = held.inner_optimizer
    return held


def _kinds(phases: ProximalSchedule) -> str:
    """Return the penalties that there are, for a message."""
    found = sorted({type(penalty).__name__ for penalty in phases.penalties.values()})
    return ", ".join(found) or "none"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
