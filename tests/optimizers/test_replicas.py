"""Proximal under `MirroredStrategy`, on two virtual devices of a fresh process."""

import numpy as np
import pytest

from helpers.processes import printed

REPLICATED = """
import json
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
from keras import optimizers
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1
from helpers.stepping import LOOPS, data, model_of, weights
found = {}
makers = {
    **{name: lambda make=make: Proximal(make()) for name, (make, _) in LOOPS.items()},
    "loss scale": lambda: optimizers.LossScaleOptimizer(Proximal(LOOPS["sgd"][0]())),
}
for name, make in makers.items():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = model_of(make(), L1(0.3))
    x, y = data()
    model.fit(x, y, batch_size=len(x), epochs=10, shuffle=False, verbose=0)
    found[name] = [value.tolist() for value in weights(model)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def replicated():
    return printed(REPLICATED)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "loss scale"])
def test_two_replicas_take_the_steps_of_one(replicated, name):
    from helpers.stepping import LOOPS, by_hand

    expected = by_hand(LOOPS.get(name, LOOPS["sgd"])[1])
    for value, other in zip(replicated[name], expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=2e-6)
