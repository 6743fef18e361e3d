"""The sizes of effects that count, fixed before any data.

Operating points and claims are computed with them, and every sentence that names one of
them takes it from here.
"""

import math
from typing import Final, NamedTuple


class Points(NamedTuple):
    """An amount of score: a difference of accuracies, and one of R²."""

    accuracy: float
    r2: float

    def of(self, regression: bool) -> float:
        """Return the amount for a task."""
        return self.r2 if regression else self.accuracy

    def times(self, factor: float) -> "Points":
        """Return a multiple of it."""
        return Points(factor * self.accuracy, factor * self.r2)


TOLERANCE: Final = Points(0.01, 0.02)
"""δ: the loss of validation score that a `strong` strength may cost."""

SHRUNK: Final = -math.log(0.9)
"""A norm that falls by 10 %, as a log ratio."""

KEPT: Final = math.log(1.1)
"""A norm that changes by at most 10 %, as a log ratio."""

TAIL: Final = -math.log(0.95)
"""A ratio of quantiles that falls by 5 %, as a log ratio."""

SHARE: Final = 0.05
"""5 points of a share, and 0.05 of Hoyer's measure."""

Amount = float | Points
"""How much counts, in the unit of a measure; of a score it depends on the task."""


def amount(size: Amount, regression: bool) -> float:
    """Return an amount for a task."""
    return size.of(regression) if isinstance(size, Points) else size
