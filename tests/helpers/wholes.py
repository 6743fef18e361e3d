"""Penalties of a tensor or a group as a whole, in NumPy: value and gradient."""

from typing import Any

import numpy as np

from helpers.separable import Of, Slope, Value, mcp, scad
from kregkit.regularizers import (
    SLOPE,
    GroupMCP,
    GroupSCAD,
    L1MinusL2,
    NuclearNorm,
    Penalty,
    SpectralNorm,
)

Functions = tuple[Value, Slope]


def members(w: np.ndarray, group: object) -> list[np.ndarray]:
    """Return the groups of `w`, as views."""
    if group == "input":
        return [w[..., index, :] for index in range(w.shape[-2])]
    if group in ("unit", "filter"):
        return [w[..., index] for index in range(w.shape[-1])]
    if group == (0, -1):
        return [w[i, ..., j] for i in range(w.shape[0]) for j in range(w.shape[-1])]
    assert group == ()
    return [w]


def matrix(w: np.ndarray) -> np.ndarray:
    w = np.float64(w)
    return w.reshape(int(np.prod(w.shape[:-1])), w.shape[-1])


def of_groups(group: object, of: tuple[Of, Of], power: float = 1.0) -> Functions:
    """Return a function of `‖w_g‖/√d_g`, times d_g, or of the norm at power 0."""

    def weight(part: np.ndarray) -> float:
        return float(max(part.size, 1)) ** power

    def value(w: np.ndarray) -> float:
        parts = members(np.float64(w), group)
        return sum(
            weight(p) * float(of[0](np.sqrt((p**2).sum() / weight(p)))) for p in parts
        )

    def slope(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        found = np.zeros(w.shape)
        for part, into in zip(members(w, group), members(found, group), strict=True):
            size = np.sqrt((part**2).sum() / weight(part))
            if size:
                into[...] = of[1](size) * part / size
        return found

    return value, slope


def slope_of(last: float) -> Functions:
    """Return the sorted L1; weights of one size share their λ."""

    def value(w: np.ndarray) -> float:
        size = np.sort(np.abs(np.float64(w)).ravel())[::-1]
        return float((np.linspace(1, last, size.size) * size).sum())

    def slope(w: np.ndarray) -> np.ndarray:
        size = np.abs(np.float64(w)).ravel()
        lam = np.linspace(1, last, size.size)
        own = [
            lam[(size > x).sum() : (size >= x).sum()].mean() if x else 0.0 for x in size
        ]
        return np.sign(np.float64(w)) * np.reshape(own, w.shape)

    return value, slope


def difference(beta: float) -> Functions:
    def value(w: np.ndarray) -> float:
        w = np.float64(w)
        return float(np.abs(w).sum() - beta * np.linalg.norm(w.ravel()))

    def slope(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        norm = np.linalg.norm(w.ravel())
        return np.sign(w) - beta * w / (norm or 1.0)

    return value, slope


def nuclear() -> Functions:
    def slope(w: np.ndarray) -> np.ndarray:
        u, s, v = np.linalg.svd(matrix(w), full_matrices=False)
        u = u[:, s > 1e-12 * s.max(initial=0.0)]
        return (u @ v[: u.shape[1]]).reshape(w.shape)

    return lambda w: float(np.linalg.svd(matrix(w), compute_uv=False).sum()), slope


def spectral() -> Functions:
    def value(w: np.ndarray) -> float:
        return float(np.linalg.svd(matrix(w), compute_uv=False).max(initial=0.0)) ** 2

    def slope(w: np.ndarray) -> np.ndarray:
        u, s, v = np.linalg.svd(matrix(w), full_matrices=False)
        top = s >= s.max(initial=0.0) * (1 - 1e-9)
        return (2 * (u[:, top] * s[top]) @ v[top] / max(top.sum(), 1)).reshape(w.shape)

    return value, slope


BENT: dict[str, Any] = {"convex": False}
MATRIX: dict[str, Any] = {"rank": 2, "least": 0.1, "rounding": 20}

WHOLES: dict[type[Penalty], list[tuple[Penalty, Functions, dict[str, Any]]]] = {
    GroupMCP: [
        (GroupMCP(0.3, threshold=2.5), of_groups("unit", mcp(2.5)), BENT | {"rank": 1}),
        (
            GroupMCP(0.2, "input", threshold=2.0),
            of_groups("input", mcp(2.0)),
            BENT | {"rank": 2},
        ),
        (GroupMCP(0.2, (), threshold=1.5), of_groups((), mcp(1.5)), BENT),
        (
            GroupMCP(0.2, threshold=2.5, weighting="none"),
            of_groups("unit", mcp(2.5), 0.0),
            BENT | {"rank": 1},
        ),
    ],
    GroupSCAD: [
        (
            GroupSCAD(0.3, threshold=1.5),
            of_groups("unit", scad(1.5, 3.7)),
            BENT | {"rank": 1},
        ),
        (
            GroupSCAD(0.2, (0, -1), threshold=2.0, a=2.5),
            of_groups((0, -1), scad(2.0, 2.5)),
            BENT | {"rank": 2},
        ),
    ],
    SLOPE: [
        (SLOPE(0.3), slope_of(0.5), {}),
        (SLOPE(0.2, last=0.0), slope_of(0.0), {}),
    ],
    L1MinusL2: [
        (L1MinusL2(0.3), difference(1.0), BENT | {"rounding": 20}),
        (L1MinusL2(0.2, beta=0.4), difference(0.4), BENT),
    ],
    NuclearNorm: [(NuclearNorm(0.3), nuclear(), MATRIX)],
    SpectralNorm: [(SpectralNorm(0.3), spectral(), MATRIX)],
}
"""For each class its instances, their formulas, and what else a `Case` is told."""
