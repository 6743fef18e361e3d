"""How every benchmark measures: interleaved arms, medians, quartiles.

A figure is a ratio to something that ran moments before or after it on
the same machine. Arms take turns, in another random order each round, so that a
machine that slows down, or an arm that leaves cold caches, falls on all of them.
"""

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

Arm = Callable[[], float]
"""Runs once and returns the seconds that it took."""


@dataclass(frozen=True)
class Figure:
    """One line of the report: a measured number, and its target where it has one.

    `kind` is "ratio", "share" (a fraction shown in %), "seconds", "MiB", "GFLOP/s"
    or "trials" (a number of them);
    `limit` is the target, `at_least` says on which side of it is good, and `noise` is
    how far two equal arms were from equal in the same run.
    """

    benchmark: str
    kind: str
    median: float
    low: float
    high: float
    repetitions: int
    limit: float | None = None
    at_least: bool = False
    noise: float = 0.0

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None if that is not known."""
        if self.limit is None or abs(self.median - self.limit) <= self.noise:
            return None
        return self.median >= self.limit if self.at_least else self.median <= self.limit


def timed(function: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleave(arms: Mapping[str, Arm], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each arm in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    order, draw = list(arms), random.Random(0)
    for _ in range(rounds):
        draw.shuffle(order)
        for name in order:
            seconds[name].append(arms[name]())
    return seconds


def around(middle: Arm, outer: Sequence[Arm]) -> tuple[float, list[float]]:
    """Run half of `outer`, then `middle`, then the other half; return the seconds.

    For an arm that takes long: both sides of it are its neighbours in time.
    """
    half = len(outer) // 2
    before = [arm() for arm in outer[:half]]
    between = middle()
    return between, before + [arm() for arm in outer[half:]]


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return the ratio of two arms, round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def figure(
    benchmark: str,
    kind: str,
    values: Sequence[float],
    limit: float | None = None,
    at_least: bool = False,
    noise: float = 0.0,
) -> Figure:
    """Return the figure of these repetitions: their median and quartiles."""
    low = high = median = statistics.median(values)
    if len(values) > 1:
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    count = len(values)
    return Figure(benchmark, kind, median, low, high, count, limit, at_least, noise)


def emit(found: Figure) -> None:
    """Print a figure as one line of JSON, for `run.py`."""
    print(json.dumps(asdict(found)), flush=True)
