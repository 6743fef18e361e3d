"""Which step, model and optimizer is at work, as `kregkit._keras` reads the stack."""

import keras
import numpy as np
import pytest
from keras import optimizers

from kregkit import _keras

pytestmark = [pytest.mark.jax, pytest.mark.torch]
X, Y = np.zeros((8, 3), "float32"), np.zeros((8, 2), "float32")


def network(penalty=None):
    layer = keras.layers.Dense(2, use_bias=False, kernel_regularizer=penalty)
    return keras.Sequential([keras.Input((3,)), layer])


def seen_by_a_regularizer(look, **compiled):
    """Return what a function gives where Keras computes the loss of a `fit`."""
    found = []

    class Looking(keras.regularizers.Regularizer):
        def __call__(self, w):
            found.append(look())
            return 0.0 * keras.ops.sum(w)

    model = network(Looking())
    model.compile(optimizers.SGD(0.1), "mse", **compiled)
    model.fit(X, Y, verbose=0)
    return model, found


@pytest.mark.parametrize("eager", [False, True])
def test_the_training_step_is_seen_where_a_penalty_is_computed(eager):
    model, found = seen_by_a_regularizer(_keras.training_step, run_eagerly=eager)
    steps = [step for step in found if step is not None]
    assert steps
    assert all(step.model is model for step in steps)
    assert all(step.optimizer is model.optimizer for step in steps)
    assert not any(step.has_own_loss for step in steps)
    assert _keras.training_step() is None
    assert found or model.losses


def test_the_model_at_work_is_seen():
    model, found = seen_by_a_regularizer(_keras.model_at_work)
    assert all(seen is model for seen in found)
    assert _keras.model_at_work() is None


def test_an_optimizer_at_work_is_seen_and_the_gradients_of_its_step_known():
    found = []

    class Looking(optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            step = _keras.training_step()
            # On JAX the gradients are of a function inside the step.
            if keras.backend.backend() != "jax":
                found.append(step.took(grads) and not step.took([g + 0 for g in grads]))
            super().apply(grads, trainable_variables)

        def build(self, variables):
            found.append(self.built or _keras.in_apply() or self.before)
            super().build(variables)

    model = network()
    optimizer = Looking(0.1)
    optimizer.before = keras.backend.backend() != "tensorflow"
    model.compile(optimizer, "mse", run_eagerly=True)
    model.fit(X, Y, batch_size=8, verbose=0)
    assert found
    assert all(found)
    assert not _keras.in_apply()


def test_optimizers_that_hold_others_are_told_apart():
    inner = optimizers.SGD(0.1)
    assert _keras.applies_itself(inner)
    assert not _keras.applies_itself(optimizers.LossScaleOptimizer(inner))
    assert not _keras.applies_itself(type("Mine", (optimizers.SGD,), {})(0.1))
    if hasattr(optimizers, "MultiOptimizer"):
        several = optimizers.MultiOptimizer(optimizers.OptimizerMap(inner))
        assert not _keras.applies_itself(several)


class Seen(keras.constraints.Constraint):
    """Keeps what it is called with."""

    def __init__(self):
        self.found = []

    def __call__(self, w):
        self.found.append(w)
        return w


def test_every_optimizer_calls_the_constraint_of_what_it_updates():
    for make in (optimizers.SGD, optimizers.Adam, optimizers.Lion, optimizers.Ftrl):
        variable = keras.Variable(np.ones((3, 2), "float32"))
        seen = variable.constraint = Seen()
        optimizer = make(0.1)
        optimizer.apply([keras.ops.ones((3, 2))], [variable])
        assert len(seen.found) == 1
