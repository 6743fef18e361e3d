"""The logger names regularizers that do nothing, and no others."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from helpers.models import KINDS, data, make
from kregkit.callbacks import RegularizationLogger
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, L2, GroupLasso
from kregkit.watch.without_effect import warn_of_what_does_nothing

SHAPE = (6, 4)
MADE = {
    "kernel": (lambda **r: layers.Dense(3, **r), "kernel_regularizer"),
    "bias": (lambda **r: layers.Conv1D(3, 2, **r), "bias_regularizer"),
    "recurrent": (lambda **r: layers.LSTMCell(3, **r), "recurrent_regularizer"),
    "depthwise": (
        lambda **r: layers.SeparableConv1D(3, 2, **r),
        "depthwise_regularizer",
    ),
    "pointwise": (
        lambda **r: layers.SeparableConv1D(3, 2, **r),
        "pointwise_regularizer",
    ),
    "gamma": (lambda **r: layers.LayerNormalization(**r), "gamma_regularizer"),
    "beta": (lambda **r: layers.BatchNormalization(**r), "beta_regularizer"),
    "alpha": (lambda **r: layers.PReLU(**r), "alpha_regularizer"),
    "embeddings": (lambda **r: layers.Embedding(9, 3, **r), "embeddings_regularizer"),
    "attention": (
        lambda **r: layers.MultiHeadAttention(2, 3, **r),
        "_kernel_regularizer",
    ),
    "grouped": (
        lambda **r: layers.GroupQueryAttention(4, 2, 2, **r),
        "kernel_regularizer",
    ),
}


def around(role, layer):
    """Return a built model with this layer in it, called "made"."""
    layer.name = "made"
    inputs = keras.Input(SHAPE)
    if role in ("attention", "grouped"):
        outputs = layer(inputs, inputs)
    elif role == "recurrent":
        outputs = layers.RNN(layer, name="loop")(inputs)
    elif role == "embeddings":
        outputs = layer(inputs[..., 0])
    else:
        outputs = layer(inputs)
    return keras.Model(inputs, outputs, name="model")


def found(model):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_what_does_nothing(model)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("role", MADE)
@pytest.mark.parametrize("held", [None, L2(0.1)])
def test_an_attribute_that_is_set_after_the_layer_was_built_is_named(role, held):
    maker, attribute = MADE[role]
    layer = maker(**({} if held is None else {attribute.lstrip("_"): held}))
    model = around(role, layer)
    assert found(model) == []
    setattr(layer, attribute, L1(0.3))
    path = "loop/made" if role == "recurrent" else "made"
    has = "none" if held is None else "L2"
    assert found(model) == [
        "RegularizationLogger: these regularizers do nothing: "
        f"'{attribute}' of layer '{path}' is L1, but the weight was made with {has}."
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", ["adam", Proximal(keras.optimizers.Adam())])
def test_models_with_regularizers_that_act_have_no_warning(kind, optimizer):
    model = make(kind)
    model.compile(optimizer, model.loss)
    model.optimizer.build(model.trainable_variables)
    assert found(model) == []
    assert (
        found(keras.models.clone_model(model) if kind != "subclassed" else model) == []
    )


def everything(r):
    """Return a model of wrappers, shared layers and layers inside layers."""
    inputs = keras.Input(SHAPE)
    shared = layers.Dense(4, kernel_regularizer=r, bias_regularizer=r)
    h = shared(shared(inputs))
    h = layers.LSTM(4, return_sequences=True, recurrent_regularizer=r)(h)
    gru = layers.GRU(4, return_sequences=True, kernel_regularizer=r, bias_regularizer=r)
    h = layers.Bidirectional(gru)(h)
    h = layers.SeparableConv1D(4, 2, depthwise_regularizer=r, pointwise_regularizer=r)(
        h
    )
    h = layers.MultiHeadAttention(2, 3, kernel_regularizer=r, bias_regularizer=r)(h, h)
    h = layers.BatchNormalization(gamma_regularizer=r, beta_regularizer=r)(h)
    h = layers.TimeDistributed(layers.Dense(4, kernel_regularizer=r))(h)
    h = layers.SpectralNormalization(layers.Dense(4, kernel_regularizer=r))(h)
    return keras.Model(
        inputs, layers.ConvLSTM1D(3, 2, kernel_regularizer=r)(h[..., None])
    )


@pytest.mark.parametrize("r", ["l2", keras.regularizers.L1(0.1), L1(0.1)])
def test_layers_inside_layers_have_no_warning(r, tmp_path):
    model = everything(r)
    assert found(model) == []
    model.compile(Proximal(keras.optimizers.SGD()), "mse")
    model.optimizer.build(model.trainable_variables)
    assert found(model) == []
    model.save(tmp_path / "model.keras")
    assert found(keras.models.load_model(tmp_path / "model.keras")) == []


class Own(layers.Layer):
    """Has weights of other names, and adds a penalty itself."""

    def __init__(self):
        super().__init__()
        self.kernel_regularizer = L1(0.1)
        self.bias_regularizer = L2(0.1)

    def build(self, shape):
        self.w = self.add_weight((shape[-1], 2), regularizer=self.kernel_regularizer)
        self.kernel = self.add_weight((shape[-1], 2), name="kernel")

    def call(self, x):
        self.add_loss(self.bias_regularizer(self.kernel.value))
        return x @ (self.w + self.kernel)


def test_layers_of_ones_own_have_no_warning():
    assert found(keras.Sequential([keras.Input((3,)), Own()])) == []


def test_a_frozen_weight_is_named_until_it_trains():
    model = make("nested")
    inner = model.layers[0]
    inner.trainable = False
    message = (
        "RegularizationLogger: these regularizers do nothing: 'inner/a/kernel' has L1, "
        "but it is not trained; 'inner/a/bias' has L2, but it is not trained."
    )
    assert found(model) == [message]
    inner.trainable = True
    assert found(model) == []


def test_a_penalty_that_lora_or_int8_leaves_without_a_weight_is_named():
    def one():
        layer = layers.Dense(3, kernel_regularizer=L1(0.1), name="only")
        return keras.Sequential([keras.Input((4,)), layer])

    lora, int8 = one(), one()
    lora.layers[0].enable_lora(2)
    start = "RegularizationLogger: these regularizers do nothing:"
    assert found(lora) == [f"{start} 'only/kernel' has L1, but it is not trained."]
    int8.layers[0].quantize("int8")
    assert found(int8) == [
        f"{start} 'kernel_regularizer' of layer 'only' is L1, but the weight was made "
        "with none."
    ]


def test_what_has_no_weight_is_named():
    layer = layers.Dense(3, use_bias=False, bias_regularizer=L2(0.1), name="only")
    assert found(keras.Sequential([keras.Input((4,)), layer])) == [
        "RegularizationLogger: these regularizers do nothing: 'bias_regularizer' of "
        "layer 'only' is L2, but there is no such weight."
    ]


def test_a_live_strength_is_no_other_regularizer():
    layer = layers.Dense(3, kernel_regularizer=GroupLasso(0.1), name="only")
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.kernel.regularizer = GroupLasso(0.1).replace(strength=keras.Variable(0.3))
    assert found(model) == []


def test_the_logger_warns_once_when_fit_begins():
    x, y = data()
    model = make("sequential", regularized=False)
    model.get_layer("hidden").kernel_regularizer = L2(0.1)
    with pytest.warns(UserWarning, match="these regularizers do nothing") as caught:
        model.fit(x, y, verbose=0, epochs=2, callbacks=[RegularizationLogger()])
    assert sum("do nothing" in str(warning.message) for warning in caught) == 1
    assert np.isfinite(model.get_weights()[0]).all()
