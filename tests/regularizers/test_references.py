"""Penalties that hold an array: its shape, its bits, and where they lead."""

import copy
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from helpers.gradients import gradient, numpy
from kregkit import regularizers
from kregkit.errors import ParameterError
from kregkit.regularizers import L1SP, L2SP, LogSum, Penalty, WeightedL1

pytestmark = pytest.mark.torch

RANDOM = np.random.default_rng(0)
W = RANDOM.normal(size=(3, 4))
HELD = RANDOM.normal(size=(3, 4)).astype("float32")
C = np.abs(HELD)

CASES = {
    "L1SP": (L1SP(0.3, HELD), np.abs(W - HELD).sum(), np.sign(W - HELD)),
    "L2SP": (L2SP(0.3, HELD), np.square(W - HELD).sum(), 2 * (W - HELD)),
    "WeightedL1": (WeightedL1(0.3, C), (C * np.abs(W)).sum(), C * np.sign(W)),
}
every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_each_weight_has_its_own(name: str) -> None:
    penalty, value, slope = CASES[name]
    np.testing.assert_allclose(penalty.value(W), value, 1e-12)
    np.testing.assert_allclose(gradient(penalty, W), 0.3 * slope, 1e-12)
    amount = RANDOM.exponential(0.5, W.shape)
    for given in (amount, 0.4):
        found = numpy(penalty.prox(W, given))
        apart = [
            numpy(
                type(penalty)(0.3, float(held)).prox(np.array([w]), np.array([a]))
            ).item()
            for w, held, a in zip(
                W.ravel(),
                (C if name == "WeightedL1" else HELD).ravel(),
                np.broadcast_to(given, W.shape).ravel(),
                strict=True,
            )
        ]
        np.testing.assert_allclose(found.ravel(), apart, 1e-12)


def test_what_is_near_its_reference_ends_exactly_at_it() -> None:
    w = np.float32(HELD + np.array([0.05, -0.3, 0.1, 1e-7]))
    found = numpy(L1SP(1.0, HELD).prox(w, 0.2))
    assert np.array_equal(found == HELD, np.abs(w - HELD) <= 0.2)
    assert (found == HELD).sum() == 9


@every_case
def test_arrays_are_kept_to_the_last_bit(name: str, tmp_path: Path) -> None:
    penalty, *_ = CASES[name]
    (field,) = penalty.arrays
    held = getattr(penalty, field)
    assert not held.flags.writeable
    layer = layers.Dense(4, kernel_regularizer=penalty)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for other in (
        type(penalty).from_config(penalty.get_config()),
        regularizers.get(keras.regularizers.serialize(penalty)),
        pickle.loads(pickle.dumps(penalty)),
        copy.deepcopy(penalty),
        loaded.layers[0].kernel_regularizer,
    ):
        assert type(other) is type(penalty)
        assert getattr(other, field).dtype == held.dtype
        assert getattr(other, field).tobytes() == held.tobytes()
        assert other.get_config() == penalty.get_config()
    wide = type(penalty)(0.3, np.float64(held))
    assert getattr(wide, field).dtype == "float64"


@every_case
def test_what_is_no_array_of_numbers_in_range_is_refused(name: str) -> None:
    cls = type(CASES[name][0])
    for bad in ([1.0, np.nan], [2e6], ["a"], [[1.0], [1.0, 2.0]], [True]):
        with pytest.raises(ParameterError, match=r"a number from .*, or an array of"):
            cls(0.3, bad)
    with pytest.raises(ParameterError, match=r"a tensor of the shape of .* \(3, 4\)"):
        CASES[name][0].value(W[:2])


@every_case
def test_of_a_weight_the_values_now_are_kept(name: str) -> None:
    penalty, *_ = CASES[name]
    (field,) = penalty.arrays
    weight = keras.Variable(getattr(penalty, field))
    own = type(penalty)(0.3, weight)
    weight.assign(np.zeros((3, 4)))
    assert own.get_config() == penalty.get_config()


@pytest.mark.parametrize("epsilon", [0.0, -3.0, np.nan])
def test_reweighting_needs_an_epsilon(epsilon: float) -> None:
    with pytest.raises(ParameterError, match=r"reweighted: `epsilon` must be a number"):
        WeightedL1.reweighted(0.1, [1.0, 2.0], epsilon)


def test_reweighting_finds_what_log_sum_does() -> None:
    """Majorise and minimise: of ½(w − v)²/a + λ·ε·log(1 + |w|/ε), for each weight."""
    v, amount, epsilon = np.linspace(-1, 1, 41), 0.05, 0.2
    w, penalty = v, WeightedL1(1.0)
    for _ in range(300):
        penalty = WeightedL1.reweighted(1.0, w, epsilon)
        w = numpy(penalty.prox(v, amount))
    expected = numpy(LogSum(1.0, epsilon).prox(v, amount * epsilon))
    np.testing.assert_allclose(w, expected, 1e-5, 1e-6)
    assert isinstance(penalty, Penalty)
    assert 0 < np.mean(w == 0) < 1
