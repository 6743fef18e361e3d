"""Fits the scaling of inputs and targets on the training part, and applies it.

Images are scaled by the largest magnitude, columns by mean and standard deviation.
Missing numbers are replaced by the median, missing words by the most frequent word. All
of these come from the training part alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kregkit.errors import DataError
from kregkit.study.data.features import Feature
from kregkit.study.data.wording import cell

Array = NDArray[Any]

IMAGE, NONE, STANDARD = "image", "none", "standard"

_SMALL, _LARGE = 1e-30, 1e30
"""Magnitudes between which float32 keeps all digits."""

_SQUARABLE: Final = 400
"""Up to this exponent of 2, sums of squares in float64 neither overflow nor vanish."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """Scales rows to float32: `(x·2^-exponent - mean) / divisor`.

    The power of 2 is exact. It prevents overflow and underflow in the squares of very
    large and very small numbers. For `kind` "image" the divisor is one number. For
    "none" numbers are not scaled, and integers stay integers.
    """

    kind: str
    fill: Array | None = None
    exponent: Array | None = None
    mean: Array | None = None
    divisor: Any = 1.0

    def __call__(self, part: Array) -> Array:
        """Return the scaled rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.fill is not None:
                part = np.where(np.isnan(part), self.fill, part)
            if self.kind == NONE:
                return part if part.dtype.kind == "i" else part.astype("float32")
            if self.kind == IMAGE:
                if not _SMALL < self.divisor < _LARGE:
                    part = part.astype("float64") / self.divisor
                    return part.astype("float32")
                scaled: Array = part.astype("float32") / np.float32(self.divisor)
                return scaled
            part = part.astype("float64")
            if self.exponent is not None:
                part = np.ldexp(part, -self.exponent)
            scaled = (part - self.mean) / self.divisor
            return scaled.astype("float32")


def fit(kind: str, train: Array, features: Sequence[Feature] = ()) -> Scaling:
    """Return the scaling for a training part; for series, by the last axis.

    Raises:
        DataError: a column has only missing values; the message is a fragment.
    """
    fill = None
    if train.dtype.kind == "f" and train.ndim == 2 and np.isnan(train).any():
        fill = _fill(train, features)
        train = np.where(np.isnan(train), fill, train)
    if kind == NONE:
        return Scaling(NONE, fill)
    if kind == IMAGE:
        # In float64, since abs overflows for the most negative int8, int16, ...
        largest = max(abs(float(train.min())), abs(float(train.max()))) or 1.0
        return Scaling(IMAGE, fill, divisor=largest)
    train = train.astype("float64")
    axes = tuple(range(train.ndim - 1))
    low, high = train.min(axis=axes), train.max(axis=axes)
    exponent = np.frexp(np.maximum(abs(low), abs(high)))[1]
    if (abs(exponent) <= _SQUARABLE).all():
        exponent = None
    else:
        exponent = np.where(low == high, 0, exponent)
        train = np.ldexp(train, -exponent)
    mean, deviation = train.mean(axis=axes), train.std(axis=axes)
    divisor = np.where((low == high) | (deviation == 0), np.inf, deviation)
    return Scaling(STANDARD, fill, exponent, mean, divisor)


def check(scaling: Scaling, whole: Array, columns: Sequence[str], key: str) -> None:
    """Raise for the first value of a column that overflows float32 when scaled.

    Scaling keeps the order of a column's values, so only minimum and maximum are
    tested.
    """
    if whole.dtype.kind != "f":
        return
    axes = tuple(range(whole.ndim - 1))
    for end in (np.nanmin, np.nanmax):
        ends = end(whole, axis=axes)
        lost = ~np.isfinite(scaling(ends[None])[0])
        if lost.any():
            column = int(lost.argmax())
            value = ends[column]
            place = np.argwhere(whole[..., column] == value)[0]
            name = cell(columns[column]) if columns else f"{column + 1} of {key}"
            raise DataError(
                f"the value {value:g} in row {int(place[0]) + 1} of column {name} is "
                "too large to be scaled by"
            )


def _fill(train: Array, features: Sequence[Feature]) -> Array:
    """Return the replacement of missing values for each column."""
    fill = np.zeros(train.shape[1])
    for feature in features:
        inputs = slice(feature.start, feature.start + feature.width)
        own = train[:, inputs]
        known = own[~np.isnan(own[:, 0])]
        if not len(known):
            raise DataError(f"column {cell(feature.name)} has no value in")
        if feature.words:
            fill[feature.start + int(known.sum(axis=0).argmax())] = 1.0
        else:
            fill[inputs] = np.median(known, axis=0)
    return fill
