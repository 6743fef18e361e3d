"""Penalties that are no sum of one function of |w|, in NumPy: value and gradient.

A gradient is 0 in elements that are 0, unless the penalty is smooth there.
"""

from typing import Any

import numpy as np

from helpers.separable import Slope, Value
from helpers.wholes import Functions, matrix, members
from kregkit.regularizers import (
    L1SP,
    L2SP,
    DeCov,
    EntropyPenalty,
    ExclusiveLasso,
    GroupHoyerSquare,
    GroupLasso,
    GroupLInf,
    Hoyer,
    HoyerActivity,
    HoyerSquare,
    KLSparsity,
    LInf,
    Orthogonality,
    Penalty,
    SparseGroupLasso,
    TotalVariation,
    VarianceCovariance,
    WeightedL1,
)


def l1(w: np.ndarray) -> float:
    return float(np.abs(np.float64(w)).sum())


def l2(w: np.ndarray) -> float:
    return float((np.float64(w) ** 2).sum())


def twice(w: np.ndarray) -> np.ndarray:
    return 2 * np.float64(w)


def hoyer_square(w: np.ndarray) -> float:
    return l1(w) ** 2 / l2(w) if np.any(w) else 0.0


def hoyer_slope(w: np.ndarray) -> np.ndarray:
    w = np.float64(w)
    if not w.any():
        return np.zeros(w.shape)
    return 2 * l1(w) / l2(w) * (np.sign(w) - l1(w) / l2(w) * w)


def hoyer_activity(h: np.ndarray) -> float:
    return sum(float(l1(x) / np.sqrt(l2(x))) for x in h if np.any(x))


def hoyer_activity_slope(h: np.ndarray) -> np.ndarray:
    found = np.zeros(h.shape)
    for x, into in zip(np.float64(h), found, strict=True):
        norm = np.sqrt(l2(x))
        if norm > 0:
            into[...] = (np.sign(x) - l1(x) / norm * (x / norm)) / norm
    return found


def kl(rho: float) -> tuple[Value, Slope]:
    """Return the divergence, on its tangent from a mean of 2**-13 to either end."""
    low, high = 2.0**-13, 1 - 2.0**-13

    def tilt(m: np.ndarray) -> np.ndarray:
        m = np.clip(m, low, high)
        return (m - rho) / (m * (1 - m))

    def divergence(m: float) -> float:
        if m < low:
            return divergence(low) + float(tilt(low)) * (m - low)
        if m > high:
            return divergence(high) + float(tilt(high)) * (m - high)
        return rho * np.log(rho / m) + (1 - rho) * np.log((1 - rho) / (1 - m))

    def value(h: np.ndarray) -> float:
        if not len(h):
            return 0.0
        return len(h) * sum(map(divergence, np.float64(h).mean(axis=0).ravel()))

    def slope(h: np.ndarray) -> np.ndarray:
        return np.broadcast_to(tilt(np.float64(h).mean(axis=0)), h.shape)

    return value, slope


