"""Activity penalties on kernels, and kernel penalties on activities, raise."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kregkit import regularizers
from kregkit.errors import ParameterError
from kregkit.known import ORTHOGONALITY, SPECTRAL
from kregkit.specs import SPECS


def of_one_layer(**hooks: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, **hooks)])
    model.compile("sgd", "mse")
    return model


ACTIVITY = [name for name, own in SPECS.items() if own.only_on == "activity"]


@pytest.mark.parametrize("name", ACTIVITY)
def test_a_penalty_of_activities_refuses_a_kernel(name: str) -> None:
    model = of_one_layer(kernel_regularizer=regularizers.make(name, 0.1))
    path = model.layers[0].kernel.path
    for call in (model.fit, model.evaluate):
        with pytest.raises(ParameterError) as caught:
            call(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
        assert str(caught.value) == (
            f"{name}: `w` must be the output of a layer (use it as "
            f"`activity_regularizer`); received 'the weight {path}'."
        )


@pytest.mark.parametrize("form", [*ORTHOGONALITY.words, *SPECTRAL.words, "nuclear"])
def test_a_penalty_of_kernels_refuses_activities(form: str) -> None:
    name = "SpectralNorm" if form in SPECTRAL.words else "Orthogonality"
    penalty = (
        regularizers.NuclearNorm(0.1)
        if form == "nuclear"
        else regularizers.make(name, 0.1, form=form)
    )
    model = of_one_layer(activity_regularizer=penalty)
    x, y = np.ones((4, 3)), np.ones((4, 2))
    for call, shape in (
        (lambda: model(x), (4, 2)),
        (lambda: model.fit(x, y, verbose=0, batch_size=4), None),
        (lambda: model.fit(x, y, verbose=0, batch_size=3), None),
    ):
        with pytest.raises(ParameterError) as caught:
            call()
        words = f"{type(penalty).__name__}: `w` must be a kernel, not the output"
        assert words in str(caught.value)
        assert shape is None or str(shape) in str(caught.value)


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize("name", ACTIVITY)
def test_it_refuses_a_kernel_where_keras_gives_its_tensor(name: str) -> None:
    model = of_one_layer(kernel_regularizer=regularizers.make(name, 0.1))
    values = [v.value for v in model.trainable_variables]
    with pytest.raises(ParameterError, match="received 'the weight"):
        model.stateless_call(values, [], np.ones((4, 3)), return_losses=True)


@pytest.mark.parametrize(
    "penalty",
    [
        regularizers.SLOPE(0.1),
        regularizers.ExclusiveLasso(0.1),
        regularizers.GroupLasso(0.1, "2x2"),
    ],
    ids=lambda own: type(own).__name__,
)
def test_what_sorts_refuses_outputs_of_which_nobody_knows_how_many(
    penalty: regularizers.Penalty,
) -> None:
    model = of_one_layer(activity_regularizer=penalty)
    with pytest.raises(ParameterError) as caught:
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0, batch_size=3)
    assert (
        f"{type(penalty).__name__}: `w` must be of a known shape, such as a weight, "
        "not the output of a layer; received (None, 2)."
    ) in str(caught.value)
