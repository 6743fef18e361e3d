"""Penalties as every regularizer of every kind of layer, and through `fit`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from helpers.coupled import l1, l2
from helpers.formulas import TRACED, Case
from kregkit.regularizers import L1, L1L2, L2


@dataclass(frozen=True)
class Hook:
    """An argument of a layer that takes a regularizer, and what it acts on."""

    make: Callable[..., Any]
    shape: tuple[int, ...]
    argument: str
    weight: str = ""  # the weights of this name; of activities, the layer's output

    def __str__(self) -> str:
        return f"{self.make(1).name.split('-')[0]}-{self.argument}"

    def model(self, regularizer: Any) -> Any:
        """Return a model of the one layer, with random weights."""
        x = keras.Input(self.shape)
        layer = self.make(2, **{self.argument: regularizer})
        double = isinstance(layer, layers.MultiHeadAttention)
        model = keras.Model(x, layer(x, x) if double else layer(x))
        random = np.random.default_rng(0)
        model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
        return model

    def data(self) -> np.ndarray:
        random = np.random.default_rng(1)
        return random.integers(0, 5, (6, *self.shape)).astype("float32")


def conv(units: int, **kwargs: Any) -> Any:
    return layers.Conv2D(units, 2, name="conv2d", **kwargs)


def depthwise(units: int, **kwargs: Any) -> Any:
    return layers.DepthwiseConv2D(2, name="depthwise", **kwargs)


def attention(units: int, **kwargs: Any) -> Any:
    return layers.MultiHeadAttention(2, units, name="attention", **kwargs)


def embedding(units: int, **kwargs: Any) -> Any:
    return layers.Embedding(5, units, name="embedding", **kwargs)


def dense(units: int, **kwargs: Any) -> Any:
    return layers.Dense(units, name="dense", **kwargs)


def lstm(units: int, **kwargs: Any) -> Any:
    return layers.LSTM(units, return_sequences=True, name="lstm", **kwargs)


def batch_norm(units: int, **kwargs: Any) -> Any:
    return layers.BatchNormalization(name="batch_norm", **kwargs)


IMAGE, STEPS = (4, 4, 3), (5, 3)
HOOKS = [
    Hook(dense, (3,), "kernel_regularizer", "kernel"),
    Hook(dense, (3,), "bias_regularizer", "bias"),
    Hook(dense, (3,), "activity_regularizer"),
    Hook(dense, STEPS, "activity_regularizer"),
    Hook(conv, IMAGE, "kernel_regularizer", "kernel"),
    Hook(conv, IMAGE, "bias_regularizer", "bias"),
    Hook(conv, IMAGE, "activity_regularizer"),
    Hook(depthwise, IMAGE, "depthwise_regularizer", "kernel"),
    Hook(depthwise, IMAGE, "activity_regularizer"),
    Hook(lstm, STEPS, "kernel_regularizer", "kernel"),
    Hook(lstm, STEPS, "recurrent_regularizer", "recurrent_kernel"),
    Hook(lstm, STEPS, "bias_regularizer", "bias"),
    Hook(lstm, STEPS, "activity_regularizer"),
    Hook(embedding, (4,), "embeddings_regularizer", "embeddings"),
    Hook(embedding, (4,), "activity_regularizer"),
    Hook(batch_norm, (3,), "gamma_regularizer", "gamma"),
    Hook(batch_norm, (3,), "beta_regularizer", "beta"),
    Hook(attention, STEPS, "kernel_regularizer", "kernel"),
    Hook(attention, STEPS, "bias_regularizer", "bias"),
    Hook(attention, STEPS, "activity_regularizer"),
]
every_hook = pytest.mark.parametrize("hook", HOOKS, ids=str)

KERAS = keras.regularizers
PAIRS = [
    (L1(0.03), KERAS.L1(0.03)),
    (L2(0.02), KERAS.L2(0.02)),
    (L1L2(0.03, 0.02), KERAS.L1L2(0.03, 0.02)),
]


@every_hook
def test_losses_of_a_model_are_the_formula(hook: Hook) -> None:
    model, x = hook.model(L1L2(0.03, 0.02)), hook.data()
    output = np.asarray(model(x))
    losses = [float(loss) for loss in model.losses]
    if hook.weight:
        acted = [v for v in model.trainable_variables if v.name == hook.weight]
        assert len(acted) == (4 if hook.make is attention else 1)
        expected = [0.03 * l1(v.numpy()) + 0.02 * l2(v.numpy()) for v in acted]
        np.testing.assert_allclose(sorted(losses), sorted(expected), 1e-5)
    else:
        # A mean over the batch of the sum over everything else.
        expected = np.mean([0.03 * l1(y) + 0.02 * l2(y) for y in output])
        # Attention regularizes its four inner layers, one of which gives the output.
        assert len(losses) == (4 if hook.make is attention else 1)
        assert np.isclose(losses, expected, 1e-5).sum() == 1


@every_hook
def test_losses_and_gradients_equal_those_of_keras(hook: Hook) -> None:
    for own, theirs in PAIRS:
        found = []
        for regularizer in (own, theirs):
            model, x = hook.model(regularizer), hook.data()
            with tf.GradientTape() as tape:
                model(x)
                penalty = tf.add_n([tf.cast(loss, "float32") for loss in model.losses])
            slopes = tape.gradient(
                penalty,
                [v.value for v in model.trainable_variables],
                unconnected_gradients="zero",
            )
            found.append((penalty, [tf.convert_to_tensor(s).numpy() for s in slopes]))
        (penalty, slopes), (other, other_slopes) = found
        np.testing.assert_allclose(penalty, other, 1e-6)
        assert any(slope.any() for slope in slopes)
        for slope, other_slope in zip(slopes, other_slopes, strict=True):
            np.testing.assert_allclose(slope, other_slope, 1e-5, 1e-6)


@pytest.mark.parametrize("case", TRACED)
def test_every_penalty_reaches_the_loss_of_a_layer(case: Case) -> None:
    few = case.rank + case.last < 3
    if case.of_activities:
        hook = HOOKS[2] if few else HOOKS[3]
        model = hook.model(case.penalty)
        acted = np.asarray(model(hook.data()))
    else:
        hook = HOOKS[0] if few else HOOKS[4]
        model = hook.model(case.penalty)
        acted = model.trainable_variables[0].numpy()
    assert hook.weight == ("" if case.of_activities else "kernel")
    samples = len(acted) if case.of_activities else 1
    (loss,) = model.losses
    expected = case.penalty.strength * case.value(acted) / samples
    atol = case.rounding * np.finfo("float32").eps
    np.testing.assert_allclose(loss, expected, 1e-6, atol)


def small_model(regularizers: list[Any], **compiled: Any) -> Any:
    """Return a compiled model with kernel, bias and activity regularizers."""
    keras.utils.set_random_seed(0)
    kernel, bias, activity = regularizers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(
                4, 3, activation="relu", name="c", activity_regularizer=activity
            ),
            layers.Flatten(),
            layers.Dense(
                8,
                activation="relu",
                name="d",
                kernel_regularizer=kernel,
                bias_regularizer=bias,
                activity_regularizer=activity,
            ),
            layers.Dense(3, name="e", kernel_regularizer=kernel),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss, **compiled)
    return model


def fitted(model: Any, epochs: int) -> tuple[list[float], list[np.ndarray]]:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(32, 6, 6, 1)), random.integers(0, 3, 32)
    history = model.fit(
        x, y, epochs=epochs, batch_size=16, verbose=0, validation_data=(x, y)
    )
    assert np.all(np.isfinite(history.history["val_loss"]))
    return history.history["loss"], model.get_weights()


def test_training_ends_at_the_same_weights_as_with_keras() -> None:
    plain = fitted(small_model([None] * 3), 3)
    own = fitted(small_model([pair[0] for pair in PAIRS]), 3)
    theirs = fitted(small_model([pair[1] for pair in PAIRS]), 3)
    np.testing.assert_allclose(own[0], theirs[0], 1e-6)
    for weight, other, unregularized in zip(own[1], theirs[1], plain[1], strict=True):
        np.testing.assert_allclose(weight, other, 1e-5, 1e-7)
        assert not np.allclose(weight, unregularized, 1e-3)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def mixed_policy(request: pytest.FixtureRequest) -> Iterator[str]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_mixed_precision_trains_with_activity_penalties(
    mixed_policy: str, jit_compile: bool
) -> None:
    regularizers = [pair[0] for pair in PAIRS]
    model = small_model(regularizers, jit_compile=jit_compile)
    before = model.get_weights()
    losses, after = fitted(model, 2)
    assert np.all(np.isfinite(losses))
    assert losses[1] < losses[0]
    for weight, start in zip(after, before, strict=True):
        assert np.all(np.isfinite(weight))
        assert not np.array_equal(weight, start)
    assert model.get_layer("d").compute_dtype == mixed_policy.removeprefix("mixed_")
    model(np.ones((2, 6, 6, 1)))
    assert {loss.dtype for loss in model.losses} == {tf.float32}


def test_one_sgd_step_subtracts_the_law_of_each_penalty() -> None:
    x = keras.Input((3,))
    y = layers.Dense(
        4, kernel_regularizer=L1(0.3), bias_regularizer=L2(0.2), name="first"
    )(x)
    y = layers.Dense(2, kernel_regularizer=L1L2(0.3, 0.2), name="second")(y)
    model = keras.Model(x, y)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(0.1), lambda y, answer: 0.0 * answer)
    kernel, bias, second, free = model.get_weights()
    data = np.ones((4, 3)), np.ones((4, 2))
    model.fit(*data, batch_size=4, verbose=0)
    expected = [
        kernel - 0.1 * 0.3 * np.sign(kernel),
        bias - 0.1 * 2 * 0.2 * bias,
        second - 0.1 * (0.3 * np.sign(second) + 2 * 0.2 * second),
        free,
    ]
    for weight, law in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(weight, law, 1e-5)


def test_a_live_strength_in_a_layer_changes_the_traced_step() -> None:
    strength = keras.Variable(0.0, trainable=False)
    layer = layers.Dense(2, kernel_regularizer=L1(0.1).replace(strength=strength))
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.1), lambda y, answer: 0.0 * answer)
    x, y = np.ones((4, 3)), np.ones((4, 2))
    for now in (0.0, 0.5, 0.0, 0.25):
        strength.assign(now)
        before = layer.kernel.numpy()
        loss = model.train_on_batch(x, y)
        np.testing.assert_allclose(loss, now * l1(before), 1e-5)
        moved = before - 0.1 * now * np.sign(before)
        np.testing.assert_allclose(layer.kernel, moved, 1e-5, 1e-7)
        model.reset_metrics()
