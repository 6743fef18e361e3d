"""A layer that penalises the output of the layer before it, with a chosen reduction.

Unlike an `activity_regularizer`, it does not depend on Keras's division by the batch
size, and it can respect a mask.
"""

from typing import Any

import keras
from keras import ops

from kregkit import regularizers
from kregkit.errors import ParameterError, must
from kregkit.known import REDUCTION
from kregkit.numerics import Tensor, accumulable
from kregkit.regularizers import Penalty
from kregkit.regularizers._parameters import word


@keras.saving.register_keras_serializable("kregkit")
class ActivityRegularization(keras.layers.Layer):
    """Returns its input `h`, and adds `strength·value(h)` to the loss, reduced.

    Keras divides an `activity_regularizer` by the batch size only: with ten times the
    time steps or pixels it is ten times as strong, and padding counts. This layer has a
    choice of reductions:

    | reduction | added to the loss |
    |---|---|
    | "sample" | `strength·value(h)/n`, for n samples, as an `activity_regularizer` |
    | "sum" | `strength·value(h)` |
    | "mean" | `strength·value(h)/size(h)`: the mean over all outputs |
    | "masked" | the mean over the outputs that the input's mask keeps |

    With several devices, each device reduces its part of the batch, and Keras averages
    the results. "masked" needs a value that is a sum over outputs, in which a zero
    output adds nothing: a `maskable` penalty. A regularizer that is no `Penalty` is
    assumed to be such a sum.

    Args:
        regularizer: a penalty, its name, its serialized form, or a Keras regularizer.
        reduction: one of the table.

    Raises:
        ParameterError: an unknown reduction, no regularizer, or one that is not
            `maskable` with "masked"; when called, "masked" without an input mask.
    """

    def __init__(
        self, regularizer: Any, reduction: str = "sample", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        word(owner, "reduction", reduction, REDUCTION)
        if not isinstance(regularizer, keras.regularizers.Regularizer):
            regularizer = regularizers.get(regularizer)
        if regularizer is None:
            raise ParameterError(must(owner, "regularizer", "a regularizer", None))
        whole = isinstance(regularizer, Penalty) and not regularizer.maskable
        if reduction == "masked" and whole:
            names = [own.__name__ for own in regularizers.classes() if own.maskable]
            rule = f"{', '.join(names)}, for the reduction 'masked'"
            raise ParameterError(must(owner, "regularizer", rule, regularizer))
        self.regularizer, self.reduction = regularizer, reduction
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the inputs."""
        if self.reduced is not None:  # None while a callback leaves penalties out
            self.add_loss(self.reduced(inputs, mask))
        return inputs

    def reduced(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the reduced penalty of `(n, ...)`; a mask covers its first axes."""
        h = accumulable(h)
        if self.reduction == "masked":
            if mask is None:
                rule = "given with the input, for the reduction 'masked'"
                raise ParameterError(must(type(self).__name__, "mask", rule, mask))
            axes = tuple(range(len(mask.shape), len(h.shape)))
            h = ops.where(ops.expand_dims(mask, axes), h, ops.zeros_like(h))
        value = ops.sum(self.regularizer(h))
        if self.reduction == "sum":
            return value
        count = ops.shape(h)[0] if self.reduction == "sample" else ops.size(h)
        count = ops.cast(count, value.dtype)
        if self.reduction == "masked":
            count *= ops.mean(ops.cast(mask, value.dtype))
        return ops.divide_no_nan(value, count)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the serialized regularizer and the reduction."""
        serialized = keras.regularizers.serialize(self.regularizer)
        own = {"regularizer": serialized, "reduction": self.reduction}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ActivityRegularization":
        """Return the layer that a config describes."""
        regularizer = keras.regularizers.deserialize(config["regularizer"])
        return cls(**{**config, "regularizer": regularizer})
