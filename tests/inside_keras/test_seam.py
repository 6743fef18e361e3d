"""Every function of `kregkit._keras` does what it says, on this version of Keras.

A test is named after its function: where Keras has changed, it says which one.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops, optimizers

from kregkit import _keras

pytestmark = [pytest.mark.jax, pytest.mark.torch]
TENSORFLOW = keras.backend.backend() == "tensorflow"
X, Y = np.ones((8, 3), "float32"), np.zeros((8, 2), "float32")


def network(**compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="only")])
    model.compile(**({"optimizer": "sgd", "loss": "mse"} | compiled))
    return model


def built(optimizer):
    variable = keras.Variable(np.ones((2, 2), "float32"), name="w")
    optimizer.build([variable])
    return optimizer, variable


class Calls(keras.regularizers.Regularizer):
    """Keeps what a function gives at each of its calls."""

    def __init__(self, function):
        self.function, self.found = function, []

    def __call__(self, w):
        self.found.append(self.function(w))
        return 0.0 * ops.sum(w)


def test_every_function_has_a_test():
    elsewhere = {"TrainingStep", "training_step", "in_apply", "model_at_work"}
    tested = {name.removeprefix("test_") for name in globals()}
    missing = set(_keras.__all__) - elsewhere - {"applies_itself"} - tested
    assert missing == set()


def test_regularized():
    seen = Calls(_keras.regularized)
    layer = layers.Dense(2, kernel_regularizer=seen, name="only")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile("sgd", "mse")
    assert model.losses
    model.fit(X, Y, verbose=0)
    assert all(own[1] is layer.kernel for own in seen.found)
    assert all(own[0] in (model, layer) for own in seen.found)
    assert _keras.regularized(layer.kernel) is None


def test_regularizes_activity():
    class Penalty(keras.regularizers.Regularizer):
        def __call__(self, h):
            found.append(_keras.regularizes_activity(self))
            return 0.0 * ops.sum(h)

    found = []
    penalty = Penalty()
    layers.Dense(2, activity_regularizer=penalty)(X)
    assert found == [True]
    penalty(X)
    assert found == [True, False]


def test_own_variables():
    wrapped = layers.TimeDistributed(layers.Dense(2))
    wrapped.build((None, 4, 3))
    assert _keras.own_variables(wrapped) == []
    dense = wrapped.layer
    for trained in (True, False):
        dense.trainable = trained
        assert [v.name for v in _keras.own_variables(dense)] == ["kernel", "bias"]


def test_own_fixed_variables():
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    names = [v.name for v in _keras.own_fixed_variables(layer)]
    assert names == ["moving_mean", "moving_variance"]


def test_sublayers():
    inner = layers.Dense(2)
    assert _keras.sublayers(layers.TimeDistributed(inner)) == [inner]
    model = network()
    assert model.get_layer("only") in _keras.sublayers(model)


def test_calls():
    shared, given = layers.Dense(3), keras.Input((3,))
    keras.Model(given, shared(shared(given)))
    once, again = _keras.calls(shared)
    assert once.input_tensors[0] is given
    assert again.input_tensors[0] is once.output_tensors[0]


def test_trained_variables():
    optimizer, variable = built(optimizers.Adam(0.1))
    assert [own is variable for own in _keras.trained_variables(optimizer)] == [True]


def test_index_of():
    optimizer, variable = built(optimizers.SGD(0.1))
    assert _keras.index_of(optimizer, variable) == 0


def test_averages():
    optimizer, variable = built(optimizers.SGD(0.1, use_ema=True))
    optimizer.apply([ops.ones((2, 2))], [variable])
    (average,) = _keras.averages(optimizer)
    assert average.shape == variable.shape


SLOTS = {
    "velocities": [optimizers.RMSprop(0.1, centered=True), optimizers.Adam(0.1)],
    "average_gradients": [optimizers.RMSprop(0.1, centered=True)],
    "velocity_hats": [optimizers.Adam(0.1, amsgrad=True)],
    "accumulators": [optimizers.Adagrad(0.1)],
    "accumulated_grads": [optimizers.Adadelta(0.1)],
    "accumulated_delta_vars": [optimizers.Adadelta(0.1)],
    "u": [optimizers.Adamax(0.1)],
}


def test_slots():
    for name, every in SLOTS.items():
        for optimizer in every:
            _, variable = built(optimizer)
            (slot,) = _keras.slots(optimizer, name)
            before = ops.convert_to_numpy(slot)
            optimizer.apply([2.0 * ops.ones((2, 2))], [variable])
            assert not np.array_equal(before, ops.convert_to_numpy(slot))
    optimizer, variable = built(optimizers.Nadam(0.1))
    optimizer.apply([ops.ones((2, 2))], [variable])
    product = ops.convert_to_numpy(_keras.slots(optimizer, "u_product"))
    assert product < 1.0


def test_track():
    optimizer, _ = built(optimizers.SGD(0.1))
    mine = keras.Variable(1.0, trainable=False)
    _keras.track(optimizer, mine)
    assert any(own is mine for own in optimizer.variables)


def test_untrack():
    optimizer, _ = built(optimizers.SGD(0.1))
    mine, other = (keras.Variable(1.0, trainable=False) for _ in range(2))
    _keras.track(optimizer, mine)
    dropped = _keras.untrack(optimizer, [mine, other])
    assert [own is mine for own in dropped] == [True]
    assert not any(own is mine for own in optimizer.variables)


def test_decays():
    optimizer, variable = built(optimizers.AdamW(0.1))
    other = keras.Variable(1.0, name="other")
    optimizer.exclude_from_weight_decay(var_list=[other])
    assert _keras.decays(optimizer, variable)
    assert not _keras.decays(optimizer, other)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="by TensorFlow and JAX")
def test_replace_rules():
    called = []
    optimizer, variable = built(optimizers.AdamW(0.1, clipnorm=1.0))

    def rule(name):
        return lambda *given: called.append(name) or given[0]

    own = _keras.replace_rules(optimizer, rule("clip"), rule("update"), rule("decay"))
    assert callable(own)
    stateless = _keras.BASE.stateless_apply
    variables = [v.value for v in optimizer.variables]
    if TENSORFLOW:
        _keras.without_strategy(optimizer)
    stateless(optimizer, variables, [ops.ones((2, 2))], [variable.value])
    assert called == ["clip", "decay", "update"]


def test_BASE():
    assert issubclass(optimizers.Adam, _keras.BASE)
    assert callable(_keras.BASE.stateless_apply)


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.Nadam])
def test_without_strategy(kind):
    plain, variable = built(kind(0.1))
    plain.apply([ops.ones((2, 2))], [variable])
    stateless = kind(0.1)
    _keras.without_strategy(stateless)
    _, other = built(stateless)
    given = [v.value for v in stateless.variables]
    gradients = [ops.ones((2, 2))]
    base = _keras.BASE
    weights, slots = base.stateless_apply(stateless, given, gradients, [other.value])
    np.testing.assert_allclose(weights[0], variable.value, rtol=1e-6)
    for slot, own in zip(slots, plain.variables, strict=True):
        np.testing.assert_allclose(slot, own.value, rtol=1e-6)


@pytest.mark.tensorflow
def test_functions_of():
    import tensorflow as tf

    inner = tf.function(lambda x: tf.sin(x), autograph=False)
    outer = tf.function(lambda x: inner(x) + 1.0, autograph=False)
    graph = outer.get_concrete_function(tf.ones(())).graph
    kinds = {
        op.type for own in _keras.functions_of(graph) for op in own.get_operations()
    }
    assert "Sin" in kinds


@pytest.mark.tensorflow
def test_register_converter():
    assert _keras.register_converter("NoSuchOperation", lambda operation: None)
    assert _keras.register_converter("NoSuchOperation", lambda operation: None)


@pytest.mark.tensorflow
def test_stacked():
    import tensorflow as tf

    tensor, is_stacked, _ = _keras.stacked(tf.ones((2,)))
    assert is_stacked
    assert tensor.shape == (2,)


def test_without_values():
    layer = _keras.without_values(lambda: built_layer(10**6))
    assert layer.kernel.shape == (10**6, 10**6)
    assert network().get_layer("only").kernel.shape == (3, 2)


def built_layer(size):
    layer = layers.Dense(size)
    layer.build((None, size))
    return layer


def test_training_argument():
    class Plain(keras.Model):
        def call(self, x):
            return x

    class Training(keras.Model):
        def call(self, x, training=False):
            return x

    assert _keras.training_argument(Plain(), True) == {}
    assert _keras.training_argument(Training(), True) == {"training": True}


def test_add_step_variables():
    model = network()
    (mine,) = _keras.add_step_variables(model, (2,), "mine")
    model.train_function = None

    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            _keras.synchronize(model)

    compute = model.compute_loss

    def counted(*given, **named):
        mine.assign_add(ops.ones((2,)))
        return compute(*given, **named)

    model.compute_loss = counted
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[Adds()])
    np.testing.assert_array_equal(ops.convert_to_numpy(mine), [2.0, 2.0])


def test_remove_step_variables():
    model = network()
    before = len(model.metrics_variables)
    mine = _keras.add_step_variables(model, (2,), "mine", "other")
    assert len(model.metrics_variables) == before + 2
    _keras.remove_step_variables(model, mine)
    assert len(model.metrics_variables) == before


def test_seen_rows():
    model = network()
    model.fit(X, Y, verbose=0)
    _keras.synchronize(model)
    assert _keras.seen_rows(model) == len(X)


def test_reported():
    assert set(_keras.reported(network())({"loss": 1.0})) == {"loss"}


def test_replace_reported():
    model = network()
    _keras.replace_reported(model, lambda logs: {"mine": 1.0})
    history = model.fit(X, Y, verbose=0).history
    assert history == {"mine": [1.0]}


def test_restore_reported():
    model = network()
    _keras.replace_reported(model, lambda logs: {"mine": 1.0})
    _keras.restore_reported(model)
    assert set(model.fit(X, Y, verbose=0).history) == {"loss"}


def test_is_validation():
    found = []

    class Model(keras.Sequential):
        def evaluate(self, *given, **named):
            found.append(_keras.is_validation(named))
            return super().evaluate(*given, **named)

    model = Model([keras.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, Y, validation_data=(X, Y), verbose=0)
    model.evaluate(X, Y, verbose=0)
    assert found == [True, False]


def test_synchronize():
    model, found = network(), []

    class Looks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            _keras.synchronize(model)
            found.append(float(ops.convert_to_numpy(model.optimizer.iterations)))

    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[Looks()])
    assert found == [1.0, 2.0]


def two_outputs():
    given = keras.Input((3,))
    one, two = layers.Dense(2, name="one"), layers.Dense(2, name="two")
    model = keras.Model(given, {"one": one(given), "two": two(given)})
    model.compile(
        "sgd", {"one": "mse", "two": "mae"}, loss_weights={"one": 1.0, "two": 0.5}
    )
    model.fit(X, {"one": Y, "two": Y}, verbose=0)
    return model


def test_compiled_loss():
    model = two_outputs()
    y = {"one": ops.convert_to_tensor(Y), "two": ops.convert_to_tensor(Y)}
    shifted = {"one": y["one"] + 2.0, "two": y["two"] + 3.0}
    assert float(_keras.compiled_loss(model)(y, shifted)) == pytest.approx(4.0 + 1.5)
    assert _keras.compiled_loss(keras.Sequential([layers.Dense(2)])) is None


def test_parts():
    found = [(part.name, part.loss_weights) for part in _keras.parts(two_outputs())]
    assert found == [("one", 1.0), ("two", 0.5)]


def test_watched_parts():
    model = two_outputs()
    before = _keras.parts(model)
    with _keras.watched_parts(
        model, lambda part: lambda y, given, weights: ops.sum(0.0 * given)
    ):
        y = {"one": ops.convert_to_tensor(Y), "two": ops.convert_to_tensor(Y)}
        shifted = {"one": y["one"] + 2.0, "two": y["two"] + 3.0}
        assert float(_keras.compiled_loss(model)(y, shifted)) == 0.0
    assert _keras.parts(model) == before


def test_mask_of():
    outputs = layers.Embedding(3, 2, mask_zero=True)(np.array([[1, 0]]))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(_keras.mask_of(outputs)), [[True, False]]
    )
    assert _keras.mask_of(ops.ones((1, 2, 2))) is None


def test_aggregated():
    loss = ops.convert_to_tensor(2.0)
    assert float(_keras.aggregated(network(), loss)) == 2.0
