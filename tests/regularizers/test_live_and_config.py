"""What live copies, configs and named parameters refuse."""

import keras
import numpy as np
import pytest

from kregkit import known, regularizers
from kregkit.errors import ParameterError, UnknownNameError
from kregkit.regularizers import Penalty
from kregkit.specs import SPECS


@pytest.mark.parametrize("value", [-1.0, float("nan"), "x", True, None])
def test_replace_refuses_numbers_outside_their_range(value):
    with pytest.raises(ParameterError) as refused:
        regularizers.L1(0.1).replace(strength=value)
    assert str(refused.value) == (
        f"L1: `strength` must be a finite number >= 0; received {value!r}."
    )


def test_replace_refuses_arrays_that_the_constructor_would() -> None:
    for penalty, given, rule in (
        (regularizers.L1(0.1), {"strength": np.array(-1.0)}, "a finite number >= 0"),
        (regularizers.MCP(0.1), {"threshold": np.ones(2)}, "a number from 1e-06"),
        (regularizers.WeightedL1(0.1), {"factors": [-1.0]}, "a number from 0 to 1e"),
    ):
        with pytest.raises(ParameterError, match=rule):
            penalty.replace(**given)
    held = regularizers.L2SP(0.1, np.zeros(3)).replace(reference=[1.0])
    with pytest.raises(ParameterError, match=r"the shape of `reference`, \(1,\)"):
        held(np.ones(3))


@pytest.mark.parametrize("cls", regularizers.classes(), ids=lambda cls: cls.__name__)
def test_a_proximal_step_takes_one_amount_or_one_for_each_weight(cls) -> None:
    if not cls.proximal:
        return
    with pytest.raises(ParameterError, match=r"`amount` must be a scalar.*\(3, 4\)"):
        regularizers.make(cls.__name__, 0.1).prox(
            np.ones((3, 1), "float32"), np.ones((3, 4), "float32")
        )


def test_a_live_mixture_may_make_zeros() -> None:
    assert not regularizers.L1L2(l2=0.1).makes_zeros
    assert regularizers.L1L2(l2=0.1).replace(ratio=1.0).makes_zeros
    assert not regularizers.L1L2(l1=0.1).replace(ratio=0.0).makes_zeros


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


FURTHER = [
    (name, parameter, rule)
    for name, own in SPECS.items()
    for parameter, rule in own.parameters.items()
    if isinstance(rule, known.Range)
]
"""Every numeric parameter beside the strength."""


@pytest.mark.parametrize(("name", "parameter", "rule"), FURTHER)
def test_a_live_parameter_moves_value_and_prox(name, parameter, rule):
    w = np.float32([[1.0, -2.0, 0.3], [0.5, 0.1, -0.7]])
    held = keras.Variable(rule.default)
    live = regularizers.make(name, 0.1).replace(**{parameter: held})
    found = []
    other = min(3 * rule.default, 0.5 * (rule.default + rule.high)) or 0.2
    other = other if other != rule.default else 0.5 * (rule.default + rule.low)
    for now in (rule.default, other):
        held.assign(now)
        fixed = regularizers.make(name, 0.1, **{parameter: now})
        np.testing.assert_allclose(live.value(w), fixed.value(w), 1e-6)
        if live.proximal:
            np.testing.assert_allclose(live.prox(w, 0.2), fixed.prox(w, 0.2), 1e-6)
        found.append(float(live.value(w)))
    assert found[0] != found[1]


@pytest.mark.parametrize(("name", "parameter", "rule"), FURTHER)
@pytest.mark.parametrize("value", [-1e7, 1e7, float("nan"), "0.1", True])
def test_a_parameter_has_a_range(name, parameter, rule, value):
    with pytest.raises(ParameterError) as refused:
        regularizers.make(name, 0.1, **{parameter: value})
    assert str(refused.value) == (
        f"{name}: `{parameter}` must be {rule}; received {value!r}."
    )


def test_a_penalty_without_a_proximal_operator_says_so():
    for cls in regularizers.classes():
        assert cls.proximal == (cls._prox is not Penalty._prox)
    with pytest.raises(ParameterError) as refused:
        regularizers.HoyerSquare(0.1).prox(np.ones(3), 0.1)
    assert str(refused.value) == "HoyerSquare: has no proximal operator."


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
