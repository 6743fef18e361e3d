"""Layers in which units, inputs and heads have other axes than in a `Dense`."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, regularizers

from kregkit.regularizers import Penalty


@dataclass(frozen=True)
class Case:
    """A layer, the shape of its input, and for each word the axes in its kernels."""

    name: str
    make: Any
    shape: tuple[int, ...]
    axes: dict[str, dict[str, tuple[int, ...]]]
    hook: str = "kernel_regularizer"

    def __str__(self) -> str:
        return self.name

    def model(self, penalty: Any) -> keras.Model:
        x = keras.Input(self.shape)
        layer = self.make(**{self.hook: penalty}, name="own")
        attention = isinstance(
            layer, layers.MultiHeadAttention | layers.GroupQueryAttention
        )
        h = layer(x, x) if attention else layer(x)
        model = keras.Model(x, layers.Dense(1, name="out")(layers.Flatten()(h)))
        random = np.random.default_rng(0)
        model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
        return model

    def written_out(self, penalty: Penalty) -> Any:
        """Return a model with axes for the penalty's word, set on its variables."""
        model = self.model(regularizers.L2(1.0))
        kernels = {own.path.removeprefix("own/"): own for own in model.variables}
        for path, words in self.axes.items():
            config = penalty.get_config() | {"group": words[penalty.group]}
            kernels[path].regularizer = type(penalty).from_config(config)
        return model


ATTENTION = {
    "query/kernel": {"head": (1,), "unit": (1, 2), "input": (0,)},
    "key/kernel": {"head": (1,), "unit": (1, 2), "input": (0,)},
    "value/kernel": {"head": (1,), "unit": (1, 2), "input": (0,)},
    "attention_output/kernel": {"head": (0,), "unit": (2,), "input": (0, 1)},
}
IMAGE = (6, 6, 4)
CASES = [
    Case(
        "dense",
        lambda **own: layers.Dense(4, **own),
        (3,),
        {"kernel": {"unit": (1,), "input": (0,)}},
    ),
    Case(
        "conv2d",
        lambda **own: layers.Conv2D(2, 3, **own),
        IMAGE,
        {"kernel": {"unit": (3,), "filter": (3,), "input": (2,)}},
    ),
    Case(
        "grouped",
        lambda **own: layers.Conv2D(2, 3, groups=2, **own),
        IMAGE,
        {"kernel": {"unit": (3,), "filter": (3,)}},
    ),
    Case(
        "conv1d_transpose",
        lambda **own: layers.Conv1DTranspose(2, 3, **own),
        (6, 4),
        {"kernel": {"unit": (1,), "filter": (1,), "input": (2,)}},
    ),
    Case(
        "conv2d_transpose",
        lambda **own: layers.Conv2DTranspose(2, 3, **own),
        IMAGE,
        {"kernel": {"unit": (2,), "filter": (2,), "input": (3,)}},
    ),
    Case(
        "depthwise",
        lambda **own: layers.DepthwiseConv2D(3, depth_multiplier=2, **own),
        IMAGE,
        {"kernel": {"unit": (2, 3), "filter": (2, 3), "input": (2,)}},
        "depthwise_regularizer",
    ),
    Case(
        "einsum",
        lambda **own: layers.EinsumDense("abc,cde->abde", (5, 3, 2), **own),
        (5, 4),
        {"kernel": {"head": (1,), "unit": (1, 2), "input": (0,)}},
    ),
    Case(
        "attention",
        lambda **own: layers.MultiHeadAttention(4, 4, **own),
        (5, 4),  # every kernel has the shape (4, 4, 4)
        ATTENTION,
    ),
    Case(
        "grouped_query",
        lambda **own: layers.GroupQueryAttention(3, 4, 2, **own),
        (5, 4),
        ATTENTION,
    ),
    Case(
        "lstm",
        lambda **own: layers.LSTM(3, **own),
        (5, 4),
        {"lstm_cell/kernel": {"unit": (1,), "input": (0,)}},
    ),
]


def data(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.normal(size=(8, *shape)).astype("float32"), np.ones((8, 1), "float32")


def fitted(model: Any, optimizer: Any, case: Case, **compiled: Any) -> list[np.ndarray]:
    model.compile(optimizer, "mse", **compiled)
    model.fit(*data(case.shape), epochs=2, verbose=0, shuffle=False)
    return list(model.get_weights())
