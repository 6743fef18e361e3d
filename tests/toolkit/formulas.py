"""What each penalty is, in NumPy: the oracle of the families over the registry.

A new penalty is tested by existing: without a formula here, the families fail.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kregkit import regularizers
from kregkit.regularizers import L1, L1L2, L2, Penalty


@dataclass(frozen=True)
class Case:
    """A penalty with its unscaled value in float64; convex: prox is non-expansive."""

    penalty: Penalty
    value: Callable[[np.ndarray], float]
    convex: bool = True

    def __str__(self) -> str:
        return repr(self.penalty).replace("strength=", "").replace(" ", "")


def l1(w: np.ndarray) -> float:
    return float(np.abs(np.float64(w)).sum())


def l2(w: np.ndarray) -> float:
    return float((np.float64(w) ** 2).sum())


def cases_of(cls: type[Penalty]) -> list[Case]:
    """Return the instances that stand for one class."""
    if cls is L1:
        return [Case(L1(0.7), l1)]
    if cls is L2:
        return [Case(L2(0.3), l2)]
    if cls is L1L2:
        return [
            Case(L1L2(0.3, 0.1), lambda w: 0.75 * l1(w) + 0.25 * l2(w)),
            Case(L1L2(l1=0.3), l1),
            Case(L1L2(l2=0.1), l2),
        ]
    raise AssertionError(f"{cls.__name__} has no NumPy formula in {__file__}")


CASES = [case for cls in regularizers.classes() for case in cases_of(cls)]
