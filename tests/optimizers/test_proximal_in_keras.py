"""Proximal as a Keras optimizer: settings, skipped updates, averages, saving."""

import keras
import numpy as np
import pytest
from keras import optimizers

from helpers.stepping import (
    LOOPS,
    STEPS,
    adam,
    by_hand,
    data,
    gradients,
    model_of,
    sgd,
    soft,
    trained,
    weights,
)
from kregkit.optimizers import Proximal
from kregkit.regularizers import L0, L1

pytestmark = [pytest.mark.jax, pytest.mark.torch]


def test_its_settings_are_the_inner_optimizers():
    inner = optimizers.SGD(0.05, use_ema=True, clipnorm=2.0, loss_scale_factor=8.0)
    optimizer = Proximal(inner)
    assert (optimizer.use_ema, optimizer.clipnorm) == (True, 2.0)
    optimizer.clipnorm = 3.0
    assert inner.clipnorm == 3.0
    optimizers.LossScaleOptimizer(optimizer)  # which scales, and lets nobody else
    assert inner.loss_scale_factor is optimizer.loss_scale_factor is None


def test_its_variables_are_the_inner_optimizers_and_one_more():
    plain, inner = optimizers.Adam(0.05), optimizers.Adam(0.05)
    model = model_of(Proximal(inner), L1(0.3))
    variables = model.trainable_variables
    plain.build(variables)
    model.optimizer.build(variables)
    names = [v.name for v in plain.variables]
    assert [v.name for v in model.optimizer.variables] == [*names, "factor"]
    assert list(map(id, model.optimizer.variables)) == list(map(id, inner.variables))
    own = {id(v) for v in model.optimizer.variables}
    assert not {id(v) for v in model.variables} & own


def test_the_step_is_taken_at_real_updates_only():
    x, y = data()
    optimizer = Proximal(optimizers.SGD(0.05, gradient_accumulation_steps=2))
    model = model_of(optimizer, L1(0.3))
    before = weights(model)
    model.fit(x, y, batch_size=len(x), epochs=1, verbose=0)
    for value, expected in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    model.fit(x, y, batch_size=len(x), epochs=2 * STEPS - 1, verbose=0)
    for value, expected in zip(weights(model), by_hand(sgd), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("around", [False, True], ids=["inside", "around"])
def test_an_update_that_is_skipped_has_no_proximal_step(around):
    x, y = data()
    if around:
        optimizer = optimizers.LossScaleOptimizer(Proximal(optimizers.SGD(0.05)))
    else:
        optimizer = Proximal(optimizers.LossScaleOptimizer(optimizers.SGD(0.05)))
    model = model_of(optimizer, L1(0.3))
    model.fit(x, y, batch_size=len(x), epochs=STEPS, shuffle=False, verbose=0)
    after = weights(model)
    for value, expected in zip(after, by_hand(sgd), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5)
    model.fit(np.full_like(x, np.inf), y, batch_size=len(x), verbose=0)
    for value, expected in zip(weights(model), after, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_mixed_precision_wraps_it_and_trains():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = trained(Proximal(optimizers.Adam(0.05)), L1(1.0), steps=40)
        assert isinstance(model.optimizer, optimizers.LossScaleOptimizer)
        kernel = weights(model)[0]
    finally:
        keras.config.set_dtype_policy("float32")
    assert kernel.dtype == np.float32
    assert 0.3 < np.mean(kernel == 0) < 1


@pytest.mark.filterwarnings("ignore:::torch")  # its compiler's own
@pytest.mark.parametrize("compiled", [{"jit_compile": True}, {"jit_compile": False}])
def test_a_compiler_makes_no_difference(compiled):
    found = weights(trained(Proximal(optimizers.Adam(0.05)), L1(0.3), **compiled))
    for value, expected in zip(found, by_hand(adam), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


def test_clipping_and_schedules_are_the_inner_optimizers():
    rate = optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)
    x, y = data()
    model = model_of(Proximal(optimizers.SGD(rate, clipvalue=0.5)), L1(0.3))
    w, b = np.full((20, 1), 0.5), np.full(1, 0.2)
    for t in range(STEPS):
        step = 0.05 * 0.5 ** (t / 2)
        dw, db = (np.clip(g, -0.5, 0.5) for g in gradients(w, b))
        w, b = soft(w - step * dw, 0.3 * step), b - step * db
    model.fit(x, y, batch_size=len(x), epochs=STEPS, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(model)[0], w, rtol=0, atol=1e-6)


def test_callbacks_set_the_learning_rate():
    x, y = data()
    model = model_of(Proximal(optimizers.SGD(0.05)), L1(0.3))
    halved = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    model.fit(x, y, batch_size=len(x), verbose=0, callbacks=[halved])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.025)
    w, b = np.full((20, 1), 0.5), np.full(1, 0.2)
    expected = soft(w - 0.025 * gradients(w, b)[0], 0.3 * 0.025)
    np.testing.assert_allclose(weights(model)[0], expected, rtol=0, atol=1e-6)


def test_moving_averages_are_of_the_proximal_points():
    inner = optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5)
    points = [by_hand(sgd, steps)[0] for steps in (1, 2, 3)]
    average = (points[0] + points[1]) / 4 + points[2] / 2
    model = trained(Proximal(inner), L1(0.3), steps=3)  # Keras sets them at the end
    np.testing.assert_allclose(weights(model)[0], average, rtol=0, atol=1e-6)


