"""What a penalty accepts, keeps, refuses and is called."""

import copy
import dataclasses
import pickle
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import kregkit
from helpers.formulas import CASES, TRACED, Case
from kregkit import known, regularizers
from kregkit.errors import ParameterError
from kregkit.regularizers import (
    L1,
    L1L2,
    L2,
    Penalty,
)
from kregkit.specs import SPECS

every_case = pytest.mark.parametrize("case", CASES, ids=str)

NUMBERS = [
    0,
    3,
    1e-300,
    0.1,
    1e300,
    np.float16(0.5),
    np.float32(0.1),
    np.float64(0.1),
    np.int64(2),
    np.uint8(7),
    np.array(0.1),
    np.array(0.1, "float32"),
    np.array(3),
]
REFUSED = [
    True,
    False,
    np.bool_(True),
    np.array(True),
    -1,
    -1e-300,
    np.float32(-0.5),
    np.int64(-1),
    float("nan"),
    np.float32("nan"),
    float("inf"),
    -float("inf"),
    np.float64("inf"),
    "0.1",
    "",
    None,
    1j,
    [0.1],
    np.array([0.1]),
    10**400,
]


@pytest.mark.parametrize("given", NUMBERS, ids=repr)
def test_a_number_is_kept_exactly_as_a_python_float(given: object) -> None:
    for cls in (L1, L2):
        held = cls(given).get_config()
        assert held == {"kregkit": 1, "strength": float(given)}
        assert type(held["strength"]) is float
    both = L1L2(given, 0.25)
    assert both.get_config() == {"kregkit": 1, "l1": float(given), "l2": 0.25}
    assert L1L2(0.25, given).get_config()["l2"] == float(given)
    assert both.strength == float(given) + 0.25


def test_minus_zero_is_kept_as_zero() -> None:
    assert str(L1(-0.0).strength) == str(L1L2(-0.0, 1).l1) == "0.0"


@pytest.mark.parametrize("given", REFUSED, ids=lambda value: repr(value)[:20])
def test_what_is_not_a_strength_is_refused_with_its_value(given: object) -> None:
    shown = given[()] if isinstance(given, np.ndarray) and given.ndim == 0 else given
    rule = f"must be a finite number >= 0; received {shown!r}."
    for make, owner in (
        (lambda: L1(given), "L1: `strength`"),
        (lambda: L2(strength=given), "L2: `strength`"),
        (lambda: L1L2(given, 0.1), "L1L2: `l1`"),
        (lambda: L1L2(l1=0.1, l2=given), "L1L2: `l2`"),
    ):
        with pytest.raises(ParameterError) as caught:
            make()
        assert str(caught.value) == f"{owner} {rule}"
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("arguments", [(), (0, 0), (0.0, -0.0)])
def test_an_elastic_net_of_nothing_is_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError) as caught:
        L1L2(*arguments)
    assert str(caught.value) == (
        "L1L2: `l1` or `l2` must be positive; received l1=0.0, l2=0.0, a penalty "
        "that is always zero."
    )


def test_an_elastic_net_whose_sum_is_infinite_is_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        L1L2(1e308, 1e308)
    assert str(caught.value) == (
        "L1L2: `strength` must be a finite number >= 0; received inf."
    )


