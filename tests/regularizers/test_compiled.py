"""Families over the registry: compiled, and many trials as one program."""

import numpy as np
import pytest
import tensorflow as tf

from helpers.formulas import TRACED, Case
from kregkit.regularizers import Penalty

every_case = pytest.mark.parametrize("case", TRACED)


def prox(penalty: Penalty, w: object, amount: object) -> tf.Tensor:
    """Return the proximal point; of a penalty that has none, the weight."""
    return penalty.prox(w, amount) if penalty.proximal else tf.convert_to_tensor(w)


@every_case
def test_compiled_value_and_prox_equal_the_eager_ones(case: Case) -> None:
    w = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    w[0] = 0.0
    w = case.fit(w)

    def both(w: tf.Tensor, amount: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return case.penalty(w), prox(case.penalty, w, amount)

    (amount, *_) = case.takes(tf.constant(np.abs(w[..., ::-1, :])), tf.constant(0.3))
    expected = both(w, amount)
    # Some are a difference of near numbers: to a unit of the weight's last place.
    last = np.finfo("float32").eps * np.maximum(np.abs(w), case.rounding)
    for found in (
        tf.function(both)(tf.constant(w), amount),
        tf.function(both, jit_compile=True)(tf.constant(w), amount),
    ):
        np.testing.assert_allclose(found[0], expected[0], 1e-6)
        off = np.abs(found[1] - expected[1])
        assert np.all(off <= 1e-6 * np.abs(expected[1]) + last)


@every_case
def test_a_batch_of_trials_equals_the_loop(case: Case) -> None:
    random = np.random.default_rng(0)
    draws = random.normal(size=(3, 4, 5)).astype("float32")
    w = np.stack([case.fit(draw) for draw in draws])
    strengths = np.float32([0.01, 0.1, 1.0])

    def one(pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        live, amount = case.penalty.replace(strength=pair[1]), 0.1 * pair[1]
        each = amount if live.scalar_step_only else amount * tf.abs(pair[0])
        return live(pair[0]), prox(live, pair[0], amount), prox(live, pair[0], each)

    batch = tf.vectorized_map(one, (tf.constant(w), tf.constant(strengths)))
    for trial in range(3):
        alone = one((w[trial], tf.constant(strengths[trial])))
        np.testing.assert_allclose(batch[0][trial], alone[0], 1e-6)
        np.testing.assert_allclose(batch[1][trial], alone[1], 1e-6)
        np.testing.assert_allclose(batch[2][trial], alone[2], 1e-6)
        expected = strengths[trial] * case.value(w[trial])
        np.testing.assert_allclose(alone[0], expected, 1e-5)
