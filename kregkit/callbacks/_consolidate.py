"""`Consolidate` ends a training with `Proximal` at a stable pattern of zeros."""

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
    """Ends a `fit` with weights that are exactly zero, or trained without a penalty.

    With mini-batches, weights near zero keep switching between zero and nonzero, since
    the proximal step depends on noisy gradients. Consolidate trains in phases, for
    weights with a penalty that `makes_zeros`. Other weights, such as those with `L2` or
    `NuclearNorm`, train as usual.

    1. warm-up: no proximal steps;
    2. sparsify: proximal steps, with strengths that rise as `(epochs/ramp)³` if there
       is a ramp;
    3. average: dual averaging instead of proximal steps, if a penalty is known to be
       convex. A weight is zero if the mean gradient of this phase is below the
       strength. The pattern settles, and has more zeros (Xiao 2010, JMLR 11; Lee and
       Wright 2012, JMLR 13);
    4. heal: weights with `|w| <= below`, or all but the largest share `density`, are
       set to zero and stay zero. The others train without a penalty, which undoes its
       shrinkage.

    Phases are epochs of one `fit`; the epochs without `average`, `heal` and `warm_up`
    sparsify. Logs show the loss and penalties at full strength in all phases. Penalties
    without a proximal operator act by their gradients until healing begins. The
    averages ignore the optimizer's weight decay and constraints.

    A `fit` that is interrupted and continued by Keras's `BackupAndRestore` ends as an
    uninterrupted one.

    At the end the optimizer is restored, so another `fit` has the penalties again.
    After an interrupted `fit`, call `detach`, or train with a `Consolidate` again. A
    callback that restores the best weights must ignore epochs before healing.

    Args:
        average: the number of epochs of dual averaging.
        heal: the number of epochs of healing, which are the last ones.
        warm_up: the number of first epochs without a penalty.
        ramp: the number of sparsifying epochs with rising strengths.
        below: the largest |w| that healing sets to zero.
        density: instead of `below`, the largest share of weights that stay nonzero,
            over all layers. Weights that are already zero stay zero.

    Raises:
        ParameterError: a number is outside its range; in `fit`, the phases are longer
            than its epochs, the optimizer is not `Proximal`, or no weight has such a
            penalty.
        ModelError: in `fit`, the model is not built, or `average` is used with more
            than one replica.

    Warns:
        UserWarning: `fit` ended before healing began, or continues a phase in which its
            optimizer was not saved.
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
                f"of {epochs} epochs, none is left to sparsify."
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
                f"that makes zeros; penalties: {_kinds(self._phases)}."
            )
        self._begin(None)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch >= self._healing_from:
            self._begin("heal", resumed=epoch > self._healing_from)
        elif epoch >= self._averaging_from:
            self._begin("average", resumed=epoch > self._averaging_from)
        self._phases.forget()
        done = epoch - self.warm_up + 1  # sparsifying epochs, including this one
        rising = (done / self.ramp) ** 3 if self.ramp else 1.0
        self._phases.factor.assign(min(rising, 1.0) if done > 0 else 0.0)

    def detach(self) -> None:
        """Restore the optimizer, after an interrupted `fit`."""
        self._begin(None)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._phase != "heal":
            warnings.warn(
                "Consolidate: training ended before healing began; no weight was set "
                "to zero.",
                stacklevel=2,
            )
        self.detach()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy, without phases, which belong to the optimizer."""
        return {**self.__dict__, "_phases": None, "_phase": None}

    def _begin(self, phase: str | None, resumed: bool = False) -> None:
        """Begin a phase, unless it is the present one; None is the usual training.

        If `fit` is `resumed` within a phase, the saved optimizer restores the phase.
        """
        if phase is not None and phase == self._phase:
            return
        self._phase = phase
        going_on = phase is not None and resumed and self._phases.resume(phase)
        if phase is not None and resumed and not going_on:
            warnings.warn(
                f"Consolidate: this `fit` continues after the first epoch of phase "
                f"{phase!r}, but its optimizer was not saved in that phase; the phase "
                "starts again.",
                stacklevel=2,
            )
        if going_on:
            pass  # restored
        elif phase == "heal":
            self._phases.freeze(self._below())
        elif phase == "average":
            self._phases.average()
        else:
            self._phases.begin()
        # Trace the training step again, for the new phase.
        self.model.make_train_function(force=True)

    def _below(self) -> float:
        """Return the largest magnitude that healing sets to zero."""
        if self.density is None:
            return self.below
        weights = self._phases.zeroed_weights()
        sizes = np.concatenate([ops.convert_to_numpy(w).ravel() for w in weights])
        sizes = np.sort(np.abs(sizes))
        kept = max(round(self.density * sizes.size), 1)
        return float(sizes[-kept - 1]) if kept < sizes.size else 0.0


def _proximal(optimizer: Any) -> Proximal:
    """Return the `Proximal` that an optimizer is or contains."""
    held = optimizer
    while not isinstance(held, Proximal):
        if not hasattr(held, "inner_optimizer"):
            rule = "a Proximal, in `compile`"
            raise ParameterError(must("Consolidate", "optimizer", rule, optimizer))
        held = held.inner_optimizer
    return held


def _kinds(phases: ProximalSchedule) -> str:
    """Return the names of the penalties, for a message."""
    found = sorted({type(penalty).__name__ for penalty in phases.penalties.values()})
    return ", ".join(found) or "none"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
