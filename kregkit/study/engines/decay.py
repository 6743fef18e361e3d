"""Decoupled weight decay of both engines: `w ← w − learning rate·strength·w`.

The optimizer applies it in each step, like `weight_decay` of Keras's optimizers, but
only to the kernels that a trial names. It is not part of the loss.
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
    """Make an optimizer decay the weights of a trial; return the strength variable."""
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
        model: a model with the structure of all trials.
        mixed: all trials that may be in a batch.
    """

    def __init__(self, model: keras.Model, mixed: Sequence[Trial]) -> None:
        named = {str(trial.layers) for trial in mixed if trial.decay}
        held = {
            layers: {id(weight) for weight in _decayed(model, layers)}
            for layers in named
        }
        self._layers = [  # for each weight, the `layers` that select it
            {layers for layers in named if id(weight) in held[layers]}
            for weight in model.trainable_variables
        ]

    def __call__(self, trials: Sequence[Trial]) -> list[Tensor | None]:
        """Return a strength for each trial, or None for a weight without decay."""
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
