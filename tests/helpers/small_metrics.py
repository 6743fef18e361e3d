"""A small study with metrics, and functions of a user."""

STUDY = """\
name = "small"
seeds = 2
[data]
name = "iris"
[model]
name = "mlp"
hidden = [5]
[train]
epochs = 2
learning_rate = 1e-2
metrics = {}
[[sweep]]
regularizer = "L1"
target = "kernel"
strength = [1e-2]
"""

OWN = """\
import numpy as np
from keras import ops

def margin(y, outputs):
    own = np.take_along_axis(outputs, y[:, None], axis=1)[:, 0]
    return own - outputs.mean(axis=1)

def margin_in_keras(y, outputs):
    own = ops.take_along_axis(outputs, ops.expand_dims(y, 1), axis=1)[:, 0]
    return own - ops.mean(outputs, axis=1)

def clearing(y, outputs):
    y[:], outputs[:] = 0, 0
    return outputs[:, 0]

def infinite(y, outputs):
    return np.full(len(y), np.inf)

def whole(y, outputs):
    return outputs.mean()

def table(y, outputs):
    return outputs

def broken(y, outputs):
    return {}["a"]
"""
