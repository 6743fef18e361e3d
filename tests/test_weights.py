"""The walk over a model: every weight once, under the same path however it is made."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import Model, Sequential, layers

from kregkit.weights import KERNELS, walk, walk_layers

PLAIN = ["a/kernel", "a/bias", "bn/gamma", "bn/beta", "b/kernel", "b/bias"]


def three() -> list[Any]:
    return [
        layers.Dense(3, name="a"),
        layers.BatchNormalization(name="bn"),
        layers.Dense(2, name="b"),
    ]


class Chain(Model):
    """A subclassed model of layers in a list, a dict and an attribute."""

    def __init__(self, chain: list[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.rest = chain[0], {"middle": [chain[1]]}
        self.last = tuple(chain[2:])

    def build(self, shape: tuple[int, ...]) -> None:
        for layer in (self.first, *self.rest["middle"], *self.last):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, x: Any) -> Any:
        for layer in (self.first, *self.rest["middle"], *self.last):
            x = layer(x)
        return x

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], 2)


def functional(chain: list[Any], **kwargs: Any) -> Model:
    y = x = keras.Input((4,))
    for layer in chain:
        y = layer(y)
    return Model(x, y, **kwargs)


def sequential(chain: list[Any], **kwargs: Any) -> Model:
    return Sequential([keras.Input((4,)), *chain], **kwargs)


def deferred(chain: list[Any], **kwargs: Any) -> Model:
    return Sequential(chain, **kwargs)


def subclassed(chain: list[Any], **kwargs: Any) -> Model:
    return Chain(chain, **kwargs)


WAYS = [sequential, functional, deferred, subclassed]
every_way = pytest.mark.parametrize("way", WAYS)


def built(model: Model, shape: tuple[int, ...] = (4,)) -> Model:
    if not model.built:
        model.build((None, *shape))
    model(np.zeros((1, *shape)))
    return model


def paths(model: Model) -> list[str]:
    """Return the paths, after checking what holds for every model."""
    weights = list(walk(model))
    found = [weight.path for weight in weights]
    assert len(set(found)) == len(found)
    ids = [id(weight.variable) for weight in weights]
    assert len(set(ids)) == len(ids)
    assert {id(v) for v in model.trainable_weights} <= set(ids)
    assert set(ids) <= {id(v) for v in model.weights}
    layers_below = {id(place.layer) for place in walk_layers(model)} | {id(model)}
    for weight in weights:
        assert weight.path == f"{weight.layer_path}/{weight.name}".lstrip("/")
        name = weight.variable.name
        assert weight.role == ("kernel" if name in KERNELS else name)
        assert any(weight.variable is v for v in weight.layer.variables)
        assert id(weight.layer) in layers_below
    return found


def exactly(model: Model) -> list[str]:
    """Return the paths of a model without frozen weights."""
    found = paths(model)
    assert len(found) == len(model.trainable_weights)
    return found


@every_way
def test_paths_are_the_same_whichever_way_the_model_is_made(way: Any) -> None:
    assert exactly(built(way(three()))) == PLAIN


@every_way
@pytest.mark.parametrize("outer", WAYS)
def test_paths_of_a_nested_model(outer: Any, way: Any) -> None:
    chain = [
        layers.Dense(4, name="in"),
        way(three(), name="inner"),
        layers.Dense(2, name="out"),
    ]
    model = built(outer(chain))
    inner = [f"inner/{path}" for path in PLAIN]
    assert exactly(model) == ["in/kernel", "in/bias", *inner, "out/kernel", "out/bias"]


@every_way
def test_frozen_layers_are_walked_and_statistics_are_not(way: Any) -> None:
    model = built(way(three()))
    for frozen in (
        model.get_layer("a") if way is not subclassed else model.first,
        model,
    ):
        frozen.trainable = False
        assert paths(model) == PLAIN
    assert model.trainable_weights == []
    statistics = {v.name for v in model.weights} - {w.name for w in walk(model)}
    assert statistics == {"moving_mean", "moving_variance"}


def test_layers_come_once_and_parents_before_children() -> None:
    inner = sequential(three(), name="inner")
    shared = layers.Dense(4, name="shared")
    x = keras.Input((4,), name="x")
    model = Model(x, inner(shared(shared(x))) + inner(x))
    places = [place.path for place in walk_layers(model)]
    named = [path for path in places if not path.startswith(("x", "add", "inner/inp"))]
    assert sorted(named) == ["inner", "inner/a", "inner/b", "inner/bn", "shared"]
    assert named.index("inner") < named.index("inner/a") < named.index("inner/b")
    found = exactly(model)
    assert sorted(found) == sorted(
        ["shared/kernel", "shared/bias", *(f"inner/{path}" for path in PLAIN)]
    )


def test_a_layer_in_two_places_keeps_its_first_path() -> None:
    shared = layers.Dense(4, name="shared")
    inner = sequential([shared], name="inner")
    x = keras.Input((4,), name="x")
    model = Model(x, inner(shared(x)))
    assert exactly(model) in (
        ["shared/kernel", "shared/bias"],
        ["inner/shared/kernel", "inner/shared/bias"],
    )


def test_two_layers_of_one_name_have_two_paths() -> None:
    chain = [
        layers.Dense(4, name="d"),
        layers.Dense(4, name="d"),
        layers.Dense(2, name="d"),
    ]
    model = built(subclassed(chain))
    names = ["d", "d#2", "d#3"]
    assert exactly(model) == [f"{n}/{w}" for n in names for w in ("kernel", "bias")]


class Twins(layers.Layer):
    """A layer with two weights of one name."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.one = self.add_weight(shape=(2,), name="scale")
        self.two = self.add_weight(shape=(2,), name="scale")
        self.count = self.add_weight(shape=(), name="count", trainable=False)

    def call(self, x: Any) -> Any:
        return x * self.one * self.two


