"""A layer that adds the penalty of what passes through it, reduced as it is told.

The reduction is this layer's own, so that neither Keras's division by the
batch size nor its silence about masks has a part in it.
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
    """Passes its input `h` on, and adds `strength·value(h)` to the loss, reduced.

    An `activity_regularizer` is divided by the batch size, and by nothing else: with
    ten times the steps or pixels it is ten times as strong, and padding counts. This
    layer, placed after another, says what it divides by:

    | reduction | the loss gains |
    |---|---|
    | "sample" | `strength·value(h)/n`, of n samples: as an `activity_regularizer` |
    | "sum" | `strength·value(h)` |
    | "mean" | `strength·value(h)/size(h)`: a mean of all outputs |
    | "masked" | the mean of the outputs that the mask of the input keeps |

    On several devices each reduces its own part of the batch, and Keras takes the mean
    of them. For "masked" the value must be a sum over outputs, to which an output that
    is set to zero adds nothing, as of a penalty that is `maskable`; a regularizer that
    is no `Penalty` is taken to be so.

    Args:
        regularizer: a penalty, its name, its serialized form, or a Keras regularizer.
        reduction: a word of the table.

    Raises:
        ParameterError: a reduction that is not in the table, no regularizer, one that
            "masked" does not suit; when called, "masked" without a mask of the input.
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
        if self.reduced is not None:  # as it is where a callback leaves penalties out
            self.add_loss(self.reduced(inputs, mask))
        return inputs

    def reduced(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what outputs `(n, ...)` add; a mask is of their first axes."""
        h = accumulable(h)
        if self.reduction == "masked":
            if mask is None:
                rule = "that of the input, for the reduction 'masked'"
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
        """Return the regularizer, serialized, and the reduction."""
        serialized = keras.regularizers.serialize(self.regularizer)
        own = {"regularizer": serialized, "reduction": self.reduction}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ActivityRegularization":
        """Return the layer of a config."""
        regularizer = keras.regularizers.deserialize(config["regularizer"])
        return cls(**{**config, "regularizer": regularizer})
