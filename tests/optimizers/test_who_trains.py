"""A penalty that `Proximal` handles acts once a step, whatever holds the optimizer."""

import gc
import re
import weakref

import keras
import numpy as np
import pytest
from keras import optimizers

from helpers.loops import X, Y, after, all_losses, data_loss, kernel, looped, network
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import KregkitError, ModelError, ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import L0, L1
from kregkit.store import Store

pytestmark = [pytest.mark.jax, pytest.mark.torch]

MODES = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])


def proximal():
    return Proximal(optimizers.SGD(0.1))


def right(model, steps=2):
    np.testing.assert_allclose(kernel(model), after(steps), rtol=0, atol=1e-7)


def held_by(held):
    held = next(iter(held.values())) if isinstance(held, dict) else held
    held = held[0] if isinstance(held, list | tuple) else held
    return getattr(held, "optimizer", held)


class Holder(optimizers.Optimizer):
    """An optimizer of one's own that hands its gradients to one that it holds."""

    def __init__(self, held, builds):
        super().__init__(learning_rate=0.0)
        self.held = held
        self.builds = builds

    @property
    def variables(self):
        return [*self._variables, *self.one.variables]

    @property
    def one(self):
        return held_by(self.held)

    def build(self, variables):
        if not self.built:
            super().build(variables)
            if self.builds:
                self.one.build(variables)

    def apply(self, grads, trainable_variables=None):
        self.one.apply(grads, trainable_variables)


class Box:
    def __init__(self, optimizer):
        self.optimizer = optimizer


AROUND = {
    "itself": lambda own: own,
    "a loss scale": lambda own: optimizers.LossScaleOptimizer(own, initial_scale=8.0),
    "a list": lambda own: Holder([own], True),
    "a tuple": lambda own: Holder((own,), True),
    "a dictionary": lambda own: Holder({"one": own}, True),
    "an object": lambda own: Holder(Box(own), True),
}
if hasattr(optimizers, "MultiOptimizer"):  # Keras 3.15
    AROUND["OptimizerMap"] = lambda own: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.0), {".*only.*": own})
    )


@MODES
@pytest.mark.parametrize("name", AROUND)
def test_it_acts_once_in_every_optimizer_around_it(name, compiled):
    model = network()
    model.compile(AROUND[name](proximal()), "mse", run_eagerly=not compiled)
    for steps in (1, 2):
        model.fit(X, Y, batch_size=8, verbose=0)
        right(model, steps)


@MODES
@pytest.mark.tensorflow  # elsewhere Keras builds optimizers before it trains
def test_it_acts_once_where_an_optimizer_around_it_builds_it_late(compiled):
    model = network()
    model.compile(Holder([proximal()], False), "mse", run_eagerly=not compiled)
    model.fit(X, Y, batch_size=4, verbose=0)
    right(model)


@MODES
@pytest.mark.parametrize("penalty", ["own", "keras"])
def test_it_acts_once_with_the_regularizers_of_keras(penalty, compiled):
    model = network(None if penalty == "own" else keras.regularizers.L1(0.1))
    model.compile(proximal(), "mse", run_eagerly=not compiled)
    model.fit(X, Y, batch_size=4, verbose=0)
    right(model)


COMPILED = {
    "not": {},
    "with adam": {"optimizer": "adam", "loss": "mse"},
    "with a loss": {"loss": "mse"},
    "with sgd": {"optimizer": "sgd", "loss": "mse"},
}


@MODES
@pytest.mark.parametrize("name", COMPILED)
def test_it_acts_once_in_a_loop_over_a_model_that_is_compiled_besides(name, compiled):
    model = network()
    if COMPILED[name]:
        model.compile(**COMPILED[name])
        model.evaluate(X, Y, verbose=0)
    optimizer = proximal()
    optimizer.build(model.trainable_variables)
    looped(model, optimizer, compiled=compiled)
    right(model)


