"""The collapse strength against cases worked out by hand."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers.two_seeds import SERIES, STRENGTHS, study_of
from kregkit.report import load
from kregkit.report.analysis.collapse import collapse_strength, collapsed
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.cells import Setting
from kregkit.report.page.page import Entry
from kregkit.report.sections.goals import begin

# Half of 0.9 - 0.1 is lost at 0.5.
CASES = {
    "halfway in log strength": ((0.9, 0.7, 0.3, 0.1), math.sqrt(1e-3 * 1e-2)),
    "a quarter of the way": ((0.9, 0.6, 0.2, 0.1), 1e-3 * 10**0.25),
    "at a strength of the sweep": ((0.9, 0.7, 0.5, 0.1), 1e-2),
    "the first of two crossings": ((0.7, 0.3, 0.7, 0.3), math.sqrt(1e-4 * 1e-3)),
    "better than the baseline first": ((1.0, 0.0, 0.0, 0.0), math.sqrt(1e-4 * 1e-3)),
    "never": ((0.9, 0.8, 0.7, 0.6), None),
    "from the weakest on": ((0.5, 0.4, 0.3, 0.2), None),
    "unknown between": ((0.9, None, 0.2, 0.1), None),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_what_a_hand_computes(case: str, tmp_path: Path) -> None:
    scores, expected = CASES[case]
    found = collapse_strength(study_of(tmp_path, scores), SERIES)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_it_is_not_known_without_something_to_lose(tmp_path: Path) -> None:
    scores = (0.9, 0.7, 0.3, 0.1)
    for i, more in enumerate([{"base": 0.1}, {"base": 0.05}, {"majority": None}]):
        made = study_of(tmp_path / str(i), scores, **more)
        assert collapse_strength(made, SERIES) is None
        assert not collapsed(made, Setting(SERIES, 1e-1))


def test_a_strength_has_collapsed_from_half_on(tmp_path: Path) -> None:
    made = study_of(tmp_path, (0.9, 0.51, 0.5, None))
    found = [collapsed(made, Setting(SERIES, x)) for x in STRENGTHS]
    assert found == [False, False, True, False]
    assert not collapsed(made, SERIES.baseline)


def test_it_is_in_the_table_of_operating_points(stores: Path) -> None:
    loaded = load(stores / "three")
    found = [collapse_strength(loaded.tables, s) for s in loaded.tables.strengths]
    assert loaded.operating["collapse_strength"].to_list() == found


@pytest.mark.parametrize(
    ("losses", "score"),
    [
        ((0.4, 0.5, 0.6, 0.7), Entry("1e-4", "weakest tried")),
        ((0.4, 0.3, 0.6, 0.7), Entry("1e-3", "1/4.6 of the collapse")),
        ((0.4, 0.3, 0.2, 0.1), Entry("0.1", "strongest tried")),
    ],
)
def test_where_to_begin(losses: Sequence[float], score: Entry, tmp_path: Path) -> None:
    found = study_of(tmp_path, (0.9, 0.895, 0.3, 0.1), losses=losses)
    (row,) = begin(Analysis(found)).rows
    assert row[0].value == "L1 on the kernel"
    assert row[1] == score
    assert row[2].value == "1e-3"  # the strongest that loses less than 1 point
    assert row[3].value == "4.6e-3"  # of 0.8 it loses 0.4 at 1e-3·10^(0.395/0.595)
