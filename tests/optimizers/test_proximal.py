"""Proximal as a Keras optimizer: first steps, settings, saving, other optimizers."""

import keras
import numpy as np
import pytest
from keras import optimizers
from linear import planted

from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ModelError, ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, L1L2, L2, HoyerSquare
from kregkit.store import Store

pytestmark = [pytest.mark.jax, pytest.mark.torch]

STEPS = 10


def data():
    x, y, _ = planted()
    return x[:32], y[:32]


def model_of(optimizer, penalty, bias=None, **compiled):
    """Return a linear model with weights 0.5 and bias 0.2."""
    layer = keras.layers.Dense(
        1,
        kernel_initializer=keras.initializers.Constant(0.5),
        bias_initializer=keras.initializers.Constant(0.2),
        kernel_regularizer=penalty,
        bias_regularizer=bias,
        name="only",
    )
    model = keras.Sequential([keras.Input((20,)), layer])
    model.compile(optimizer, "mse", **compiled)
    return model


def trained(optimizer, penalty, steps=STEPS, **compiled):
    """Return a model after so many steps with all rows."""
    x, y = data()
    model = model_of(optimizer, penalty, **compiled)
    model.fit(x, y, batch_size=len(x), epochs=steps, shuffle=False, verbose=0)
    return model


def weights(model):
    return [np.array(value) for value in model.get_weights()]


def soft(w, amount):
    return np.sign(w) * np.maximum(np.abs(w) - amount, 0.0)


def gradients(w, b):
    x, y = data()
    residual = np.float64(x) @ w + b - y
    return 2 * x.T @ residual / len(x), 2 * residual.mean(axis=0)


def by_hand(update, steps=STEPS):
    """Return kernel and bias after steps of `update(state, w, gradient, t)`."""
    w, b = np.full((20, 1), 0.5), np.full(1, 0.2)
    states = {}, {}
    for t in range(1, steps + 1):
        dw, db = gradients(w, b)
        w, step = update(states[0], w, dw, t)
        b, _ = update(states[1], b, db, t)
        w = soft(w, 0.3 * step)
    return w, b


def sgd(state, w, gradient, t):
    return w - 0.05 * gradient, 0.05


def momentum(state, w, gradient, t):
    state["m"] = 0.9 * state.get("m", 0.0) - 0.005 * gradient
    return w + state["m"], 0.05 * (1 - 0.9**t)


def adam(state, w, gradient, t):
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * gradient
    state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * gradient**2
    # Keras takes the powers in float32, where 1 - 0.999 has four digits.
    squares, mean = (1 - np.float32(b) ** np.float32(t) for b in (0.999, 0.9))
    step = 0.05 * np.sqrt(squares) / (np.sqrt(state["v"]) + 1e-7)
    return w - step * state["m"] / mean, step


LOOPS = {
    "sgd": (lambda: optimizers.SGD(0.05), sgd),
    "momentum": (lambda: optimizers.SGD(0.005, momentum=0.9), momentum),
    "adam": (lambda: optimizers.Adam(0.05), adam),
}


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


def tensorflow_step(model, optimizer, x, y):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = keras.ops.mean((model(x) - y) ** 2) + sum(model.losses)
    grads = tape.gradient(loss, model.trainable_weights)
    optimizer.apply_gradients(zip(grads, model.trainable_weights, strict=True))


def torch_step(model, optimizer, x, y):
    model.zero_grad()
    loss = keras.ops.mean((model(x) - y) ** 2) + sum(model.losses)
    loss.backward()
    grads = [variable.value.grad for variable in model.trainable_weights]
    optimizer.apply(grads, model.trainable_weights)


