"""The step that an optimizer takes for each weight, which a proximal step needs.

The one rule: where the gradient stays `g`, a step of the optimizer moves a weight by
`-step_size·g`. Only then is a point that the optimizer and the proximal step leave as
it is a minimum of the penalised objective.
"""

from typing import Any, Final

import keras
from keras import ops

from kregkit.errors import ModelError
from kregkit.numerics import Tensor

KNOWN: Final = (
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adam,
    keras.optimizers.Adamax,
    keras.optimizers.AdamW,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.SGD,
)
"""The optimizers that treat every element alike, and whose step is known here."""


def step_size(
    optimizer: keras.optimizers.Optimizer, index: int, learning_rate: Tensor
) -> Tensor:
    """Return the step for the weight at `index`, after an update of the optimizer.

    Momentum β multiplies the step by 1/(1-β): a gradient that stays the same acts in
    so many steps. Adam's step is `lr·√(1-β₂ᵗ)/(1-β₁ᵗ)/(√v+ε)` for each element.

    Args:
        optimizer: built; `iterations` counts the update that was just made.
        index: of the weight among those that the optimizer was built with.
        learning_rate: of that update.

    Returns:
        A scalar, or a tensor of the shape of the weight.

    Raises:
        ModelError: an optimizer that is not in `KNOWN`.
    """
    own: Any = optimizer
    dtype = own._trainable_variables[index].dtype
    rate, time = ops.cast(learning_rate, dtype), ops.cast(own.iterations, dtype)
    match type(own):
        case keras.optimizers.SGD:
            return rate / (1.0 - own.momentum)
        case keras.optimizers.RMSprop:
            variance = own._velocities[index] + own.epsilon
            if own.centered:
                variance = variance - ops.square(own._average_gradients[index])
            return rate / ops.sqrt(variance) / (1.0 - own.momentum)
        case keras.optimizers.Adagrad:
            return rate / ops.sqrt(own._accumulators[index] + own.epsilon)
        case keras.optimizers.Adadelta:
            # The step is made of the deltas before this one, which are gone: of the
            # deltas after it, which differ by a factor near 1.
            deltas = own._accumulated_delta_vars[index] + own.epsilon
            return rate * ops.sqrt(
                deltas / (own._accumulated_grads[index] + own.epsilon)
            )
        case keras.optimizers.Adamax:
            return rate / (1.0 - own.beta_1**time) / (own._u[index] + own.epsilon)
        case keras.optimizers.Nadam:
            unbiased = own._velocities[index] / (1.0 - own.beta_2**time)
            return rate / (ops.sqrt(unbiased) + own.epsilon)
        case keras.optimizers.Adam | keras.optimizers.AdamW:
            squares = own._velocity_hats if own.amsgrad else own._velocities
            root = ops.sqrt(squares[index]) + own.epsilon
            scale = ops.sqrt(1.0 - own.beta_2**time) / (1.0 - own.beta_1**time)
            return rate * scale / root
    raise ModelError(
        f"{type(own).__name__}: the step that it takes for each weight is not known; "
        f"known are {', '.join(sorted(kind.__name__ for kind in KNOWN))}."
    )
