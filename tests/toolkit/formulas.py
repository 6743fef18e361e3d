"""What each penalty is, in NumPy: the oracle of the families over the registry.

A new penalty is tested by existing: without a formula here, the families fail.
"""

from dataclasses import dataclass

import numpy as np
from separable import SEPARABLE, Slope, Value, summed

from kregkit import regularizers
from kregkit.regularizers import (
    L1,
    L1L2,
    L2,
    GroupLasso,
    HoyerActivity,
    HoyerSquare,
    KLSparsity,
    Penalty,
    SparseGroupLasso,
)


@dataclass(frozen=True)
class Case:
    """A penalty with its unscaled value in float64, and the gradient of that.

    The gradient is 0 in elements that are 0. Convex: prox is non-expansive. `rank` is
    the least that a tensor must have, `least` the size of a weight from which on
    finite differences are good, `rounding` the units of the last place that a value
    near 1 may lose, where terms of the formula cancel.
    """

    penalty: Penalty
    value: Value
    slope: Slope
    convex: bool = True
    rank: int = 0
    least: float = 1e-3
    rounding: float = 0.0

    def __str__(self) -> str:
        return repr(self.penalty).replace("strength=", "").replace(" ", "")

    @property
    def grouped(self) -> bool:
        return isinstance(self.penalty, GroupLasso | SparseGroupLasso)

    def fit(self, w: np.ndarray) -> np.ndarray:
        """Return `w` with further first axes, of 1, until it has enough of them."""
        return np.reshape(w, (1,) * (self.rank - np.ndim(w)) + np.shape(w))


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


def group_lasso(group: object, ratio: float = 0.0) -> tuple[Value, Slope]:
    def value(w: np.ndarray) -> float:
        w = np.float64(w)
        norms = [np.sqrt(part.size * (part**2).sum()) for part in members(w, group)]
        return float(ratio * l1(w) + (1 - ratio) * sum(norms))

    def slope(w: np.ndarray) -> np.ndarray:
        w = np.float64(w)
        found = np.zeros(w.shape)
        for part, into in zip(members(w, group), members(found, group), strict=True):
            norm = np.sqrt((part**2).sum())
            into[...] = np.sqrt(part.size) * part / norm if norm else 0.0
        return ratio * np.sign(w) + (1 - ratio) * found

    return value, slope


def cases_of(cls: type[Penalty]) -> list[Case]:
    """Return the instances that stand for one class."""
    if cls is L1:
        return [Case(L1(0.7), l1, np.sign)]
    if cls is L2:
        return [Case(L2(0.3), l2, twice)]
    if cls is L1L2:
        return [
            Case(
                L1L2(0.3, 0.1),
                lambda w: 0.75 * l1(w) + 0.25 * l2(w),
                lambda w: 0.75 * np.sign(w) + 0.25 * twice(w),
            ),
            Case(L1L2(l1=0.3), l1, np.sign),
            Case(L1L2(l2=0.1), l2, twice),
        ]
    if cls is GroupLasso:
        return [
            Case(GroupLasso(0.7), *group_lasso("unit"), rank=1),
            Case(GroupLasso(0.2, "input"), *group_lasso("input"), rank=2),
            Case(GroupLasso(0.3, "filter"), *group_lasso("filter"), rank=3),
            Case(GroupLasso(0.1, [0, -1]), *group_lasso((0, -1)), rank=2),
            Case(GroupLasso(0.2, ()), *group_lasso(())),
        ]
    if cls is SparseGroupLasso:
        return [
            Case(SparseGroupLasso(0.1, 0.3), *group_lasso("unit", 0.25), rank=1),
            Case(
                SparseGroupLasso(0.2, 0.2, "input"), *group_lasso("input", 0.5), rank=2
            ),
            Case(SparseGroupLasso(l1=0.3), l1, np.sign, rank=1),
            Case(SparseGroupLasso(l21=0.3, group=()), *group_lasso(())),
        ]
    if cls in SEPARABLE:
        return [
            Case(penalty, *summed(*functions), penalty.convex, least=least)
            for penalty, functions, least in SEPARABLE[cls]
        ]
    if cls is HoyerSquare:
        return [
            Case(HoyerSquare(0.3), hoyer_square, hoyer_slope, convex=False, least=0.1)
        ]
    if cls is HoyerActivity:
        functions = hoyer_activity, hoyer_activity_slope
        return [
            Case(HoyerActivity(0.3), *functions, convex=False, rank=2, least=0.1),
        ]
    if cls is KLSparsity:
        return [
            Case(KLSparsity(0.3, rho=0.1), *kl(0.1), rank=2, rounding=10),
            Case(KLSparsity(0.1, rho=0.9), *kl(0.9), rank=2, rounding=10),
        ]
    raise AssertionError(f"{cls.__name__} has no NumPy formula in {__file__}")


CASES = [case for cls in regularizers.classes() for case in cases_of(cls)]
PROXIMAL = [case for case in CASES if case.penalty.proximal]
