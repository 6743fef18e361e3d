"""The values that cross from the tables to the page.

A number on a page is the number of one `Cell`, found by what was
trained (`Setting`) and what was measured (`Place`).
"""

from typing import NamedTuple


class Series(NamedTuple):
    """What a sweep holds fixed while its strength varies."""

    target: str
    regularizer: str
    layers: str | None
    solver: str | None
    parameters: str | None
    learning_rate: float | None = None  # null: there is no other in the store

    @property
    def baseline(self) -> "Setting":
        """What its trials are compared with, seed by seed."""
        return Setting(None, None, self.learning_rate)


class Setting(NamedTuple):
    """What was trained: one strength of a series, or a baseline."""

    series: Series | None
    strength: float | None
    learning_rate: float | None = None  # of a baseline, as that of a series

    @property
    def baseline(self) -> "Setting":
        """What its trials are compared with; of a baseline, itself."""
        return self.series.baseline if self.series else self


BASELINE = Setting(None, None)
"""The baseline of a store whose trials have one learning rate."""


class Place(NamedTuple):
    """What was measured: layer "" is a role as a whole, role "model" the model."""

    role: str
    layer: str
    tensor: str
    measure: str


def whole(role: str, measure: str) -> Place:
    """Return the place of a measure of W, b or y pooled over the layers."""
    return Place(role, "", role, measure)


def of_model(measure: str) -> Place:
    """Return the place of a measure of the model as a whole."""
    return Place("model", "", "model", measure)


class Trial(NamedTuple):
    """One trial of the store."""

    trial: str
    setting: Setting
    seed: int | None
    failed: bool
    failed_epoch: int | None


class Cell(NamedTuple):
    """One measure in one setting, over the seeds; null is undefined, never 0."""

    setting: Setting
    place: Place
    n: int  # trials that finished
    failed: int  # trials that did not
    mean: float | None
    kind: str  # of the effect: "difference" or "log ratio" to the baseline's seed
    pairs: int  # seeds that finished here and in the baseline
    effect: float | None  # mean over these pairs
    low: float | None  # the interval of the effect, from FEWEST pairs on
    high: float | None
    agree: int  # pairs whose effect has the sign of the mean effect
