"""The values that cross from the tables to the page.

A number on a page is that of one `Summary`, found by what was
trained (`Setting`) and what was measured (`Place`).
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from kregkit.known import KERNEL_TARGETS

TARGET_ROLE: Final = {"kernel": "kernel", "bias": "bias", "activity": "activation"}
"""The role of the tensors of a target; other targets are the role of the same name, or
one kind of kernel."""


def role_of(target: str) -> str:
    """Return the role under which the tensors of a target are measured."""
    if target in KERNEL_TARGETS:
        return "kernel"
    return TARGET_ROLE.get(target, target)


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


def without_layers(series: Series, among: Iterable[Series]) -> Series:
    """Return the series as other studies know it.

    It has no layers, unless they are all that tells it from another one of `among`.
    """
    bare = series._replace(layers=None)
    alike = sum(one._replace(layers=None) == bare for one in among)
    return series if alike > 1 else bare


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


Point = Literal["strong", "best"]
"""Where a regularizer is measured: see `analysis.operating`."""


class BestOf(NamedTuple):
    """The best of all series on these targets, as the validation loss chooses it."""

    targets: tuple[str, ...]


class About(NamedTuple):
    """What an effect is of: a measure, of one choice of trials against another.

    Series are those of `without_layers`, so that other studies have the same; `other`
    null is the baseline.
    """

    place: Place
    one: Series | BestOf
    other: Series | BestOf | None = None
    point: Point = "strong"


class Unknown(NamedTuple):
    """Why an effect has no estimate: in so `many` `of` the seeds, or data sets."""

    reason: Literal[
        "few seeds", "not reached", "not defined", "no spread", "few data sets"
    ]
    many: int
    of: int


class StoredTrial(NamedTuple):
    """One trial of the store."""

    trial: str
    setting: Setting
    seed: int | None
    failed: bool
    failed_epoch: int | None


class Summary(NamedTuple):
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
