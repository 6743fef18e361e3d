"""How often a page says what is not so: 1,000 simulated studies of known truth a size.

`python -m experiments.benchmarks.verdicts` writes `reports/verdicts.md`, a row when a
size is done; it takes about a quarter of an hour of one core. A study counts as false
when any part of any claim has a verdict that its true effect contradicts. Coverage is
that of each part's own 95 % interval. Of claim 2, where it is undecided, another study
of the same size is drawn whose true effect is the one that the page says it would
find: `found` is how often it does.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.benchmarks import simulated
from experiments.benchmarks.simulated import Size, Truth
from kregkit.report.analysis.claims import Tested, judge
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.data.tables import tables

STUDIES = 1000
SIZES = (Size(20, 1149, 360), Size(20, 113, 36), Size(10, 364, 114), Size(5, 1149, 360))
PAGE = Path(__file__).resolve().parents[2] / "reports" / "verdicts.md"
HEAD = f"""# Verdicts on studies whose truth is known

Written by `python -m experiments.benchmarks.verdicts`: {STUDIES} simulated studies a
size, with skewed noise, scores that are whole numbers of test rows, and errors that are
correlated by the split; true effects between -1.5 and 3 times the smallest that counts.

False: studies in which a verdict says of some true effect what it is not (at most 6.4 %
is expected by chance of a rate of 5 %). Coverage: of the 95 % interval, the lowest and
the highest over the {sum(map(len, simulated.PARTS.values()))} parts of the claims (93
to 97.5 % is aimed at). Found: how often another study finds the effect that an
undecided one says it would (80 % is aimed at).

| seeds | training rows | test rows | false | coverage | of which part | found |
|---|---|---|---|---|---|---|
"""


@dataclass
class Counts:
    """What was counted over the studies of one size."""

    false: int = 0
    inside: Counter[tuple[int, int]] = field(default_factory=Counter)
    intervals: Counter[tuple[int, int]] = field(default_factory=Counter)
    asked: int = 0
    found: int = 0

    def add(self, judged: tuple[Tested, ...], true: Truth) -> None:
        """Count one study."""
        wrong = False
        for one in judged:
            for place, part in enumerate(one.judged.parts if one.judged else ()):
                key = one.claim.number, place
                wrong |= simulated.untrue(part, true[key])
                if part.contrast.estimate is not None:
                    low, high = part.contrast.estimate.interval()
                    self.inside[key] += low <= true[key] <= high
                    self.intervals[key] += 1
        self.false += wrong

    def row(self, size: Size) -> str:
        """Return the row of the page."""
        shares = {key: self.inside[key] / n for key, n in self.intervals.items()}
        ends = [
            min(shares, key=shares.__getitem__),
            max(shares, key=shares.__getitem__),
        ]
        coverage = " to ".join(f"{100 * shares[key]:.1f} %" for key in ends)
        names = ", ".join(f"claim {number}, part {part + 1}" for number, part in ends)
        found = f"{100 * self.found / self.asked:.1f} %" if self.asked else "-"
        false = f"{100 * self.false / STUDIES:.1f} %"
        cells = (size.seeds, size.n_train, size.n_test, false, coverage, names, found)
        return f"| {' | '.join(map(str, cells))} |\n"


def judged(random: np.random.Generator, size: Size, true: Truth) -> tuple[Tested, ...]:
    """Return the claims of a new study with these true effects."""
    return judge(Analysis(tables(simulated.contents(random, size, true))))


def again(
    counts: Counts, random: np.random.Generator, size: Size, first: tuple[Tested, ...]
) -> None:
    """Draw another study with the effect that the first says it would find."""
    (part,) = _of(first, 2)
    if part.detectable is None:
        return
    none = dict.fromkeys(simulated.truth(random), 0.0)
    second = judged(random, size, none | {(2, 0): -part.detectable})
    (other,) = _of(second, 2)
    estimate = other.contrast.estimate
    if estimate is not None:
        _, high = estimate.interval(part.level)
        counts.asked += 1
        counts.found += high < 0 and -estimate.value >= part.contrast.smallest


def _of(tested: tuple[Tested, ...], number: int) -> tuple:
    found = next(one.judged for one in tested if one.claim.number == number)
    return found.parts if found else ()


def main() -> None:
    """Simulate every size and write the page."""
    text = HEAD
    for size in SIZES:
        counts = Counts()
        for study in range(STUDIES):
            random = np.random.default_rng([study, size.seeds, size.n_test])
            true = simulated.truth(random)
            first = judged(random, size, true)
            counts.add(first, true)
            again(counts, random, size, first)
            if (study + 1) % 100 == 0:
                print(size, study + 1, counts.false, file=sys.stderr, flush=True)
        text += counts.row(size)
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
