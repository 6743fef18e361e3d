"""A model with one penalty and no gradient of the data, and ways to train it.

An L1 of 0.1 with steps of 0.1 takes 0.01 off each weight a step, by the gradient of SGD
and by its proximal step alike.
"""

import keras
import numpy as np

from kregkit.regularizers import L1

X = np.zeros((8, 3), "float32")
Y = np.zeros((8, 2), "float32")


def network(penalty=None):
    """Return a model of one kernel of ones under L1(0.1)."""
    layer = keras.layers.Dense(
        2,
        use_bias=False,
        kernel_regularizer=L1(0.1) if penalty is None else penalty,
        kernel_initializer="ones",
        name="only",
    )
    return keras.Sequential([keras.Input((3,)), layer])


def after(steps):
    return np.full((3, 2), 1.0 - 0.01 * steps)


def kernel(model):
    return np.array(model.get_weights()[0])


def data_loss(model):
    return 0.0 * keras.ops.sum(model(X))


def all_losses(model):
    return data_loss(model) + sum(model.losses)


def looped(model, optimizer, steps=2, compiled=True, loss_of=all_losses, applied=None):
    """Take steps of a loop that is not Keras's, as each backend has them."""
    loops = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    loop = loops[keras.backend.backend()]
    loop(model, optimizer, steps, compiled, loss_of, applied)


def _tensorflow(model, optimizer, steps, compiled, loss_of, applied):
    import tensorflow as tf

    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(model)
        grads = tape.gradient(loss, model.trainable_variables)
        grads = grads if applied is None else [applied(g) for g in grads]
        optimizer.apply(grads, model.trainable_variables)

    step = tf.function(step) if compiled else step
    for _ in range(steps):
        step()


def _torch(model, optimizer, steps, compiled, loss_of, applied):
    for _ in range(steps):
        model.zero_grad()
        loss_of(model).backward()
        grads = [variable.value.grad for variable in model.trainable_variables]
        grads = grads if applied is None else [applied(g) for g in grads]
        optimizer.apply(grads, model.trainable_variables)


def _jax(model, optimizer, steps, compiled, loss_of, applied):
    import jax

    optimizer.build(model.trainable_variables)  # has no state before

    def loss(values):
        mapping = list(zip(model.trainable_variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return loss_of(model)

    def step(values, state):
        grads = jax.grad(loss)(values)
        grads = grads if applied is None else [applied(g) for g in grads]
        return optimizer.stateless_apply(state, grads, values)

    step = jax.jit(step) if compiled else step
    values = [variable.value for variable in model.trainable_variables]
    state = [variable.value for variable in optimizer.variables]
    for _ in range(steps):
        values, state = step(values, state)
    for variables, found in (
        (model.trainable_variables, values),
        (optimizer.variables, state),
    ):
        for variable, value in zip(variables, found, strict=True):
            variable.assign(value)