def test_a_custom_loop_takes_the_proximal_step_alone():
    x, y = map(keras.ops.convert_to_tensor, data())
    model = model_of(None, L1(0.3))
    optimizer = Proximal(optimizers.SGD(0.05))
    optimizer.build(model.trainable_variables)
    if keras.backend.backend() == "jax":
        pytest.skip("a loop on JAX has no state")
    if keras.backend.backend() == "torch":
        step = torch_step
    else:
        import tensorflow as tf

        step = tf.function(tensorflow_step)
    for _ in range(STEPS):
        step(model, optimizer, x, y)
    for value, expected in zip(weights(model), by_hand(sgd), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


def test_a_custom_loop_that_did_not_build_it_is_refused():
    model = model_of(None, L1(0.3))
    optimizer = Proximal(optimizers.SGD(0.05))
    grads = [np.ones(v.shape, "float32") for v in model.trainable_variables]
    with pytest.raises(ParameterError, match=r"call `build\(trainable_variables\)`"):
        optimizer.apply(grads, model.trainable_variables)


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


BAD = {
    "no optimizer": (lambda: Proximal("adam"), ParameterError, "'adam'"),
    "proximal": (
        lambda: Proximal(Proximal(optimizers.SGD())),
        ParameterError,
        "has a proximal step already",
    ),
    "proximal in a loss scale": (
        lambda: Proximal(optimizers.LossScaleOptimizer(Proximal(optimizers.SGD()))),
        ParameterError,
        "has a proximal step already",
    ),
    "metric": (
        lambda: Proximal(optimizers.SGD(), metric="euclid"),
        ParameterError,
        r"`metric` must be one of 'optimizer', 'euclidean'; received 'euclid'",
    ),
    "lion": (lambda: Proximal(optimizers.Lion()), ModelError, "Lion: .*Adadelta"),
    "an own optimizer": (
        lambda: Proximal(type("Mine", (optimizers.Adam,), {})()),
        ModelError,
        "Mine: .*Adadelta",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_work_is_refused(name):
    make, error, words = BAD[name]
    with pytest.raises(error, match=words):
        make()


def test_an_optimizer_in_use_is_refused():
    used = optimizers.SGD()
    used.build([keras.Variable(np.zeros(2))])
    with pytest.raises(ParameterError, match="not in use yet"):
        Proximal(used)


def test_any_optimizer_may_have_the_euclidean_metric():
    model = trained(Proximal(optimizers.Lion(0.05), metric="euclidean"), L1(0.3))
    assert np.all(np.isfinite(weights(model)[0]))


def tied(first, second):
    """Return a model of two layers that share one kernel."""

    class Tied(keras.layers.Dense):
        def build(self, input_shape):
            self._kernel, self.bias = shared.kernel, None
            self.built = True

    shared = keras.layers.Dense(
        20, use_bias=False, kernel_regularizer=first, name="shared"
    )
    again = Tied(20, use_bias=False, kernel_regularizer=second, name="again")
    model = keras.Sequential([keras.Input((20,)), shared, again])
    model.compile(Proximal(optimizers.SGD(0.05)), "mse")
    return model


DIFFERENT = {
    "strength": (L1(0.1), L1(0.2)),
    "kind": (L1(0.1), keras.regularizers.L2(0.1)),
    "not a penalty": (keras.regularizers.OrthogonalRegularizer(), L1(0.1)),
}


@pytest.mark.parametrize("pair", DIFFERENT)
def test_a_weight_of_two_layers_with_different_penalties_is_refused(pair):
    model = tied(*DIFFERENT[pair])
    x, _ = data()
    with pytest.raises(ModelError, match="'shared' and 'again' share it with diff"):
        model.fit(x, x, verbose=0)


@pytest.mark.parametrize("second", [None, L1(0.25), keras.regularizers.L1(0.25)])
def test_a_weight_of_two_layers_with_one_penalty_is_handled_once(second):
    model = tied(L1(0.25), second)
    x, _ = data()
    model.fit(x, x, verbose=0)
    (kernel,) = model.trainable_variables
    (loss,) = model.losses
    np.testing.assert_allclose(loss, 0.25 * np.abs(kernel.numpy()).sum(), rtol=1e-5)
    assert np.any(kernel.numpy() == 0)