def test_two_weights_of_one_name_have_two_paths() -> None:
    model = Sequential([keras.Input((2,)), Twins(name="twins")])
    assert exactly(model) == ["twins/scale", "twins/scale#2"]


class Scaled(Model):
    """A model with a weight of its own, and a seed that is not one."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2, name="dense")
        self.dropout = layers.Dropout(0.5, name="dropout")
        self.scale = self.add_weight(shape=(), name="scale")

    def build(self, shape: tuple[int, ...]) -> None:
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        return self.scale * self.dropout(self.dense(x))


def test_the_model_itself_may_have_weights_and_seeds_are_none() -> None:
    model = built(Scaled())
    assert exactly(model) == ["scale", "dense/kernel", "dense/bias"]


def test_sublayers_of_wrappers_attention_and_recurrent_layers() -> None:
    x = keras.Input((5, 4))
    y = layers.Bidirectional(
        layers.LSTM(3, return_sequences=True, name="l"), name="both"
    )(x)
    y = layers.MultiHeadAttention(2, 3, name="mha")(y, y)
    y = layers.TimeDistributed(layers.Dense(2, name="d"), name="each")(y)
    y = layers.SeparableConv1D(2, 2, name="sep")(y)
    y = layers.RNN(
        [layers.GRUCell(2, name="g"), layers.SimpleRNNCell(2, name="s")], name="rnn"
    )(y)
    model = Model(x, y)
    projections = ("query", "key", "value", "attention_output")
    recurrent = ("kernel", "recurrent_kernel", "bias")
    found = exactly(model)
    assert found == [
        *(f"both/forward_l/lstm_cell/{w}" for w in recurrent),
        *(f"both/backward_l/lstm_cell/{w}" for w in recurrent),
        *(f"mha/{p}/{w}" for p in projections for w in ("kernel", "bias")),
        "each/d/kernel",
        "each/d/bias",
        "sep/depthwise_kernel",
        "sep/pointwise_kernel",
        "sep/bias",
        *(f"rnn/stacked_rnn_cells/{c}/{w}" for c in "gs" for w in recurrent),
    ]


def test_roles_name_every_kind_of_kernel_alike() -> None:
    chain = [
        layers.Embedding(7, 4, name="e"),
        layers.SeparableConv1D(3, 2, name="s"),
        layers.PReLU(name="p"),
        layers.SimpleRNN(2, name="r"),
    ]
    model = Sequential([keras.Input((4,)), *chain])
    roles = {weight.path: weight.role for weight in walk(model)}
    cell = "r/simple_rnn_cell"
    assert roles == {
        "e/embeddings": "kernel",
        "s/depthwise_kernel": "kernel",
        "s/pointwise_kernel": "kernel",
        "s/bias": "bias",
        "p/alpha": "alpha",
        f"{cell}/kernel": "kernel",
        f"{cell}/recurrent_kernel": "kernel",
        f"{cell}/bias": "bias",
    }