def by_hand(model):
    return model.layers[0].kernel_regularizer(model.layers[0].kernel)


def by_its_value(model):
    return model.layers[0].kernel_regularizer(model.layers[0].kernel.value)


LOSSES = {
    "half of them": lambda model: 0.5 * sum(model.losses),
    "by hand": by_hand,
    "by hand, of the value": by_its_value,
    "by hand besides": lambda model: by_hand(model) + sum(model.losses),
    "twice": lambda model: sum(model.losses) + sum(model.losses),
}


@MODES
@pytest.mark.parametrize("name", LOSSES)
def test_it_acts_once_however_its_loss_is_computed(name, compiled):
    model = network()
    optimizer = proximal()
    optimizer.build(model.trainable_variables)

    def loss_of(model):
        return data_loss(model) + LOSSES[name](model)

    looped(model, optimizer, compiled=compiled, loss_of=loss_of)
    right(model)


@MODES
def test_gradients_that_are_clipped_hold_no_penalty(compiled):
    model = network()
    optimizer = proximal()
    optimizer.build(model.trainable_variables)
    clipped = lambda g: keras.ops.clip(g, -0.05, 0.05)  # noqa: E731
    looped(model, optimizer, compiled=compiled, applied=clipped)
    right(model)


@MODES
def test_a_part_that_was_trained_by_itself_acts_once_in_a_larger_model(compiled):
    part = network()
    part.compile(proximal(), "mse", run_eagerly=not compiled)
    part.fit(X, Y, batch_size=8, verbose=0)
    held = part.optimizer  # which lives on
    whole = keras.Sequential([keras.Input((3,)), part])
    whole.compile(optimizers.SGD(0.1), "mse", run_eagerly=not compiled)
    whole.fit(X, Y, batch_size=8, verbose=0)
    right(part)
    part.fit(X, Y, batch_size=8, verbose=0)
    right(part, 3)
    assert part.optimizer is held


@MODES
def test_one_optimizer_after_another_acts_once(compiled):
    model = network()
    first, second = proximal(), proximal()
    for optimizer in (first, second):
        optimizer.build(model.trainable_variables)
        looped(model, optimizer, steps=1, compiled=compiled)
    looped(model, first, steps=1, compiled=compiled)
    right(model, 3)


@MODES
def test_another_optimizer_is_refused_until_it_is_released(compiled):
    model = network()
    first = proximal()
    first.build(model.trainable_variables)
    looped(model, first, steps=1, compiled=compiled)
    words = re.escape(
        "only/kernel: an optimizer that is no Proximal updated it without"
    )
    with pytest.raises(ModelError, match=words):
        looped(model, optimizers.SGD(0.1), steps=1, compiled=compiled)
    model.layers[0].kernel.assign(after(1))
    first.release()
    looped(model, optimizers.SGD(0.1), steps=1, compiled=compiled)
    right(model, 2)
    with pytest.raises(ModelError, match="was released, so its penalty has a gradient"):
        looped_again(model, first, compiled)
    first.build(model.trainable_variables)
    looped(model, first, steps=1, compiled=compiled)
    right(model, 3)


def looped_again(model, optimizer, compiled):
    if keras.backend.backend() == "jax":  # whose loop builds it
        values = [variable.value for variable in model.trainable_variables]
        state = [variable.value for variable in optimizer.variables]
        optimizer.stateless_apply(state, values, values)
    looped(model, optimizer, steps=1, compiled=compiled)


@MODES
def test_another_optimizer_needs_no_release_once_it_is_gone(compiled):
    model = network()
    first = proximal()
    first.build(model.trainable_variables)
    looped(model, first, steps=1, compiled=compiled)
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
    looped(model, optimizers.SGD(0.1), steps=1, compiled=compiled)
    right(model)