@pytest.mark.tensorflow  # on JAX the callback fails with Keras's own SGD too
def test_moving_averages_are_swapped_by_the_callback_of_keras():
    x, y = data()
    model = model_of(Proximal(optimizers.SGD(0.05, use_ema=True)), L1(0.3))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(x, y, batch_size=len(x), verbose=0, callbacks=[swap])
    average = by_hand(sgd, 1)[0]  # of one step
    np.testing.assert_allclose(weights(model)[0], average, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_saved_model_goes_on_as_if_nothing_had_happened(name, tmp_path):
    x, y = data()
    make = LOOPS[name][0]
    whole = trained(Proximal(make(), metric="optimizer"), L1(0.3), 8)
    half = trained(Proximal(make(), metric="optimizer"), L1(0.3), 4)
    half.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    assert isinstance(loaded.optimizer, Proximal)
    assert loaded.optimizer.metric == "optimizer"
    loaded.fit(x, y, batch_size=len(x), epochs=4, shuffle=False, verbose=0)
    for value, expected in zip(weights(loaded), weights(whole), strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.tensorflow
def test_a_tensorflow_checkpoint_restores_it(tmp_path):
    import tensorflow as tf

    model = trained(Proximal(optimizers.Adam(0.05)), L1(0.3))
    path = tf.train.Checkpoint(model).save(str(tmp_path / "point"))
    other = model_of(Proximal(optimizers.Adam(0.05)), L1(0.3))
    other.optimizer.build(other.trainable_variables)
    tf.train.Checkpoint(other).restore(path).assert_existing_objects_matched()
    for value, expected in zip(weights(other), weights(model), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_l0_ends_at_the_hard_threshold_and_trains_in_no_other_way():
    """Of orthonormal columns those are best whose squared least squares is over λ."""
    random = np.random.default_rng(0)
    x = np.linalg.qr(random.normal(size=(40, 8)))[0] * np.sqrt(40)
    true = np.array([1.0, -0.5, 0.25, 0.1, -0.05, 0.0, 0.7, -0.15])
    y = x @ true[:, None]

    def model(optimizer):
        layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=L0(0.03))
        made = keras.Sequential([keras.Input((8,)), layer])
        made.compile(optimizer, "mse")
        made.fit(x, y, batch_size=40, epochs=30, verbose=0)
        return layer.kernel.numpy()[:, 0]

    # In float32 a step of one half is the whole way to the minimum.
    found = model(Proximal(optimizers.SGD(0.5)))
    expected = np.where(true**2 > 0.03, true, 0.0)
    assert np.array_equal(found == 0, expected == 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(Exception, match="L0: has no useful gradient") as caught:
        model(optimizers.SGD(0.5))
    assert "ParameterError" in f"{type(caught.value).__name__} {caught.value}"
