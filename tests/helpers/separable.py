"""Penalties that are a sum over weights, in NumPy: of one weight, and its slope.

A formula is of `m = |w|`, an array; its slope is that in m, and is not asked for at 0.
"""

from collections.abc import Callable

import numpy as np

from kregkit.regularizers import (
    MCP,
    SCAD,
    CappedL1,
    Huber,
    LHalf,
    LogSum,
    LTwoThirds,
    Penalty,
    TransformedL1,
)

Value = Callable[[np.ndarray], float]
Slope = Callable[[np.ndarray], np.ndarray]
Of = Callable[[np.ndarray], np.ndarray]
"""Of magnitudes, element by element."""


def mcp(threshold: float) -> tuple[Of, Of]:
    def value(m: np.ndarray) -> np.ndarray:
        m = np.minimum(m, threshold)
        return m - m**2 / (2 * threshold)

    return value, lambda m: np.maximum(1 - m / threshold, 0)


def scad(threshold: float, a: float) -> tuple[Of, Of]:
    """Return the three pieces of Fan and Li, divided by their λ."""
    lam = threshold / a

    def value(m: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            arc = (2 * a * lam * m - m**2 - lam**2) / (2 * (a - 1) * lam)
        flat = lam * (a + 1) / 2
        return np.where(m <= lam, m, np.where(m <= threshold, arc, flat))

    def slope(m: np.ndarray) -> np.ndarray:
        arc = np.maximum(a * lam - m, 0) / ((a - 1) * lam)
        return np.where(m <= lam, 1.0, arc)

    return value, slope


def log_sum(epsilon: float) -> tuple[Of, Of]:
    return lambda m: np.log1p(m / epsilon), lambda m: 1 / (epsilon + m)


def capped(threshold: float) -> tuple[Of, Of]:
    return (
        lambda m: np.minimum(m, threshold),
        lambda m: np.where(m <= threshold, 1.0, 0.0),
    )


def transformed(a: float) -> tuple[Of, Of]:
    return lambda m: (a + 1) * m / (a + m), lambda m: (a + 1) * a / (a + m) ** 2


def power(p: float) -> tuple[Of, Of]:
    return lambda m: m**p, lambda m: p * np.where(m > 0, m, 1.0) ** (p - 1)


def huber(delta: float) -> tuple[Of, Of]:
    return (
        lambda m: np.where(m <= delta, m * (m / (2 * delta)), m - delta / 2),
        lambda m: np.minimum(m / delta, 1),
    )


def summed(value: Of, slope: Of) -> tuple[Value, Slope]:
    """Return value and gradient of a tensor, which is 0 in elements that are 0."""

    def of_all(w: np.ndarray) -> float:
        return float(value(np.abs(np.float64(w))).sum())

    def of_each(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        return np.sign(w) * slope(np.abs(w))

    return of_all, of_each


SEPARABLE: dict[type[Penalty], list[tuple[Penalty, tuple[Of, Of], float]]] = {
    MCP: [
        (MCP(0.7), mcp(0.1), 1e-3),
        (MCP(0.3, threshold=2.0), mcp(2.0), 1e-3),
    ],
    SCAD: [
        (SCAD(0.7), scad(0.1, 3.7), 1e-3),
        (SCAD(0.3, threshold=2.0, a=3.0), scad(2.0, 3.0), 1e-3),
        (SCAD(0.3, threshold=1.0, a=1.25), scad(1.0, 1.25), 1e-3),
    ],
    CappedL1: [
        (CappedL1(0.7), capped(0.1), 1e-3),
        (CappedL1(0.3, threshold=1.5), capped(1.5), 1e-3),
    ],
    LogSum: [
        (LogSum(0.7), log_sum(0.1), 1e-3),
        (LogSum(0.3, epsilon=1.5), log_sum(1.5), 1e-3),
    ],
    TransformedL1: [
        (TransformedL1(0.7), transformed(0.1), 1e-3),
        (TransformedL1(0.3, a=1.5), transformed(1.5), 1e-3),
    ],
    LHalf: [(LHalf(0.3), power(1 / 2), 0.1)],
    LTwoThirds: [(LTwoThirds(0.3), power(2 / 3), 0.1)],
    Huber: [
        (Huber(0.7), huber(0.1), 1e-3),
        (Huber(0.3, delta=2.0), huber(2.0), 1e-3),
    ],
}
"""For each class its instances, their formulas, and the size of a weight from which on
finite differences are good."""
