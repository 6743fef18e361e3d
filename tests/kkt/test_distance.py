"""The distance of u to the subdifferential of a penalty, against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.isotonic import isotonic_regression

from kregkit.kkt.negative_gradient import distance
from kregkit.regularizers import (
    L1,
    L1L2,
    L1SP,
    L2,
    MCP,
    SCAD,
    SLOPE,
    CappedL1,
    GroupLasso,
    GroupMCP,
    HoyerSquare,
    Huber,
    L1MinusL2,
    LHalf,
    LInf,
    LogSum,
    NuclearNorm,
    SparseGroupLasso,
    TransformedL1,
)


def soft(u, limit):
    return np.sign(u) * np.maximum(np.abs(u) - limit, 0)


def elementwise(slope, limit):
    """Return the distance, from the slope at sizes > 0 and its limit at 0."""

    def oracle(w, u):
        return np.where(w == 0, soft(u, limit), u - np.sign(w) * slope(np.abs(w)))

    return oracle


def by_sizes(strength, threshold):
    """Return the distance for `strength·Σ_g d·MCP(‖w_g‖/√d)`, a group a column."""

    def oracle(w, u):
        found = np.empty(w.shape)
        for j, (column, pull) in enumerate(zip(w.T, u.T, strict=True)):
            size, whole = np.sqrt(np.mean(column**2)), np.sqrt(np.mean(pull**2))
            slope = strength * max(1 - size / threshold, 0)
            unit = column / size if size else pull / whole
            found[:, j] = pull - (slope if size else min(strength, whole)) * unit
        return found

    return oracle


def less_norm(strength, beta):
    """Return the distance for `strength·(Σ|w| − β‖w‖)`, not at 0."""

    def oracle(w, u):
        rest = np.where(w == 0, soft(u, strength), u - strength * np.sign(w))
        return rest + strength * beta * w / np.linalg.norm(w)

    return oracle


def by_units(l1, l21):
    """Return the distance for `l1·Σ|w| + l21·Σ √d·‖w_g‖`, a group for each column."""

    def oracle(w, u):
        found = np.empty(w.shape)
        for j, (column, pull) in enumerate(zip(w.T, u.T, strict=True)):
            norm, amount = np.linalg.norm(column), l21 * np.sqrt(len(column))
            rest = np.where(column == 0, soft(pull, l1), pull - l1 * np.sign(column))
            if norm:
                found[:, j] = rest - amount * column / norm
            else:
                found[:, j] = rest * max(1 - amount / (np.linalg.norm(rest) or 1), 0)
        return found

    return oracle


def by_largest(strength):
    """Return the distance for `strength·max|w|`: to the simplex of those that tie."""

    def oracle(w, u):
        tied = np.abs(w) == np.abs(w).max()
        if not w.any():  # the ball of Σ|u| <= strength
            return np.sign(u) * (np.abs(u) - simplex(np.abs(u), strength, True))
        pull = (np.sign(w) * u)[tied]
        found = np.array(u, "float64")
        found[tied] = np.sign(w)[tied] * (pull - simplex(pull, strength))
        return found

    return oracle


def simplex(v, total, ball=False):
    """Return the nearest point to v with p >= 0 and Σp = total (`ball`: or less)."""
    if ball and np.maximum(v, 0).sum() <= total:
        return np.maximum(v, 0)
    low, high = v.min() - total, v.max()
    for _ in range(200):
        middle = (low + high) / 2
        above = np.maximum(v - middle, 0).sum() > total
        low, high = (middle, high) if above else (low, middle)
    return np.maximum(v - low, 0)


def by_order(strength, last):
    """Return the distance for SLOPE: for each size to the permutahedron of its λ."""

    def oracle(w, u):
        w, u = w.ravel(), u.ravel()
        size, found = np.abs(w), np.empty(w.shape)
        slopes = strength * np.linspace(1, last, w.size)
        for x in np.unique(size):
            own = size == x
            signs = np.sign(w[own]) if x else np.sign(u[own])
            pull = signs * u[own]
            order = np.argsort(-pull)
            first = (size > x).sum()
            rest = pull[order] - slopes[first : first + own.sum()]
            rest = isotonic_regression(rest, increasing=False)
            placed = np.empty(own.sum())
            placed[order] = rest if x else np.maximum(rest, 0)
            found[own] = signs * placed
        return found.reshape(6, 5)

    return oracle


def by_spectrum(strength):
    """Return the distance for the nuclear norm: all but a ball where nothing is."""

    def oracle(w, u):
        left, s, right = np.linalg.svd(w)
        rank = (s > 1e-6 * s.max()).sum()
        found = u - strength * left[:, :rank] @ right[:rank]
        beside = left[:, rank:], right[rank:]
        free = beside[0].T @ u @ beside[1].T
        a, s, b = np.linalg.svd(free, full_matrices=False)
        less = a * np.minimum(s, strength) @ b
        return found - beside[0] @ less @ beside[1]

    return oracle


def around(strength, reference):
    """Return the distance for `strength·Σ|w − w₀|`."""

    def oracle(w, u):
        away = np.sign(w - reference)
        return np.where(away == 0, soft(u, strength), u - strength * away)

    return oracle


DISTANCES = {
    "L1": (L1(0.7), elementwise(lambda w: 0.7, 0.7)),
    "L2": (L2(0.7), elementwise(lambda w: 1.4 * w, 0.0)),
    "L1L2": (L1L2(0.3, 0.2), elementwise(lambda w: 0.3 + 0.4 * w, 0.3)),
    "MCP": (
        MCP(0.7, 0.3),
        elementwise(lambda w: 0.7 * np.maximum(1 - w / 0.3, 0), 0.7),
    ),
    "narrow MCP": (
        MCP(0.7, 1e-6),
        elementwise(lambda w: 0.7 * np.maximum(1 - w / 1e-6, 0), 0.7),
    ),
    "LogSum": (LogSum(0.7, 0.3), elementwise(lambda w: 0.7 / (0.3 + w), 0.7 / 0.3)),
    "narrow LogSum": (
        LogSum(1e-6, 1e-6),
        elementwise(lambda w: 1e-6 / (1e-6 + w), 1.0),
    ),
    "SCAD": (
        SCAD(0.7, 0.4, a=4.0),
        elementwise(lambda w: 0.7 * np.clip((0.4 - w) / 0.3, 0, 1), 0.7),
    ),
    "CappedL1": (CappedL1(0.7, 0.3), elementwise(lambda w: 0.7 * (w <= 0.3), 0.7)),
    "TransformedL1": (
        TransformedL1(0.7, 0.5),
        elementwise(lambda w: 0.7 * 0.75 / (0.5 + w) ** 2, 2.1),
    ),
    "LHalf": (LHalf(0.7), elementwise(lambda w: 0.35 / np.sqrt(w + (w == 0)), np.inf)),
    "Huber": (Huber(0.7, 0.3), elementwise(lambda w: 0.7 * np.minimum(w / 0.3, 1), 0)),
    "GroupLasso": (GroupLasso(0.5), by_units(0.0, 0.5)),
    "SparseGroupLasso": (SparseGroupLasso(0.3, 0.2), by_units(0.3, 0.2)),
    "GroupMCP": (GroupMCP(0.5, threshold=0.7), by_sizes(0.5, 0.7)),
    "L1MinusL2": (L1MinusL2(0.5, beta=0.8), less_norm(0.5, 0.8)),
    "Keras's L1": (keras.regularizers.L1(0.7), elementwise(lambda w: 0.7, 0.7)),
    "Keras's L2": (keras.regularizers.L2(0.7), elementwise(lambda w: 1.4 * w, 0.0)),
    "Keras's L1L2": (
        keras.regularizers.L1L2(0.3, 0.2),
        elementwise(lambda w: 0.3 + 0.4 * w, 0.3),
    ),
    "none": (None, lambda w, u: u),
}


@pytest.mark.jax
@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", DISTANCES)
def test_the_distance_is_that_to_the_subdifferential(name, size):
    """Of weights of every size, with single zeros and a unit of zeros."""
    penalty, oracle = DISTANCES[name]
    random = np.random.default_rng(0)
    w = random.normal(size=(6, 5)).astype("float32") * np.float32(size)
    w[random.random(w.shape) < 0.4] = 0
    w[:, :2] = 0
    u = random.normal(size=w.shape).astype("float32")
    u[:, 1] *= 10
    found = ops.convert_to_numpy(distance(penalty, w, u))
    expected = oracle(np.float64(w), np.float64(u))
    gap = 2e-6 * max(np.abs(u).max(), np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=gap)


KINKS = {
    "LInf": (LInf(0.7), by_largest(0.7)),
    "L1SP": (L1SP(0.7, reference=0.5), around(0.7, 0.5)),
    "SLOPE": (SLOPE(0.7, last=0.2), by_order(0.7, 0.2)),
}


@pytest.mark.parametrize("most", [0.0, 0.5, 10.0])
@pytest.mark.parametrize("name", KINKS)
def test_kinks_beside_zero_are_seen(name, most):
    """Of weights that were cut to one size, to few of them or to none."""
    penalty, oracle = KINKS[name]
    random = np.random.default_rng(0)
    w = np.clip(random.normal(size=(6, 5)), -most, most).astype("float32")
    assert (np.abs(w) == np.abs(w).max()).sum() == {0.0: 30, 0.5: 17, 10.0: 1}[most]
    for scale in (0.1, 1.0):
        u = random.normal(scale=scale, size=w.shape).astype("float32")
        found = ops.convert_to_numpy(distance(penalty, w, u))
        expected = oracle(np.float64(w), np.float64(u))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_kinks_at_singular_values_of_zero_are_seen(rank):
    random = np.random.default_rng(0)
    w = np.zeros((6, 5), "float32")
    w[:, :rank] = random.normal(size=(6, rank))  # of low rank exactly
    for scale in (0.1, 1.0):
        u = random.normal(scale=scale, size=w.shape).astype("float32")
        found = ops.convert_to_numpy(distance(NuclearNorm(0.7), w, u))
        expected = by_spectrum(0.7)(np.float64(w), np.float64(u))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.jax
@pytest.mark.parametrize("size", [1e-12, 1e-3, 1e6])
def test_the_distance_scales_with_u_and_the_strength(size):
    w, u = np.float32([0, 0, 0.5, -2]), np.float32([0.3, -2, 0.3, -2])
    found = ops.convert_to_numpy(distance(L1(0.5 * size), w, np.float32(size) * u))
    np.testing.assert_allclose(
        found / size, [0, -1.5, -0.2, -1.5], rtol=1e-5, atol=1e-7
    )


def test_where_a_subdifferential_is_not_known_there_is_no_distance():
    w, u = np.float32([[0.0, 1.0], [2.0, -3.0]]), np.ones((2, 2), "float32")
    found = ops.convert_to_numpy(distance(HoyerSquare(0.1), w, u))
    assert np.isnan(found).tolist() == [[True, False], [False, False]]
    l1, l2 = 6.0, 14.0
    slope = 0.1 * 2 * l1 / l2 * (np.sign(w) - l1 / l2 * w)
    np.testing.assert_allclose(found[w != 0], (u - slope)[w != 0], rtol=1e-5)
