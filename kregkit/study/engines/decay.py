"""Decoupled weight decay: `w ← w − learning rate·strength·w` in every step.

It is the optimizer's, as `weight_decay` of Keras's optimizers is, but of
the kernels that a trial names. No loss has a term for it.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit.numerics import Tensor
from kregkit.study.plan import Trial
from kregkit.study.problem.models import holders


def set_decay(optimizer: Any, model: Any, trial: Trial) -> keras.Variable:
    """Let an optimizer decay the weights of a trial; return the strength, to assign."""
    held = {id(weight) for weight in _decayed(model, str(trial.layers))}
    others = [w for w in model.trainable_variables if id(w) not in held]
    optimizer.exclude_from_weight_decay(var_list=others)
    strength = keras.Variable(
        trial.decay, "float32", trainable=False, autocast=False, name="strength"
    )
    optimizer.weight_decay = strength
    return strength


class Decays:
    """The decay of each trial of a batch, for each trained weight of the model.

    Args:
        model: whose structure all trials have.
        mixed: every trial that may be asked for.
    """

    def __init__(self, model: keras.Model, mixed: Sequence[Trial]) -> None:
        named = {str(trial.layers) for trial in mixed if trial.decay}
        held = {
            layers: {id(weight) for weight in _decayed(model, layers)}
            for layers in named
        }
        self._layers = [  # for each weight, the `layers` that mean it
            {layers for layers in named if id(weight) in held[layers]}
            for weight in model.trainable_variables
        ]

    def __call__(self, trials: Sequence[Trial]) -> list[Tensor | None]:
        """Return a strength for each trial, or None for a weight that none decays."""
        return [
            ops.convert_to_tensor(
                np.array([t.decay * (t.layers in layers) for t in trials], "float32")
            )
            if layers
            else None
            for layers in self._layers
        ]


def _decayed(model: keras.Model, layers: str) -> list[Any]:
    return [variable for variable, _ in holders(model, "kernel", layers).values()]
