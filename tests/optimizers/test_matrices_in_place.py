"""Kernels as matrices have the units of their layer in the columns."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from helpers.in_place import CASES, IMAGE, data
from kregkit.optimizers import Proximal
from kregkit.regularizers import (
    GroupLasso,
    NuclearNorm,
    Orthogonality,
    SpectralNorm,
)


def as_columns(kernel: np.ndarray, units: tuple[int, ...]) -> np.ndarray:
    """Return a kernel as a matrix whose columns are the units."""
    rest = [axis for axis in range(kernel.ndim) if axis not in units]
    order = [*rest, *units]
    width = int(np.prod([kernel.shape[axis] for axis in units]))
    return np.transpose(kernel, order).reshape(-1, width)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_penalties_of_matrices_have_the_units_of_the_layer_in_columns(case):
    def soft(matrix):
        gram = matrix.T @ matrix
        return np.square(gram - np.eye(len(gram))).sum()

    for penalty, value in (
        (Orthogonality(0.3), soft),
        (NuclearNorm(0.3), lambda m: np.linalg.svd(m, compute_uv=False).sum()),
        (SpectralNorm(0.3), lambda m: np.linalg.norm(m, 2) ** 2),
    ):
        model = case.model(penalty)
        kernels = {w.path.removeprefix("own/"): w for w in model.trainable_variables}
        expected = [
            0.3 * value(as_columns(np.float64(kernels[path].numpy()), words["unit"]))
            for path, words in case.axes.items()
        ]
        found = [float(loss) for loss in model.losses]
        np.testing.assert_allclose(sorted(found), sorted(expected), 1e-4)


@pytest.mark.parametrize("name", ["attention", "conv2d_transpose"])
def test_a_proximal_step_of_a_matrix_is_that_of_its_units(name):
    (case,) = [case for case in CASES if case.name == name]
    model = case.model(NuclearNorm(0.4))
    names = [w.path.removeprefix("own/") for w in model.trainable_variables]
    before = dict(zip(names, model.get_weights(), strict=True))
    for path, value in before.items():
        value[...] *= "bias" not in path  # all inputs and outputs are zero: no gradient
    model.set_weights([before[own] for own in names])
    model.compile(Proximal(optimizers.SGD(0.5)), "mse")
    x, y = data(case.shape)
    model.fit(0.0 * x, 0.0 * y, verbose=0)
    after = dict(zip(names, model.get_weights(), strict=True))
    for path, words in case.axes.items():
        units = words["unit"]
        u, s, v = np.linalg.svd(as_columns(before[path], units), full_matrices=False)
        expected = (u * np.maximum(s - 0.2, 0.0)) @ v
        np.testing.assert_allclose(as_columns(after[path], units), expected, 1e-4, 1e-5)


class Keeping(keras.Model):
    """A model that keeps a weight of a layer under a name of its own."""

    def __init__(self, layer):
        super().__init__()
        self.up, self.shortcut = layer, None

    def build(self, shape):
        self.up.build(shape)
        self.shortcut = self.up.kernel

    def call(self, x):
        return self.up(x)


@pytest.mark.parametrize("how", ["wrapper", "model"])
def test_a_weight_is_of_the_layer_that_is_inside(how):
    layer = layers.Conv2DTranspose(2, 3, kernel_regularizer=GroupLasso(0.1, "unit"))
    if how == "wrapper":
        model = layers.SpectralNormalization(layer)
        model.build((None, *IMAGE))
    else:
        model = Keeping(layer)
        model.build((None, *IMAGE))
    kernel = np.random.default_rng(0).normal(size=layer.kernel.shape)
    layer.kernel.assign(kernel)
    expected = 0.1 * np.sqrt(36) * np.sqrt(np.square(kernel).sum((0, 1, 3))).sum()
    np.testing.assert_allclose(float(model.losses[0]), expected, 1e-5)
