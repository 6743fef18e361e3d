"""Convolutions of many models at once against Keras's convolution of each."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kregkit.study.engines.batch import convolutions
from kregkit.study.engines.batch.convolutions import (
    batched_convolutions,
    convolution_forms,
    gathered,
    grouped_works,
)

TRIALS, ROWS = 3, 4
FORMS = {"grouped": convolutions._ungrouped, "gathered": gathered}
KERNELS = [(1, 1), (2, 2), (3, 3), (5, 5), (2, 3)]
STEPS = [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((2, 1), (1, 1)), ((1, 1), (2, 1))]
IMAGES = [("same", (9, 12), 3, 5), ("valid", (8, 7), 1, 4)]
"""Padding, size, channels and filters: odd and even sizes of both paddings."""

needs_groups = pytest.mark.skipif(
    not grouped_works(), reason="this TensorFlow has no grouped convolutions"
)


@pytest.fixture(params=[pytest.param("grouped", marks=needs_groups), "gathered"])
def form(request):
    return FORMS[request.param]


def random(*shape):
    return tf.constant(np.random.default_rng(0).normal(size=shape), "float32")


def assert_close(one, other):
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape
    assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


def with_gradients(function, at):
    """Return what a function gives, and the gradient of a sum that is not linear."""
    with tf.GradientTape() as tape:
        tape.watch(at)
        y = function(*at)
        total = tf.reduce_sum(tf.sin(y))
    return [y, *tape.gradient(total, at)]


def of_each(function, *stacked):
    """Return the same for each model apart, stacked."""
    each = [with_gradients(function, list(own)) for own in zip(*stacked, strict=True)]
    return [np.stack(found) for found in zip(*each, strict=True)]


def mapped(function, stacked, **how):
    return tf.vectorized_map(
        lambda own: function(*own, **how), stacked, fallback_to_while_loop=False
    )


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_values_and_gradients_are_those_of_keras(form, image):
    """All kernels, strides and dilations as one graph, which is traced once."""
    padding, size, channels, filters = image
    x, cases, kernels = random(TRIALS, ROWS, *size, channels), [], []
    for kernel, (strides, dilation) in itertools.product(KERNELS, STEPS):
        how = {"strides": strides, "dilation": dilation, "padding": padding}
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        if padding == "same" or all(r <= n for r, n in zip(reach, size, strict=True)):
            cases.append(how)
            kernels.append(random(TRIALS, *kernel, channels, filters))

    @tf.function(autograph=False)
    def batch(x, kernels):
        return [
            with_gradients(lambda *own, how=how: mapped(form, own, **how), [x, kernel])
            for how, kernel in zip(cases, kernels, strict=True)
        ]

    assert len(cases) == (20 if padding == "same" else 19)
    for how, kernel, found in zip(cases, kernels, batch(x, kernels), strict=True):

        def alone(x, kernel, how=how):
            return keras.ops.conv(
                x,
                kernel,
                how["strides"],
                how["padding"],
                "channels_last",
                how["dilation"],
            )

        for one, other in zip(found, of_each(alone, x, kernel), strict=True):
            assert_close(one, other)


@pytest.mark.parametrize("common", ["x", "kernel"])
def test_what_all_models_share_is_not_stacked(form, common):
    x, kernel = random(TRIALS, ROWS, 7, 6, 3), random(TRIALS, 3, 3, 3, 5)
    how = {"strides": (1, 1), "dilation": (1, 1), "padding": "same"}

    def many(x, kernel):
        if common == "x":
            return mapped(lambda own: form(x[0], own, **how), (kernel,))
        return mapped(lambda own: form(own, kernel[0], **how), (x,))

    def each(x, kernel):
        xs = [x[0]] * TRIALS if common == "x" else list(x)
        kernels = list(kernel) if common == "x" else [kernel[0]] * TRIALS
        pairs = zip(xs, kernels, strict=True)
        return tf.stack([tf.nn.conv2d(x, kernel, 1, "SAME") for x, kernel in pairs])

    found = tf.function(many, autograph=False)
    for one, other in zip(
        with_gradients(found, [x, kernel]),
        with_gradients(each, [x, kernel]),
        strict=True,
    ):
        assert_close(one, other)


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 7, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(6, (2, 3), strides=2, use_bias=False),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def stacked(model):
    random = np.random.default_rng(0)
    return [
        tf.constant(v.numpy() + 0.1 * random.normal(size=(TRIALS, *v.shape)), v.dtype)
        for v in model.trainable_variables
    ]


def answers(model, weights, x):
    return model.stateless_call(weights, [], x, training=True)[0]


@pytest.mark.parametrize("works", [pytest.param(True, marks=needs_groups), False])
def test_a_network_is_mapped_without_a_loop_and_is_left_as_it_was(works, monkeypatch):
    monkeypatch.setattr(convolutions, "grouped_works", lambda: works)
    model, x = network(), random(TRIALS, ROWS, 8, 7, 1)
    weights, found = stacked(model), convolution_forms(model.layers)
    assert [layer for layer, _ in found] == [model.layers[0], model.layers[2]]
    used = {form.func for _, form in found}
    assert used == {FORMS["grouped" if works else "gathered"]}

    @tf.function(autograph=False)
    def batch(x, *weights):
        with batched_convolutions(found):
            return with_gradients(
                lambda x, *weights: mapped(
                    lambda *own: answers(model, list(own[1:]), own[0]), (x, *weights)
                ),
                [x, *weights],
            )

    before = [dict(vars(layer)) for layer in model.layers]
    values = batch(x, *weights)
    assert [dict(vars(layer)) for layer in model.layers] == before
    graph = batch.get_concrete_function(x, *weights).graph
    kinds = {op.type for op in graph.get_operations()}
    assert not any("While" in kind for kind in kinds)
    assert ("Conv2D" in kinds) == works
    expected = of_each(lambda x, *own: answers(model, list(own), x), x, *weights)
    for one, other in zip(values, expected, strict=True):
        assert_close(one, other)


def test_layers_are_left_as_they_were_after_an_error():
    layer = layers.Conv2D(2, 3)
    held = batched_convolutions(convolution_forms([layer]))
    held.__enter__()
    assert "convolution_op" in vars(layer)
    assert not held.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert "convolution_op" not in vars(layer)


class Own(layers.Conv2D):
    """May convolve as it likes."""


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, groups=2),
        layers.Conv2D(4, 3, data_format="channels_first"),
        layers.Conv1D(4, 3),
        layers.DepthwiseConv2D(3),
        layers.Conv2DTranspose(4, 3),
        Own(4, 3),
        layers.Dense(3),
    ],
    ids=lambda layer: layer.name,
)
def test_other_layers_stay_as_they_are(layer):
    assert convolution_forms([layer]) == []


def test_other_backends_have_no_forms(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert convolution_forms([layers.Conv2D(2, 3)]) == []


def wrong_gradients(operation):
    """Convert to zeros."""
    from tensorflow.python.ops.parallel_for.pfor import wrap

    x, _, _ = operation.input(0)
    return wrap(tf.zeros((*x.shape[:4], 4)) * tf.reduce_sum(x), True)


def refused(operation):
    raise ValueError("no converter")


@pytest.mark.parametrize("converter", [wrong_gradients, refused])
def test_grouped_works_says_no_where_its_gradients_do_not_come_out(
    monkeypatch, converter
):
    from tensorflow.python.ops.parallel_for import pfor

    grouped_works.cache_clear()
    monkeypatch.setitem(pfor._pfor_converter_registry, "Conv", converter)
    assert not grouped_works()
    grouped_works.cache_clear()


def test_grouped_works_says_no_without_the_private_registry(monkeypatch):
    import sys

    grouped_works.cache_clear()
    name = "tensorflow.python.ops.parallel_for.pfor"
    monkeypatch.setitem(sys.modules, name, None)
    assert not grouped_works()
    grouped_works.cache_clear()