def group_lasso(
    group: object, ratio: float = 0.0, power: float = 0.5
) -> tuple[Value, Slope]:
    def value(w: np.ndarray) -> float:
        w = np.float64(w)
        parts = members(w, group)
        norms = [part.size**power * np.sqrt((part**2).sum()) for part in parts]
        return float(ratio * l1(w) + (1 - ratio) * sum(norms))

    def slope(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        found = np.zeros(w.shape)
        for part, into in zip(members(w, group), members(found, group), strict=True):
            norm = np.sqrt((part**2).sum())
            into[...] = part.size**power * part / norm if norm else 0.0
        return ratio * np.sign(w) + (1 - ratio) * found

    return value, slope


def hoyer(w: np.ndarray) -> float:
    return l1(w) / np.sqrt(l2(w)) if np.any(w) else 0.0


def hoyer_one_slope(w: np.ndarray) -> np.ndarray:
    w = np.float64(w)
    if not w.any():
        return np.zeros(w.shape)
    norm = np.sqrt(l2(w))
    return (np.sign(w) - l1(w) / norm * (w / norm)) / norm


def group_hoyer(group: object) -> Functions:
    def value(w: np.ndarray) -> float:
        norms = [np.sqrt(l2(part)) for part in members(np.float64(w), group)]
        return sum(norms) ** 2 / l2(w) if np.any(w) else 0.0

    def slope(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        found = np.zeros(w.shape)
        if not w.any():
            return found
        total = sum(np.sqrt(l2(part)) for part in members(w, group))
        share = total / l2(w)
        for part, into in zip(members(w, group), members(found, group), strict=True):
            norm = np.sqrt(l2(part))
            if norm:
                into[...] = 2 * share * (part / norm - share * part)
        return found

    return value, slope


def group_largest(group: object, power: float = 0.0) -> Functions:
    def value(w: np.ndarray) -> float:
        parts = members(np.float64(w), group)
        return sum(p.size**power * np.abs(p).max(initial=0.0) for p in parts)

    def slope(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        found = np.zeros(w.shape)
        for part, into in zip(members(w, group), members(found, group), strict=True):
            most = np.abs(part) == np.abs(part).max(initial=0.0)
            share = part.size**power / max(most.sum(), 1)
            into[...] = share * np.sign(part) * most
        return found

    return value, slope


def exclusive(group: object) -> Functions:
    def value(w: np.ndarray) -> float:
        return sum(l1(part) ** 2 for part in members(w, group)) / 2

    def slope(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        found = np.zeros(w.shape)
        for part, into in zip(members(w, group), members(found, group), strict=True):
            into[...] = l1(part) * np.sign(part)
        return found

    return value, slope


def orthogonality(form: str) -> Functions:
    def off(w: np.ndarray) -> np.ndarray:
        return matrix(w).T @ matrix(w) - np.eye(w.shape[-1])

    def value(w: np.ndarray) -> float:
        gram = off(w)
        if form == "mutual_coherence":
            return np.abs(gram).max(initial=0.0)
        if form == "srip":
            return np.abs(np.linalg.eigvalsh(gram)).max(initial=0.0)
        if form == "off_diagonal":
            return l2(gram) - l2(np.diag(gram))
        other = matrix(w) @ matrix(w).T - np.eye(len(matrix(w)))
        return l2(gram) + (l2(other) if form == "double_soft" else 0.0)

    def slope(w: np.ndarray) -> np.ndarray:
        gram, m = off(w), matrix(w)
        if form == "mutual_coherence":
            most = np.abs(gram) == np.abs(gram).max(initial=0.0)
            gram = np.sign(gram) * most / max(most.sum(), 1)
            return (2 * m @ gram).reshape(w.shape)
        if form == "srip":
            own, vectors = np.linalg.eigh(gram)
            top = np.abs(own) >= np.abs(own).max(initial=0.0) * (1 - 1e-9)
            signed = vectors * np.sign(own) * top / max(top.sum(), 1)
            return (2 * m @ signed @ vectors.T).reshape(w.shape)
        if form == "off_diagonal":
            return (4 * m @ (gram - np.diag(np.diag(gram)))).reshape(w.shape)
        sides = 2 if form == "double_soft" else 1
        return sides * (4 * m @ gram).reshape(w.shape)

    return value, slope


def covariance(h: np.ndarray, less: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the centred samples, their covariance, and what it was divided by."""
    flat = matrix(h)
    away = flat - (flat.mean(axis=0) if len(flat) else 0.0)
    count = max(len(flat) - less, 1)
    return away, away.T @ away / count, count


def decov() -> Functions:
    def value(h: np.ndarray) -> float:
        _, c, _ = covariance(h, 0)
        return len(h) / 2 * l2(c - np.diag(np.diag(c)))

    def slope(h: np.ndarray) -> np.ndarray:
        away, c, count = covariance(h, 0)
        rest = c - np.diag(np.diag(c))
        return (2 * len(h) / count * away @ rest).reshape(h.shape)

    return value, slope


def variance_covariance(gamma: float, nu: float) -> Functions:
    def value(h: np.ndarray) -> float:
        _, c, _ = covariance(h, 1)
        missing = np.maximum(gamma - np.sqrt(np.diag(c) + 1e-4), 0).sum()
        rest = l2(c - np.diag(np.diag(c)))
        return len(h) * (missing + nu * rest) / max(h.shape[-1], 1)

    def slope(h: np.ndarray) -> np.ndarray:
        away, c, count = covariance(h, 1)
        deviation = np.sqrt(np.diag(c) + 1e-4)
        pull = np.where(deviation < gamma, -1 / deviation, 0.0)
        rest = c - np.diag(np.diag(c))
        found = away * pull / count + nu * 4 * away @ rest / count
        return (len(h) / max(h.shape[-1], 1) * found).reshape(h.shape)

    return value, slope


def entropy() -> Functions:
    least = 2.0**-24

    def value(h: np.ndarray) -> float:
        h = np.float64(h)
        return float((h * np.log(np.maximum(h, least))).sum())

    def slope(h: np.ndarray) -> np.ndarray:
        h = np.float64(h)
        return np.log(np.maximum(h, least)) + (h > least)

    return value, slope


def total_variation() -> Functions:
    def value(h: np.ndarray) -> float:
        h = np.float64(h)
        return sum(l1(np.diff(h, axis=axis)) for axis in range(1, h.ndim - 1))

    def slope(h: np.ndarray) -> np.ndarray:
        h = np.float64(h)
        found = np.zeros(h.shape)
        for axis in range(1, h.ndim - 1):
            rise = np.swapaxes(np.sign(np.diff(h, axis=axis)), 0, axis)
            into = np.swapaxes(found, 0, axis)
            into[1:] += rise
            into[:-1] -= rise
        return found

    return value, slope


def around(reference: float, power: int) -> Functions:
    def value(w: np.ndarray) -> float:
        return float((np.abs(np.float64(w) - reference) ** power).sum())

    def slope(w: np.ndarray) -> np.ndarray:
        away = np.float64(w) - reference
        return np.sign(away) if power == 1 else 2 * away

    return value, slope


SHARP: dict[str, Any] = {"convex": False, "least": 0.1}
FOURTH: dict[str, Any] = {"within": 1e8, "rounding": 20}

AROUND: dict[str, Any] = {"rounding": 10}

COUPLED: dict[type[Penalty], list[tuple[Penalty, Functions, dict[str, Any]]]] = {
    GroupLasso: [
        (GroupLasso(0.7), group_lasso("unit"), {"rank": 1}),
        (GroupLasso(0.2, "input"), group_lasso("input"), {"rank": 2}),
        (GroupLasso(0.3, "filter"), group_lasso("filter"), {"rank": 3}),
        (GroupLasso(0.1, [0, -1]), group_lasso((0, -1)), {"rank": 2}),
        (GroupLasso(0.2, ()), group_lasso(()), {}),
        (
            GroupLasso(0.4, weighting="none"),
            group_lasso("unit", power=0.0),
            {"rank": 1},
        ),
    ],
    SparseGroupLasso: [
        (SparseGroupLasso(0.1, 0.3), group_lasso("unit", 0.25), {"rank": 1}),
        (SparseGroupLasso(0.2, 0.2, "input"), group_lasso("input", 0.5), {"rank": 2}),
        (SparseGroupLasso(l1=0.3), (l1, np.sign), {"rank": 1}),
        (SparseGroupLasso(l21=0.3, group=()), group_lasso(()), {}),
        (
            SparseGroupLasso(0.2, 0.2, "input", weighting="none"),
            group_lasso("input", 0.5, power=0.0),
            {"rank": 2},
        ),
    ],
    L1SP: [(L1SP(0.3, reference=0.25), around(0.25, 1), AROUND)],
    L2SP: [(L2SP(0.3, reference=-0.5), around(-0.5, 2), AROUND)],
    WeightedL1: [
        (
            WeightedL1(0.3, factors=0.4),
            (lambda w: 0.4 * l1(w), lambda w: 0.4 * np.sign(np.float64(w))),
            {},
        )
    ],
    LInf: [(LInf(0.2), group_largest(()), {})],
    GroupLInf: [
        (GroupLInf(0.3, "input"), group_largest("input"), {"rank": 2}),
        (GroupLInf(0.2, [0, -1]), group_largest((0, -1)), {"rank": 2}),
        (
            GroupLInf(0.1, "input", weighting="sqrt"),
            group_largest("input", 0.5),
            {"rank": 2},
        ),
    ],
    ExclusiveLasso: [
        (ExclusiveLasso(0.3, "input"), exclusive("input"), {"rank": 2}),
        (ExclusiveLasso(0.2, ()), exclusive(()), {}),
    ],
    Hoyer: [(Hoyer(0.3), (hoyer, hoyer_one_slope), SHARP)],
    HoyerSquare: [(HoyerSquare(0.3), (hoyer_square, hoyer_slope), SHARP)],
    GroupHoyerSquare: [
        (GroupHoyerSquare(0.3), group_hoyer("unit"), SHARP | {"rank": 1}),
        (GroupHoyerSquare(0.2, (0, -1)), group_hoyer((0, -1)), SHARP | {"rank": 2}),
    ],
    Orthogonality: [
        (
            Orthogonality(0.3, form=form),
            orthogonality(form),
            FOURTH | {"convex": False, "rank": 2},
        )
        for form in ("soft", "double_soft", "mutual_coherence", "off_diagonal", "srip")
    ],
    HoyerActivity: [
        (
            HoyerActivity(0.3),
            (hoyer_activity, hoyer_activity_slope),
            SHARP | {"rank": 2},
        )
    ],
    KLSparsity: [
        (KLSparsity(0.3, rho=0.1), kl(0.1), {"rank": 2, "rounding": 10}),
        (KLSparsity(0.1, rho=0.9), kl(0.9), {"rank": 2, "rounding": 10}),
    ],
    DeCov: [(DeCov(0.3), decov(), FOURTH | {"convex": False, "rank": 2})],
    VarianceCovariance: [
        (
            VarianceCovariance(0.3),
            variance_covariance(1.0, 0.04),
            FOURTH | {"convex": False, "rank": 2},
        ),
        (
            VarianceCovariance(0.3, gamma=3.0, nu=0.5),
            variance_covariance(3.0, 0.5),
            FOURTH | {"convex": False, "rank": 2},
        ),
    ],
    EntropyPenalty: [(EntropyPenalty(0.3), entropy(), {"rank": 2, "rounding": 10})],
    TotalVariation: [(TotalVariation(0.3), total_variation(), {"rank": 2, "last": 1})],
}
"""For each class its instances, their formulas, and what else a `Case` is told."""
