"""Proximal's first steps against NumPy, and what acts on a weight, and how often."""

import keras
import numpy as np
import pytest
from keras import optimizers

from helpers.loops import looped
from helpers.stepping import (
    LOOPS,
    STEPS,
    by_hand,
    data,
    model_of,
    sgd,
    trained,
    weights,
)
from kregkit.callbacks import RegularizationLogger
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, L1L2, L2, HoyerSquare
from kregkit.store import Store

pytestmark = [pytest.mark.jax, pytest.mark.torch]


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize("name", LOOPS)
def test_the_first_steps_are_those_of_a_loop_in_numpy(name, eager):
    make, update = LOOPS[name]
    found = weights(trained(Proximal(make()), L1(0.3), run_eagerly=eager))
    for value, expected in zip(found, by_hand(update), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(value == 0, expected == 0)


@pytest.mark.parametrize("penalty", [keras.regularizers.L1(0.3), "own"])
def test_the_loss_holds_the_penalty(penalty):
    penalty = L1(0.3) if penalty == "own" else penalty
    x, y = data()
    model = model_of(Proximal(optimizers.SGD(0.05)), penalty)
    first = model.evaluate(x, y, batch_size=len(x), verbose=0)
    residual = x @ np.full((20, 1), 0.5) + 0.2 - y
    assert first == pytest.approx(np.mean(residual**2) + 0.3 * 10, rel=1e-6)
    history = model.fit(x, y, batch_size=len(x), verbose=0).history
    assert history["loss"][0] == pytest.approx(first, rel=1e-6)
    expected = by_hand(sgd, 1)
    for value, by_numpy in zip(weights(model), expected, strict=True):
        np.testing.assert_allclose(value, by_numpy, rtol=0, atol=1e-6)


def test_another_optimizer_trains_as_if_proximal_had_never_been():
    x, y = data()
    proximal = Proximal(optimizers.SGD(0.05))  # kept alive
    model = model_of(proximal, L1(0.3), bias=L2(0.5))
    model.fit(x, y, verbose=0)
    proximal_weights = weights(model)
    new = model_of(optimizers.SGD(0.05), L1(0.3), bias=L2(0.5))
    for one in (new, model):
        one.set_weights(proximal_weights)
        one.compile(optimizers.SGD(0.05), "mse")
        one.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for value, expected in zip(weights(model), weights(new), strict=True):
        np.testing.assert_array_equal(value, expected)
    # And back again.
    model.set_weights(proximal_weights)
    model.compile(Proximal(optimizers.SGD(0.05)), "mse")
    model.fit(x, y, batch_size=len(x), epochs=1, verbose=0)
    assert np.any(weights(model)[0] != weights(new)[0])


def test_one_penalty_in_two_models_acts_once_in_each():
    penalty = L1(0.3)
    x, y = data()
    first = model_of(Proximal(optimizers.SGD(0.05)), penalty)
    second = model_of(optimizers.SGD(0.05), penalty)
    plain = weights(trained(optimizers.SGD(0.05), L1(0.3)))
    for _ in range(STEPS):
        for model in (first, second):
            model.train_on_batch(x, y)
    for value, expected in zip(weights(first), by_hand(sgd), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)
    for value, expected in zip(weights(second), plain, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("name", LOOPS)
def test_a_logger_changes_nothing_and_tells_the_solver(name, tmp_path):
    x, y = data()
    make, _ = LOOPS[name]
    model = model_of(Proximal(make()), L1(0.3))
    log = RegularizationLogger(store=tmp_path)
    history = model.fit(
        x, y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[log]
    ).history
    plain = model_of(Proximal(make()), L1(0.3))
    plain.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for value, expected in zip(weights(model), weights(plain), strict=True):
        np.testing.assert_array_equal(value, expected)
    whole = np.add(history["data_loss"], history["penalty/only/kernel"])
    np.testing.assert_allclose(whole, history["loss"], rtol=1e-6)
    assert Store(tmp_path).read().finals["solver"].to_list() == ["proximal"]
    last = log.table().filter(tensor="kernel")["zero_fraction"][-1]
    assert last == pytest.approx(np.mean(weights(model)[0] == 0), rel=1e-6)


def test_a_custom_loop_takes_the_proximal_step_alone():
    x, y = map(keras.ops.convert_to_tensor, data())
    model = model_of(None, L1(0.3))
    optimizer = Proximal(optimizers.SGD(0.05))
    optimizer.build(model.trainable_variables)

    def loss_of(model):
        return keras.ops.mean((model(x) - y) ** 2) + sum(model.losses)

    looped(model, optimizer, STEPS, loss_of=loss_of)
    for value, expected in zip(weights(model), by_hand(sgd), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


def test_penalties_without_a_step_go_through_the_gradient():
    class Own(keras.regularizers.Regularizer):
        def __call__(self, w):
            return 0.3 * keras.ops.sum(keras.ops.abs(w))

    with pytest.warns(UserWarning, match="no trainable variable has a penalty"):
        found = weights(trained(Proximal(optimizers.SGD(0.05)), Own()))
    for value, expected in zip(
        found, weights(trained(optimizers.SGD(0.05), Own())), strict=True
    ):
        np.testing.assert_array_equal(value, expected)


def test_bias_and_kernel_each_have_their_own():
    x, y = data()
    model = model_of(Proximal(optimizers.SGD(0.05)), L1L2(0.2, 0.1), bias=L1(5.0))
    model.fit(x, y, batch_size=len(x), epochs=STEPS, verbose=0)
    assert weights(model)[1] == 0


def test_hoyer_square_goes_through_the_gradient():
    with pytest.warns(UserWarning, match="no trainable variable has a penalty"):
        found = weights(trained(Proximal(optimizers.SGD(0.05)), HoyerSquare(0.01)))
    expected = weights(trained(optimizers.SGD(0.05), HoyerSquare(0.01)))
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, other)