@MODES
def test_a_model_that_is_compiled_again_needs_no_release(compiled):
    model = network()
    first = proximal()  # kept alive
    for optimizer in (first, optimizers.SGD(0.1), proximal(), optimizers.SGD(0.1)):
        model.compile(optimizer, "mse", run_eagerly=not compiled)
        model.fit(X, Y, batch_size=8, verbose=0)
    right(model, 4)


def test_a_constraint_of_the_user_acts_and_comes_back():
    model = network()
    variable = model.layers[0].kernel
    limit = keras.constraints.MaxNorm(1.0, axis=0)
    variable.constraint = limit
    optimizer = proximal()
    optimizer.build(model.trainable_variables)
    looped(model, optimizer, steps=1)
    lengths = np.sqrt(np.square(kernel(model)).sum(axis=0))
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)
    optimizer.release()
    assert variable.constraint is limit


def test_a_loop_that_builds_it_too_late_is_refused():
    model = network()
    grads = [np.full((3, 2), 0.1, "float32")]  # the penalty's
    with pytest.raises(
        ParameterError, match=r"must call `build\(trainable_variables\)`"
    ):
        proximal().apply(grads, model.trainable_variables)


def test_the_same_penalty_elsewhere_keeps_its_gradient():
    penalty = L1(0.1)
    model, other = network(penalty), network(penalty)
    optimizer = proximal()
    optimizer.build(model.trainable_variables)
    looped(other, optimizers.SGD(0.1))
    looped(model, optimizer)
    right(other)
    right(model)


def test_a_logger_changes_nothing_of_it():
    model = network()
    model.compile(AROUND["a list"](proximal()), "mse")
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[RegularizationLogger()])
    right(model)


@MODES
def test_l0_trains_in_an_optimizer_around_it_and_raises_elsewhere(compiled):
    model = network(L0(1.0))  # its limit is √0.2
    model.compile(AROUND["a list"](proximal()), "mse", run_eagerly=not compiled)
    model.fit(X, Y, batch_size=4, verbose=0)
    right(model, 0)
    model = network(L0(1.0))
    with pytest.raises(KregkitError, match="L0: has no useful gradient"):
        looped(model, optimizers.SGD(0.1), compiled=compiled, loss_of=all_losses)


@pytest.mark.tensorflow
@pytest.mark.parametrize("held", ["list", "tuple", "dict", "object"])
@MODES
def test_it_acts_once_in_a_train_step_of_the_users(held, compiled):
    import tensorflow as tf

    class Own(keras.Sequential):
        def train_step(self, data):
            x, _ = data
            with tf.GradientTape() as tape:
                loss = 0.0 * tf.reduce_sum(self(x)) + tf.add_n(self.losses)
            optimizer = held_by(self.own)
            variables = self.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    own = proximal()
    model = Own(network().layers)
    model.build((None, 3))
    boxes = {"list": [own], "tuple": (own,), "dict": {"a": own}, "object": Box(own)}
    model.own = boxes[held]
    model.compile("adam", run_eagerly=not compiled)
    own.build(model.trainable_variables)
    model.fit(X, Y, batch_size=4, verbose=0)
    right(model)


def test_a_name_of_an_optimizer_is_taken():
    optimizer = Proximal("adam")
    assert isinstance(optimizer.inner_optimizer, optimizers.Adam)
    with pytest.raises(ParameterError, match=r"inner_optimizer.*received 'adom'"):
        Proximal("adom")


@pytest.mark.parametrize("name", ["a list", "itself"])
def test_a_store_says_that_penalties_were_proximal(name, tmp_path):
    model = network()
    model.compile(AROUND[name](proximal()), "mse")
    kept = model.optimizer
    for folder, expected in (("one", "proximal"), ("two", "gradient")):
        log = RegularizationLogger(store=tmp_path / folder)
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=[log])
        found = Store(tmp_path / folder).read().finals["solver"].to_list()
        assert found == [expected]
        model.compile(optimizers.SGD(0.1), "mse")
    assert kept is not model.optimizer
