"""Describes the inputs and the classes of a data set in one line each.

`kregkit plan`, `kregkit run` and the page of a report show these lines.
"""

from typing import Final

import numpy as np

from kregkit.study.data.features import Feature
from kregkit.study.data.inputs import Inputs
from kregkit.study.data.scaling import IMAGE, NONE, STANDARD
from kregkit.study.data.wording import cell, listed, names, several

_CHANNELS: Final = (1, 3, 4)
"""The usual numbers of channels of photographs."""

_DONE: Final = {
    IMAGE: "divided by their largest magnitude",
    NONE: "as they are",
    STANDARD: "standardised",
}


def inputs_in_words(inputs: Inputs, notes: tuple[str, ...]) -> str:
    """Return a description of the inputs and their scaling, and the notes."""
    shape, done = inputs.x.shape[1:], _DONE[inputs.scale]
    columns = False
    if inputs.image:
        channels = several(shape[2], "channel")
        what, each = f"images of {shape[0]}x{shape[1]} pixels and {channels}", "channel"
        if shape[0] in _CHANNELS and shape[1] == shape[2] > max(_CHANNELS):
            notes = ("looks like channels first, which Keras wants last", *notes)
    elif len(shape) == 2:
        steps, features = several(shape[0], "step"), several(shape[1], "feature")
        what, each = f"series of {steps} and {features}", "feature"
    else:
        what, each, columns = _columns(inputs), "column", True
    if inputs.scale == STANDARD:
        done = f"each {each} {done}"
    whole = inputs.x.dtype.kind in "iu"
    told = [f"{what}{' of integers' * (whole and columns)}, {done}"]
    missing = [f.name for f in inputs.features if _has_missing(inputs, f)]
    if missing:
        told.append(f"missing values of {names(missing)} imputed")
    return "; ".join((*told, *notes))


def classes_in_words(labels: tuple[int | str, ...]) -> str | None:
    """Return the classes with their numbers; None if the labels are 0, 1, ..."""
    if labels == tuple(range(len(labels))):
        return None
    return listed([f"{i} = {label}"[:60] for i, label in enumerate(labels)])


def _columns(inputs: Inputs) -> str:
    words = [feature for feature in inputs.features if feature.words]
    numbers = (len(inputs.features) or inputs.x.shape[1]) - len(words)
    what = several(numbers, "column")
    if not words:
        return what
    levels = listed(
        [f"{cell(one.name)} {several(one.width, 'level')}" for one in words]
    )
    return f"{what} of numbers and {len(words)} of words (one-hot: {levels})"


def _has_missing(inputs: Inputs, feature: Feature) -> bool:
    parts = [inputs.x] if inputs.x_test is None else [inputs.x, inputs.x_test]
    return any(bool(np.isnan(part[:, feature.start]).any()) for part in parts)
