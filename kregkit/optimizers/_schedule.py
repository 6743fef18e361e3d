"""The proximal steps of `Proximal`, in the training phases of `Consolidate`."""

from typing import Any, Final

import keras
import numpy as np
from keras import ops

from kregkit._keras import averages, track, trained_variables, untrack
from kregkit.numerics import Tensor
from kregkit.optimizers._steps import after_update, kind, step_size
from kregkit.regularizers import Penalty
from kregkit.regularizers._handled import ProximalPenalty

_PHASES: Final = ("average", "heal")
_PHASE: Final = "phase"
_PAIR: Final = ("point", "steps")
"""The keys of a saved phase; the keys of the optimizer's variables are numbers."""


class ProximalSchedule:
    """Applies proximal operators after an optimizer's updates, according to a phase.

    Without a phase, each penalty with a proximal operator applies it after every
    update. The phases "average" and "heal" change this for penalties that make zeros.
    Trace the training step again when a phase begins.

    Attributes:
        handled: the penalties by the index of their weight.
        factor: a variable that multiplies the strengths of penalties that make zeros.
        frozen: True in phase "heal": weights at zero stay zero, and penalties that make
            zeros have no effect.
    """

    factor: keras.Variable

    def __init__(self, optimizer: Any, metric: str) -> None:
        self.handled: dict[int, ProximalPenalty] = {}
        self.frozen = False
        self._resumable: tuple[str, dict[str, Any]] | None = None
        self._optimizer = optimizer
        self._metric = metric
        self._averaged: dict[int, tuple[keras.Variable, keras.Variable]] = {}
        after_update(optimizer, self._point, self._kept)
        self._save = optimizer.save_own_variables
        self._load = optimizer.load_own_variables
        optimizer.save_own_variables = self._saved
        optimizer.load_own_variables = self._loaded

    def _saved(self, store: Any) -> None:
        """Save the optimizer's variables, and the phase with its averages."""
        dropped = self._drop_averages()
        try:
            self._save(store)
        finally:
            for variable in dropped:
                track(self._optimizer, variable)
        if self.phase is not None:
            store[_PHASE] = np.array(_PHASES.index(self.phase))
        for index, pair in self._averaged.items():
            for name, variable in zip(_PAIR, pair, strict=True):
                store[f"{name}_{index}"] = ops.convert_to_numpy(variable)

    def _loaded(self, store: Any) -> None:
        """Load the optimizer's variables; `resume` restores the phase."""
        arrays = {key: store[key] for key in store.keys()}  # noqa: SIM118 - Keras's own
        own = {key: held for key, held in arrays.items() if key.isdigit()}
        self._load(own)
        phase = arrays.get(_PHASE)
        self._resumable = None if phase is None else (_PHASES[int(phase[()])], arrays)
        if self._optimizer.built:
            self.factor.assign(1.0)

    @property
    def phase(self) -> str | None:
        """The present phase: "average", "heal" or None."""
        if self.frozen:
            return "heal"
        return "average" if self._averaged else None

    def resume(self, phase: str) -> bool:
        """Continue a saved phase; return whether the optimizer was saved in it."""
        if self._resumable is None or self._resumable[0] != phase:
            return False
        _, arrays = self._resumable
        self._stop_averaging()
        self.frozen = phase == "heal"
        for index in () if self.frozen else self.zeroed():
            if f"{_PAIR[0]}_{index}" in arrays:
                pair = [arrays[f"{name}_{index}"][()] for name in _PAIR]
                dtype = trained_variables(self._optimizer)[index].dtype
                point, steps = (ops.convert_to_tensor(own, dtype) for own in pair)
                self._averaged[index] = (self._variable(point), self._variable(steps))
        return True

    def forget(self) -> None:
        """Forget the saved phase."""
        self._resumable = None

    def build(self) -> None:
        # A new variable makes TensorFlow trace the step again. In the first trace, the
        # penalties still have gradients.
        self.factor = self._optimizer.add_variable((), "ones", name="factor")

    @property
    def penalties(self) -> dict[int, Penalty]:
        """The original penalties by the index of their weight."""
        return {index: held.penalty for index, held in self.handled.items()}

    @property
    def one_step(self) -> bool:
        """Whether all elements of a weight have the same step size."""
        own: Any = keras.optimizers.SGD
        return self._metric == "euclidean" or kind(self._optimizer) is own

    def zeroed(self) -> list[int]:
        """Return the indices of the weights with penalties that make zeros."""
        return [index for index, p in self.penalties.items() if p.makes_zeros]

    def zeroed_weights(self) -> list[keras.Variable]:
        """Return the weights with penalties that make zeros."""
        weights = trained_variables(self._optimizer)
        return [weights[index] for index in self.zeroed()]

    def replaces(self, penalty: Penalty) -> bool:
        """Return whether the gradient of a penalty must not reach the weights."""
        return penalty.proximal or self._rests(penalty)

    def begin(self) -> None:
        """End any phase: all penalties act by proximal steps, at full strength."""
        self.factor.assign(1.0)
        self.frozen = False
        self._stop_averaging()

    def average(self) -> None:
        """Begin dual averaging, for weights with a convex penalty that makes zeros.

        From here on `w = prox(w₀ + ΣΔ, Σstep·strength)`, with the optimizer's
        displacements Δ and its step size for each weight; for constant gradients,
        `ΣΔ = −Σstep·g`. A weight is zero if the mean gradient, weighted by step sizes,
        is below the strength (apart from `w₀/Σstep`, which vanishes). The method is
        regularized dual averaging (Xiao 2010, JMLR 11), here with the optimizer's
        momentum and metric. Lee and Wright 2012, JMLR 13, show that its zero pattern
        settles, unlike the pattern of proximal steps.
        """
        self._stop_averaging()
        for index in self.zeroed():
            weight = trained_variables(self._optimizer)[index]
            if self.penalties[index].convex:
                point = self._variable(ops.copy(weight.value))  # JAX donates buffers
                shape = () if self.one_step else weight.shape
                steps = self._variable(ops.zeros(shape, weight.dtype))
                self._averaged[index] = (point, steps)

    def freeze(self, below: float) -> None:
        """Set weights with `|w| <= below` to zero, and keep them there."""
        self._stop_averaging()
        self.frozen = True
        optimizer = self._optimizer
        for index in self.zeroed():
            weight = trained_variables(optimizer)[index]
            gone = ops.abs(weight.value) <= below  # NaN stays
            held = [weight]
            if optimizer.use_ema:
                held.append(averages(optimizer)[index])
            for variable in held:
                value = variable.value
                variable.assign(ops.where(gone, ops.zeros_like(value), value))

    def _variable(self, value: Tensor) -> keras.Variable:
        variable = keras.Variable(value, trainable=False, name="average")
        if keras.backend.backend() == "jax":  # its steps change tracked variables only
            track(self._optimizer, variable)
        return variable

    def _stop_averaging(self) -> None:
        self._drop_averages()
        self._averaged.clear()

    def _drop_averages(self) -> list[keras.Variable]:
        """Remove the averages from the optimizer's variables, and return them."""
        averages = [v for pair in self._averaged.values() for v in pair]
        return untrack(self._optimizer, averages)

    def _rests(self, penalty: Penalty) -> bool:
        return self.frozen and penalty.makes_zeros

    def _kept(self, index: int, weight: Tensor) -> Tensor | None:
        """Return what `_point` needs of a weight from before its update."""
        held = self.handled.get(index)
        if index in self._averaged:
            return ops.copy(weight)  # PyTorch updates it in place
        return weight == 0 if held is not None and self._rests(held.penalty) else None

    def _point(
        self, index: int, weight: Tensor, learning_rate: Tensor, kept: Tensor | None
    ) -> Tensor | None:
        held = self.handled.get(index)
        if held is None:
            return None
        penalty = held.bound
        if self._rests(penalty):
            return ops.where(kept, ops.zeros_like(weight), weight)
        if not penalty.proximal:
            return None
        rate = ops.cast(learning_rate, weight.dtype)
        strength = ops.cast(penalty.strength, weight.dtype)
        if penalty.makes_zeros:
            strength = strength * ops.cast(self.factor, weight.dtype)
        if index not in self._averaged:
            return penalty.prox(weight, self._step(index, rate) * strength)
        point, steps = self._averaged[index]
        moved = point + (weight - kept)
        taken = steps + self._step(index, rate)
        self._optimizer.assign(point, moved)
        self._optimizer.assign(steps, taken)
        return penalty.prox(moved, taken * strength)

    def _step(self, index: int, learning_rate: Tensor) -> Tensor:
        """Return the step size of a weight after an update with this learning rate."""
        if self._metric == "euclidean":
            return learning_rate
        optimizer = self._optimizer
        return step_size(optimizer, index, learning_rate, optimizer.iterations + 1)
