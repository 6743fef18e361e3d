"""The layer of a weight is known to its penalty, or the penalty refuses the weight."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kregkit
from kregkit import _keras
from kregkit.errors import ModelError, ParameterError, VersionError
from kregkit.optimizers import Proximal
from kregkit.regularizers import GroupLasso, Orthogonality, SparseGroupLasso

pytestmark = [pytest.mark.jax, pytest.mark.torch]
X = np.zeros((2, 4, 4, 3), "float32")


def transposed(penalty):
    """Return a model of one transposed convolution, with units on axis -2."""
    keras.utils.set_random_seed(0)
    layer = layers.Conv2DTranspose(
        2, 3, use_bias=False, kernel_regularizer=penalty, name="up"
    )
    return keras.Sequential([keras.Input((4, 4, 3)), layer], name="m"), layer


def number(value):
    return float(ops.convert_to_numpy(value))


def units(kernel):
    """Return the norms of the units of such a kernel, by NumPy."""
    return np.sqrt(np.square(np.asarray(kernel)).sum(axis=(0, 1, 3)))


def test_a_weight_given_by_hand_is_refused_until_its_model_is_bound():
    penalty = GroupLasso(0.1, group="unit", weighting="none")
    model, layer = transposed(penalty)
    with pytest.raises(ParameterError) as refused:
        penalty(layer.kernel)
    assert str(refused.value) == (
        "GroupLasso: the groups 'unit' of m/up/kernel depend on its kind of layer, "
        "which is unknown here; call `kregkit.bind(model)` after the model is built."
    )
    expected = 0.1 * units(ops.convert_to_numpy(layer.kernel)).sum()
    (loss,) = model.losses  # Keras tells the layer
    assert number(loss) == pytest.approx(expected, rel=1e-6)
    kregkit.bind(model)
    assert number(penalty(layer.kernel)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("penalty", "what"),
    [
        (SparseGroupLasso(0.1, 0.1, group="input"), "the groups 'input'"),
        (Orthogonality(0.1), "the units"),
    ],
)
def test_every_kind_of_penalty_that_needs_the_layer_refuses(penalty, what):
    _, layer = transposed(penalty)
    with pytest.raises(ParameterError, match=f"{what} of m/up/kernel depend"):
        penalty(layer.kernel)


def test_axes_and_words_that_mean_the_same_in_every_layer_need_no_layer():
    for group in ((0,), "column", "row"):
        penalty = GroupLasso(0.1, group=group)
        _, layer = transposed(penalty)
        by_itself = penalty(ops.convert_to_tensor(layer.kernel))
        assert number(penalty(layer.kernel)) == number(by_itself)


def step(model, layer):
    """Take one step of Proximal(SGD) in a loop that never asks for the losses."""
    optimizer = Proximal(keras.optimizers.SGD(1.0))
    optimizer.build(model.trainable_variables)
    optimizer.apply([ops.zeros(layer.kernel.shape)], [layer.kernel])


def test_a_proximal_step_in_a_loop_of_ones_own_needs_a_bound_model():
    penalty = GroupLasso(0.1, group="unit", weighting="none")
    model, layer = transposed(penalty)
    with pytest.raises(ModelError, match=r"of m/up/kernel depend .*kregkit\.bind"):
        step(model, layer)
    model, layer = transposed(penalty)
    before = ops.convert_to_numpy(layer.kernel)
    kregkit.bind(model)
    step(model, layer)
    left = np.maximum(1.0 - 0.1 / units(before), 0.0)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.kernel), before * left[:, None], rtol=1e-5
    )


def test_a_keras_that_has_renamed_what_is_read_is_refused(monkeypatch):
    method = "_get_regularization_losses"
    monkeypatch.setattr(keras.layers.Layer, method, lambda self: [])
    with pytest.raises(VersionError, match=r"self, variable and v; Keras \d"):
        _keras.stack._losses_of_weights()
    monkeypatch.delattr(keras.layers.Layer, method)
    with pytest.raises(VersionError, match=method):
        _keras.stack._losses_of_weights()
