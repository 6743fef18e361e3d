"""What each penalty is, in NumPy: the oracle of the families over the registry.

A new penalty is tested by existing: without a formula here, the families fail.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from helpers.coupled import COUPLED, l1, l2, twice
from helpers.separable import SEPARABLE, Slope, Value, summed
from helpers.wholes import WHOLES
from kregkit import regularizers
from kregkit.regularizers import (
    L0,
    L1,
    L1L2,
    L2,
    Penalty,
)


@dataclass(frozen=True)
class Case:
    """A penalty with its unscaled value in float64, and the gradient of that.

    The gradient is 0 in elements that are 0. Convex: prox is non-expansive. `rank` is
    the least that a tensor must have, before `last` further axes of 1; `least` the size
    of a weight from which on finite differences are good, `rounding` the units of the
    last place that a value near 1 may lose, where terms of the formula cancel, and
    `within` the size of a weight up to which float32 has value and gradient.
    """

    penalty: Penalty
    value: Value
    slope: Slope
    convex: bool = True
    rank: int = 0
    least: float = 1e-3
    rounding: float = 0.0
    last: int = 0
    within: float = 1e30

    def __str__(self) -> str:
        return repr(self.penalty).replace("strength=", "").replace(" ", "")

    @property
    def grouped(self) -> bool:
        """Whether what becomes of a weight depends on others."""
        return type(self.penalty) in COUPLED | WHOLES

    @property
    def of_activities(self) -> bool:
        """Whether a weight is refused."""
        return self.penalty.only_on == "activity"

    @property
    def of_kernels(self) -> bool:
        """Whether an output is refused."""
        return self.penalty.only_on == "kernel"

    def takes(self, *amounts: object) -> list[object]:
        """Return the amounts that the proximal step takes."""
        one = self.penalty.scalar_step_only
        return [amount for amount in amounts if not one or np.size(amount) == 1]

    def fit(self, w: np.ndarray) -> np.ndarray:
        """Return `w` with further axes, of 1, until it has enough of them."""
        first = (1,) * (self.rank - np.ndim(w))
        return np.reshape(w, (*first, *np.shape(w), *(1,) * self.last))


def cases_of(cls: type[Penalty]) -> list[Case]:
    """Return the instances that stand for one class."""
    if cls is L1:
        return [Case(L1(0.7), l1, np.sign)]
    if cls is L0:
        return [Case(L0(0.3), np.count_nonzero, np.zeros_like, convex=False)]
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
    if cls in SEPARABLE:
        return [
            Case(penalty, *summed(*functions), penalty.convex, least=least)
            for penalty, functions, least in SEPARABLE[cls]
        ]
    if cls in (together := COUPLED | WHOLES):
        return [
            Case(penalty, *functions, **further)
            for penalty, functions, further in together[cls]
        ]
    where = "helpers/separable.py, coupled.py or wholes.py"
    raise AssertionError(f"{cls.__name__} has no NumPy formula in {where}")


CASES = [case for cls in regularizers.classes() for case in cases_of(cls)]
DIFFERENTIABLE = [case for case in CASES if case.penalty.differentiable]
PROXIMAL = [case for case in CASES if case.penalty.proximal]


def _program(case: Case) -> tuple[object, ...]:
    return type(case.penalty), getattr(case.penalty, "form", None)


FIRSTS = list({_program(case): case for case in reversed(CASES)}.values())
"""One case of each class, and of each form of a class."""

TRACED = [
    pytest.param(case, id=str(case), marks=[pytest.mark.long] * (case not in FIRSTS))
    for case in CASES
]
"""The cases for what is traced, saved or put in a layer. What differs between those of
one class are numbers and axes, which every other family has: one of each is enough for
`make test`."""
