"""Words for groups that mean other axes in the kind of layer that they are on."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ParameterError
from kregkit.optimizers import Proximal, refuse_groups
from kregkit.regularizers import GroupLasso, GroupLInf

UNIT, INPUT = GroupLasso(0.1, "unit"), GroupLInf(0.1, "input")
IMAGE = (6, 6, 4)

RIGHT = {
    "Dense": (layers.Dense, (3, 4), INPUT),
    "Conv2D": (lambda **own: layers.Conv2D(2, 3, **own), IMAGE, UNIT),
    "Conv2D, inputs": (lambda **own: layers.Conv2D(2, 3, **own), IMAGE, INPUT),
    "grouped": (lambda **own: layers.Conv2D(2, 3, groups=2, **own), IMAGE, UNIT),
    "LSTM": (layers.LSTM, (5, 3), UNIT),
    "axes": (
        lambda **own: layers.Conv2DTranspose(2, 3, **own),
        IMAGE,
        GroupLasso(0.1, (2,)),
    ),
}
WRONG = {
    "transposed": (
        lambda **own: layers.Conv2DTranspose(2, 3, **own),
        IMAGE,
        UNIT,
        "kernel (Conv2DTranspose): GroupLasso: `group` must be axes, (2,) for 'unit' "
        "of this weight; received 'unit'.",
    ),
    "transposed, inputs": (
        lambda **own: layers.Conv1DTranspose(2, 3, **own),
        (6, 4),
        INPUT,
        "(Conv1DTranspose): GroupLInf: `group` must be axes, (2,) for 'input'",
    ),
    "einsum": (
        lambda **own: layers.EinsumDense(
            "abc,cde->abde", (5, 3, 2), **own, bias_axes=None
        ),
        (5, 4),
        UNIT,
        "(EinsumDense): GroupLasso: `group` must be axes, (1, 2) for 'unit'",
    ),
    "grouped": (
        lambda **own: layers.Conv2D(2, 3, groups=2, **own),
        IMAGE,
        INPUT,
        "GroupLInf: `group` must be axes: this weight has none for 'input'; received",
    ),
}


def model(make, shape, penalty):
    units = {"units": 4} if make in (layers.Dense, layers.LSTM) else {}
    layer = make(kernel_regularizer=penalty, **units)
    own = keras.Sequential([keras.Input(shape), layer, layers.Flatten()])
    own.add(layers.Dense(1))
    return own


@pytest.mark.parametrize("name", RIGHT)
def test_a_word_that_is_right_is_taken(name):
    assert refuse_groups(model(*RIGHT[name])) is None


@pytest.mark.parametrize("name", WRONG)
def test_a_word_that_means_other_axes_is_refused_with_them(name):
    *parts, words = WRONG[name]
    with pytest.raises(ParameterError) as caught:
        refuse_groups(model(*parts))
    assert words in str(caught.value)


def test_a_depthwise_kernel_has_units_of_two_axes():
    layer = layers.DepthwiseConv2D(3, depthwise_regularizer=UNIT)
    own = keras.Sequential([keras.Input(IMAGE), layer])
    with pytest.raises(ParameterError, match=r"axes, \(2, 3\) for 'unit'"):
        refuse_groups(own)


def test_the_heads_of_attention_are_named_by_axes():
    layer = layers.MultiHeadAttention(2, 4, kernel_regularizer=UNIT, name="attention")
    x = keras.Input((5, 8))
    own = keras.Model(x, layer(x, x))
    with pytest.raises(ParameterError, match=r"axes, \(1, 2\) for 'unit'"):
        refuse_groups(own)


@pytest.mark.parametrize("by", ["optimizer", "logger"])
def test_training_refuses_it(by):
    *parts, _ = WRONG["transposed"]
    own = model(*parts)
    sgd = optimizers.SGD(0.1)
    own.compile(Proximal(sgd) if by == "optimizer" else sgd, "mse")
    log = [RegularizationLogger()] if by == "logger" else []
    x, y = np.zeros((2, *IMAGE), "float32"), np.zeros((2, 1), "float32")
    with pytest.raises(ParameterError, match=r"\(2,\) for 'unit' of this weight"):
        own.fit(x, y, verbose=0, callbacks=log)