@every_case
def test_a_penalty_cannot_be_changed(case: Case) -> None:
    before = case.penalty.get_config()
    for name in ("strength", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(case.penalty, name, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del case.penalty.strength
    assert case.penalty.get_config() == before


@pytest.mark.parametrize("case", TRACED)
def test_a_live_strength_takes_effect_without_a_retrace(case: Case) -> None:
    w = case.fit(np.float32([[1.0, -2.0], [0.0, 0.05]]))
    before = case.penalty.get_config()
    for make in (tf.Variable, keras.Variable):
        strength = make(2.0)
        live = case.penalty.replace(strength=strength)
        penalised = tf.function(live.__call__)
        for now in (2.0, 0.0, 5.0):
            strength.assign(now)
            found = penalised(tf.constant(w))
            np.testing.assert_allclose(found, now * case.value(w), 1e-6)
        assert penalised.experimental_get_tracing_count() == 1
        assert type(live) is type(case.penalty)
        if not case.penalty.differentiable:
            continue
        with tf.GradientTape() as tape:
            tape.watch(copied := tf.constant(w))
            found = live(copied)
        slope = tape.gradient(found, copied).numpy()
        assert np.any(slope != 0)
        assert np.array_equal(slope != 0, case.slope(w) != 0)
    tensor = case.penalty.replace(strength=tf.constant(3.0))
    np.testing.assert_allclose(tensor(w), 3 * case.value(w), 1e-6)
    assert case.penalty.get_config() == before
    assert case.penalty(w) == type(case.penalty).from_config(before)(w)


def test_a_live_ratio_moves_value_and_prox() -> None:
    w, ratio = np.float32([1.0, -2.0, 0.1]), tf.Variable(0.25)
    live = L1L2(0.5, 0.5).replace(ratio=ratio)
    for r in (0.25, 1.0, 0.0):
        ratio.assign(r)
        np.testing.assert_allclose(live.value(w), r * 3.1 + (1 - r) * 5.01, 1e-6)
        shrunk = np.sign(w) * np.maximum(np.abs(w) - 0.2 * r, 0)
        expected = shrunk / (1 + 0.4 * (1 - r))
        np.testing.assert_allclose(live.prox(w, 0.2), expected, 1e-6)


@every_case
def test_a_live_copy_cannot_be_saved(case: Case) -> None:
    name = type(case.penalty).__name__
    for live in (
        case.penalty.replace(strength=1.0),
        case.penalty.replace(),
        case.penalty.replace(strength=tf.Variable(1.0)).replace(strength=2.0),
    ):
        with pytest.raises(ParameterError) as caught:
            live.get_config()
        assert str(caught.value) == (
            f"{name}: a live copy, made by `replace`, cannot be saved; save the "
            "penalty that it was made from."
        )


@every_case
def test_replace_refuses_what_is_not_a_numeric_parameter(case: Case) -> None:
    numeric = ", ".join(sorted(type(case.penalty).ranges))
    for name in ("l1", "stregth", "ranges", "value"):
        with pytest.raises(ParameterError) as caught:
            case.penalty.replace(**{name: 0.5})
        assert str(caught.value) == (
            f"{case.penalty!r}.replace: `{name}` must be a numeric parameter "
            f"({numeric}); received 0.5."
        )


@every_case
def test_config_pickle_and_copies_are_exact(case: Case) -> None:
    penalty = case.penalty
    serialized = keras.regularizers.serialize(penalty)
    for other in (
        type(penalty).from_config(penalty.get_config()),
        keras.regularizers.deserialize(serialized),
        regularizers.get(serialized),
        pickle.loads(pickle.dumps(penalty)),
        copy.copy(penalty),
        copy.deepcopy(penalty),
    ):
        assert type(other) is type(penalty)
        assert vars(other) == vars(penalty)
        assert other.get_config() == penalty.get_config()


def test_registry_and_schema_name_the_same_penalties() -> None:
    names = [cls.__name__ for cls in regularizers.classes()]
    assert names == sorted(names)
    assert sorted(SPECS) == [*names, known.DECOUPLED]
    for cls in regularizers.classes():
        spec = SPECS[cls.__name__]
        assert cls.proximal == spec.proximal
        assert cls.differentiable == spec.differentiable
        further = spec.parameters.items()
        numbers = {n: rule for n, rule in further if isinstance(rule, known.Range)}
        assert cls.ranges == {"strength": known.STRENGTH, **numbers}
        words = {n for n, rule in further if isinstance(rule, known.Choice)}
        fields = {field.name for field in dataclasses.fields(cls)}
        assert words == fields & {"form", "group", "weighting"}
        first = cls.__doc__.splitlines()[0]
        assert f"`{spec.formula}`" in first


@pytest.mark.parametrize("module", [kregkit, regularizers, kregkit.callbacks])
def test_public_names_are_sorted_and_there(module: object) -> None:
    assert sorted(set(module.__all__)) == module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=re.escape("no attribute 'nothing'")):
        _ = module.nothing


def test_the_base_is_not_in_the_registry() -> None:
    assert Penalty not in regularizers.classes()
    assert all(issubclass(cls, Penalty) for cls in regularizers.classes())
