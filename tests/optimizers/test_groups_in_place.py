"""Words for groups mean the axes of the kind of layer that they are on, everywhere.

The oracle is the same penalty with the axes written out.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops, optimizers

from helpers.in_place import ATTENTION, CASES, data, fitted
from kregkit import optimality
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import (
    GroupLasso,
    GroupLInf,
    SparseGroupLasso,
)

TRAINED = [own for own in CASES if own.name in ("conv2d_transpose", "attention")]
WORDS = [
    pytest.param(case, word, id=f"{case}-{word}")
    for case in CASES
    for word in next(iter(case.axes.values()))
]


@pytest.mark.torch
@pytest.mark.parametrize(("case", "word"), WORDS)
def test_a_word_means_the_axes_of_its_layer_in_a_plain_model(case, word):
    for penalty in (
        GroupLasso(0.3, word),
        SparseGroupLasso(0.1, 0.2, word),
        GroupLInf(0.3, word),
    ):
        own, other = case.model(penalty), case.written_out(penalty)
        assert len(own.losses) == len(case.axes)
        np.testing.assert_allclose(
            *(list(map(ops.convert_to_numpy, m.losses)) for m in (own, other)), 1e-6
        )


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize(
    ("case", "proximal"), list(zip(TRAINED, (False, True), strict=True))
)
def test_it_trains_as_with_the_axes(case, proximal):
    word = next(iter(next(iter(case.axes.values()))))
    penalty = GroupLasso(0.3, word)
    found = []
    for model in (case.model(penalty), case.written_out(penalty)):
        own = optimizers.Adam(1e-2)
        found.append(fitted(model, Proximal(own) if proximal else own, case))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-6)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"run_eagerly": True}, marks=pytest.mark.long),
        {"jit_compile": True},
    ],
)
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


@pytest.mark.filterwarnings("ignore:RegularizationLogger. these regularizers do noth")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.long] * (case.name == "attention"))
        for case in TRAINED
    ],
    ids=str,
)
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
        f"{place}: GroupLasso: `group` must be axes or another name: this weight has "
        f"no groups {word!r}; received {word!r}."
    )


def test_what_is_made_of_the_weight_is_a_tensor_alone():
    """A caller may transpose it: named groups once had the axes of a `Dense`."""
    shape = (3, 3, 4, 4)  # the same, transposed
    turned = GroupLasso(0.1, "unit")
    layer = layers.Conv2DTranspose(
        4, 3, kernel_regularizer=lambda w: turned(ops.transpose(w, (0, 1, 3, 2)))
    )
    model = keras.Sequential([keras.Input((6, 6, 4)), layer])
    kernel = np.random.default_rng(0).normal(size=shape)
    layer.kernel.assign(kernel)
    expected = 0.1 * np.sqrt(36) * np.sqrt(np.square(kernel).sum((0, 1, 3))).sum()
    np.testing.assert_allclose(float(model.losses[0]), expected, 1e-5)


def test_factors_of_a_kernel_have_no_units():
    layer = layers.Dense(3, kernel_regularizer=GroupLasso(0.1, "unit"), name="own")
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.enable_lora(2)
    with pytest.raises(
        ParameterError, match=r"own/lora_kernel_. \(Dense\): GroupLasso"
    ):
        _ = model.losses


def test_every_weight_of_a_bias_is_a_unit():
    penalty = GroupLasso(0.5, "unit")
    einsum = layers.EinsumDense(
        "abc,cde->abde", (5, 3, 2), bias_axes="de", bias_regularizer=penalty
    )
    gru = layers.GRU(2, bias_regularizer=penalty)
    x = keras.Input((5, 4))
    for layer, of_one in ((einsum, 1), (gru, 2)):
        model = keras.Model(x, layer(x))
        (bias,) = (v for v in model.variables if v.name == "bias")
        values = np.random.default_rng(0).normal(size=bias.shape)
        bias.assign(values)
        norms = np.sqrt(np.square(values.reshape(of_one, -1)).sum(axis=0))
        expected = 0.5 * np.sqrt(of_one) * norms.sum()
        np.testing.assert_allclose(float(model.losses[0]), expected, 1e-5)
    gru = layers.GRU(2, bias_regularizer=GroupLasso(0.5, "input"), name="own")
    model = keras.Model(x, gru(x))
    with pytest.raises(ParameterError, match="has no groups 'input'"):
        _ = model.losses


def own_step(model, x, y):
    """Return a step of a loop of one's own, with its own Proximal."""
    optimizer, weights = Proximal(optimizers.SGD(1e-3)), model.trainable_variables
    optimizer.build(weights)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y)) + tf.add_n(model.losses)
        optimizer.apply(tape.gradient(loss, weights), weights)

    return step


@pytest.mark.parametrize("case", TRAINED, ids=str)
@pytest.mark.parametrize("traced", [False, True])
def test_a_loop_of_ones_own_takes_the_same_axes(case, traced):
    penalty = GroupLasso(30.0, next(iter(next(iter(case.axes.values())))))
    found = []
    for model in (case.model(penalty), case.written_out(penalty)):
        step = own_step(model, *data(case.shape))
        (tf.function(step) if traced else step)()
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-6)


def test_a_tensor_alone_has_no_heads():
    penalty = GroupLasso(0.1, "head")
    for call in (penalty.value, lambda w: penalty.prox(w, 0.1)):
        with pytest.raises(ParameterError) as refused:
            call(np.ones((3, 4, 5), "float32"))
        assert str(refused.value) == (
            "GroupLasso: `w` must be a weight of a model's layer, for group "
            "'head'; received (3, 4, 5)."
        )
