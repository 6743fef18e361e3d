"""What live copies, configs and named parameters refuse."""

import keras
import pytest

from kregkit import regularizers
from kregkit.errors import ParameterError, UnknownNameError
from kregkit.regularizers import Penalty


@pytest.mark.parametrize("value", [-1.0, float("nan"), "x", True, None])
def test_replace_refuses_numbers_outside_their_range(value):
    with pytest.raises(ParameterError) as refused:
        regularizers.L1(0.1).replace(strength=value)
    assert str(refused.value) == (
        f"L1: `strength` must be a finite number >= 0; received {value!r}."
    )


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("strength", True, "a finite number >= 0"),
        ("strength", "0.1", "a finite number >= 0"),
        ("ratio", 2, "a number from 0 to 1"),
        ("ratio", True, "a number from 0 to 1"),
    ],
)
def test_make_names_the_parameter_that_was_given(name, value, rule):
    given = {"strength": 0.1, "ratio": 0.5} | {name: value}
    with pytest.raises(ParameterError) as refused:
        regularizers.make("L1L2", **given)
    assert str(refused.value) == f"L1L2: `{name}` must be {rule}; received {value!r}."


def test_make_refuses_a_parameter_that_the_penalty_does_not_have():
    with pytest.raises(UnknownNameError) as refused:
        regularizers.make("L1L2", 0.1, rato=0.5)
    assert str(refused.value) == (
        "L1L2.make: unknown 'rato'. Did you mean 'ratio'? Known: ratio."
    )


def test_the_base_class_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Penalty(0.1)


@pytest.mark.parametrize(
    "config",
    [{"kregkit": 2, "strength": 0.1}, {"strength": 0.1}, {"kregkit": 1, "l1": 1}],
)
def test_a_config_of_another_form_is_refused(config):
    with pytest.raises(ParameterError) as refused:
        regularizers.L1.from_config(config)
    assert str(refused.value) == (
        "L1.from_config: `config` must be a config with kregkit = 1 and strength; "
        f"received {config!r}."
    )


def test_a_config_of_keras_is_not_taken_for_ours():
    config = keras.regularizers.serialize(keras.regularizers.L2(0.3))
    loaded = keras.regularizers.deserialize(config)
    assert type(loaded) is keras.regularizers.L2
