"""Words for groups mean the axes of the kind of layer that they are on, everywhere.

The oracle is the same penalty with the axes written out.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops, optimizers, regularizers

from kregkit import optimality
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import (
    ExclusiveLasso,
    GroupHoyerSquare,
    GroupLasso,
    GroupLInf,
    GroupMCP,
    Penalty,
    SparseGroupLasso,
)


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
        model = keras.Model(x, layers.Dense(1)(layers.Flatten()(h)))
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
TRAINED = [own for own in CASES if own.name in ("conv2d_transpose", "attention")]
WORDS = [
    pytest.param(case, word, id=f"{case}-{word}")
    for case in CASES
    for word in next(iter(case.axes.values()))
]


def data(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.normal(size=(8, *shape)).astype("float32"), np.ones((8, 1), "float32")


def fitted(model: Any, optimizer: Any, case: Case, **compiled: Any) -> list[np.ndarray]:
    model.compile(optimizer, "mse", **compiled)
    model.fit(*data(case.shape), epochs=2, verbose=0, shuffle=False)
    return list(model.get_weights())


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize(("case", "word"), WORDS)
def test_a_word_means_the_axes_of_its_layer_in_a_plain_model(case, word):
    for penalty in (
        GroupLasso(0.3, word),
        SparseGroupLasso(0.1, 0.2, word),
        GroupLInf(0.3, word),
        GroupHoyerSquare(0.3, word),
        ExclusiveLasso(0.3, word),
        GroupMCP(0.3, word, threshold=2.0),
    ):
        own, other = case.model(penalty), case.written_out(penalty)
        assert len(own.losses) == len(case.axes)
        np.testing.assert_allclose(
            *(list(map(ops.convert_to_numpy, m.losses)) for m in (own, other)), 1e-6
        )


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize("proximal", [False, True])
@pytest.mark.parametrize("case", TRAINED, ids=str)
def test_it_trains_as_with_the_axes(case, proximal):
    word = next(iter(next(iter(case.axes.values()))))
    penalty = GroupLasso(0.3, word)
    found = []
    for model in (case.model(penalty), case.written_out(penalty)):
        own = optimizers.Adam(1e-2)
        found.append(fitted(model, Proximal(own) if proximal else own, case))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-6)


@pytest.mark.parametrize("how", [{"run_eagerly": True}, {"jit_compile": True}])
def test_it_trains_so_eagerly_and_compiled(how):
    (case,) = [case for case in CASES if case.name == "attention"]
    penalty = GroupLasso(0.3, "head")
    found = [
        fitted(model, optimizers.SGD(1e-3), case, **how)
        for model in (case.model(penalty), case.written_out(penalty))
    ]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-6)


def test_whole_heads_end_at_zero_in_every_kernel():
    (case,) = [case for case in CASES if case.name == "attention"]
    model = case.model(GroupLasso(5.5e4, "head"))
    fitted(model, Proximal(optimizers.SGD(1e-5)), case)  # 2 steps: 1.1
    for own in model.variables:
        name = own.path.removeprefix("own/")
        if name in ATTENTION:
            heads = np.moveaxis(own.numpy(), ATTENTION[name]["head"][0], 0)
            zero = np.all(heads.reshape(4, -1) == 0, axis=1)
            assert zero.any()
            assert np.all(heads[~zero] != 0)


@pytest.mark.parametrize("case", TRAINED, ids=str)
def test_logger_and_optimality_take_the_same_axes(case):
    word = next(iter(next(iter(case.axes.values()))))
    penalty = GroupLasso(0.3, word)
    x, y = data(case.shape)
    found = []
    for model in (case.model(penalty), case.written_out(penalty)):
        log = RegularizationLogger()
        model.compile(optimizers.SGD(1e-3), "mse")
        history = model.fit(x, y, verbose=0, callbacks=[log], shuffle=False)
        balance = optimality(model, x, y)
        assert balance.plot() is not None
        terms = [v for k, v in history.history.items() if k.startswith("penalty/")]
        assert len(terms) == len(case.axes)
        residuals = balance.table()["kkt_residual"].to_list()
        found.append([*np.ravel(terms), *log.table()["penalty"].drop_nulls()])
        found[-1] += residuals
    np.testing.assert_allclose(*found, 1e-5)


ABSENT = [
    ("grouped", "input", "own/kernel (Conv2D)"),
    ("dense", "head", "own/kernel (Dense)"),
    ("conv2d", "head", "own/kernel (Conv2D)"),
    ("depthwise", "head", "own/kernel (DepthwiseConv2D)"),
    ("einsum", "filter", "own/kernel (EinsumDense)"),
    ("attention", "filter", "own/query/kernel (EinsumDense)"),
    ("lstm", "head", "own/lstm_cell/kernel (LSTMCell)"),
]


@pytest.mark.parametrize(
    ("name", "word", "place", "by"),
    [(*own, "losses") for own in ABSENT]
    + [(*ABSENT[0], by) for by in ("fit", "optimizer", "logger")],
)
def test_a_word_that_a_layer_does_not_have_is_refused(name, word, place, by):
    (case,) = [case for case in CASES if case.name == name]
    model = case.model(GroupLasso(0.1, word))
    log = [RegularizationLogger()] if by == "logger" else []
    sgd = optimizers.SGD(0.1)
    model.compile(Proximal(sgd) if by == "optimizer" else sgd, "mse")
    with pytest.raises(ParameterError) as refused:
        model.fit(*data(case.shape), verbose=0, callbacks=log) if by != "losses" else (
            model.losses
        )
    assert str(refused.value) == (
        f"{place}: GroupLasso: `group` must be axes, or another word: this weight has "
        f"none for {word!r}; received {word!r}."
    )


def test_a_tensor_alone_has_no_heads():
    penalty = GroupLasso(0.1, "head")
    for call in (penalty.value, lambda w: penalty.prox(w, 0.1)):
        with pytest.raises(ParameterError) as refused:
            call(np.ones((3, 4, 5), "float32"))
        assert str(refused.value) == (
            "GroupLasso, group 'head': `w` must be the weight of a layer in a model: "
            "give axes for a tensor alone; received (3, 4, 5)."
        )
