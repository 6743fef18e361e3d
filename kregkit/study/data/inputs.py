"""Checks the inputs of a data set, and classifies them as images, series or columns.

    (rows, columns)                    columns
    (rows, height, width, channels)    images
    (rows, height, width)              images of one channel, if they hold pixels:
                                       unsigned integers, whole numbers from 0 to 255,
                                       or these divided by 255
    (rows, steps, features)            a series, if they hold other numbers

Images are divided by their largest magnitude. Columns and features of a series are
standardised. Integers of an .npz file are not scaled for a user-defined model, since
they may be token ids. `scale` in the study file overrides this.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from kregkit.errors import DataError
from kregkit.study.data.features import Feature
from kregkit.study.data.scaling import IMAGE, NONE, STANDARD, Array
from kregkit.study.data.sources import Arrays
from kregkit.study.data.wording import cell, several
from kregkit.study.file.config import DataConfig

_IDS: Final = 2**31


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs of a study, and the kind of scaling."""

    x: Array
    x_test: Array | None
    image: bool
    scale: str
    features: tuple[Feature, ...]


def checked_inputs(arrays: Arrays, config: DataConfig, own_model: bool) -> Inputs:
    """Return the inputs; raise a short message for invalid ones."""
    parts = [_numbers(key, part, config) for key, part in named("x", arrays)]
    if parts[-1].shape[1:] != parts[0].shape[1:]:
        raise DataError(
            f"rows of x_test are {parts[-1].shape[1:]}, but rows of x_train are "
            f"{parts[0].shape[1:]}"
        )
    image = _is_image(parts[0], config.scale)
    if image and parts[0].ndim == 3:
        parts = [part[..., None] for part in parts]
    scale = _scale(parts[0], image, config, own_model)
    features = arrays.features
    if any(part.ndim == 2 and np.isnan(part).any() for part in parts) and not features:
        parts, features = _imputed(parts, config.missing == "indicator")
    if scale == NONE and own_model and not image and all(map(_are_ids, parts)):
        parts = [part.astype("int32") for part in parts]
    elif scale == NONE:
        parts = [
            part if part.dtype.kind == "f" else part.astype("float32") for part in parts
        ]
    x_test = parts[1] if len(parts) > 1 else None
    return Inputs(parts[0], x_test, image, scale, features)


def named(key: str, arrays: Arrays) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of "x" or "y" with their names in messages."""
    train, test = getattr(arrays, key), getattr(arrays, f"{key}_test")
    whole = f"column {cell(arrays.label)}" if arrays.label and key == "y" else key
    yield (whole if test is None else f"{key}_train"), train
    if test is not None:
        yield f"{key}_test", test


def check_finite(key: str, values: Array, nan: bool = False) -> None:
    """Raise for the first value that is not finite; `nan` allows missing values."""
    if values.dtype.kind != "f":
        return
    strange = np.isinf(values) if nan else ~np.isfinite(values)
    if not strange.any():
        return
    count, first = int(strange.sum()), tuple(map(int, np.argwhere(strange)[0]))
    place = f"row {first[0] + 1}"
    if len(first) == 2:
        place += f" of column {first[1] + 1}"
    elif len(first) > 2:
        place += f" at {list(first[1:])}"
    raise DataError(
        f"{key} has {several(count, 'value')} that {'is' if count == 1 else 'are'} "
        f"NaN or infinite, the first, {values[first]}, in {place}"
    )


def _numbers(key: str, x: Array, config: DataConfig) -> Array:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{key} must hold numbers; holds {x.dtype}")
    if not 2 <= x.ndim <= 4 or 0 in x.shape:
        raise DataError(
            f"{key} must be (rows, columns), a series (rows, steps, features), or "
            "images (rows, height, width) or (rows, height, width, channels), none of "
            f"them 0; received {x.shape}"
        )
    imputed = config.missing in ("impute", "indicator") and x.ndim == 2
    check_finite(key, x, nan=imputed)
    return x.astype("float32") if x.dtype.kind == "b" else x


def _is_image(x: Array, scale: str | None) -> bool:
    if x.ndim != 3:
        return x.ndim == 4
    if scale == IMAGE or x.dtype.kind == "u":
        return True
    return scale in (None, "auto") and _are_pixels(x)


def _are_pixels(x: Array) -> bool:
    """Return whether numbers are from 0 to 255, whole or divided by 255.

    Data of zeros and ones only do not count as pixels: they may be events or one-hot.
    """
    low, high = x.min(), x.max()
    if low < 0 or high > 255:
        return False
    if x.dtype.kind == "i":
        return bool(high > 1)
    grey = x if high > 1 else x * 255
    whole = np.rint(grey)
    near: bool = np.allclose(grey, whole, rtol=0, atol=1e-3)
    return near and bool((whole % 255 > 0).any())


def _scale(x: Array, image: bool, config: DataConfig, own_model: bool) -> str:
    if config.scale not in (None, "auto"):
        return str(config.scale)
    if image:
        return IMAGE
    as_they_are = own_model and x.dtype.kind in "iu" and config.format == ".npz"
    return NONE if as_they_are else STANDARD


def _are_ids(x: Array) -> bool:
    if x.dtype.kind == "f" and not (x == np.floor(x)).all():
        return False
    return bool(x.min() >= -_IDS and x.max() < _IDS)


def _imputed(
    parts: list[Array], indicator: bool
) -> tuple[list[Array], tuple[Feature, ...]]:
    """Return columns with missing values like those of a table, indicators last."""
    width = parts[0].shape[1]
    blank = np.any([np.isnan(part).any(axis=0) for part in parts], axis=0)
    flagged = np.flatnonzero(blank) if indicator else np.arange(0)
    features = [Feature(f"x[:, {i}]", i, 1, False) for i in range(width)]
    features += [
        Feature(f"x[:, {i}] is missing", at, 1, False)
        for at, i in enumerate(flagged, width)
    ]
    return [
        np.concatenate([part, np.isnan(part[:, flagged]).astype(part.dtype)], axis=1)
        for part in parts
    ], tuple(features)
