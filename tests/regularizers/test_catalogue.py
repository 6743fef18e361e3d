"""The catalogue is what the registry says, and names a source of every penalty."""

import re

import numpy as np
import pytest

from experiments import catalogue
from helpers.formulas import CASES, Case
from kregkit import regularizers


@pytest.mark.long
def test_the_committed_page_is_the_one_that_is_made() -> None:
    made = catalogue.files()
    page = (catalogue.FOLDER / "report.md").read_bytes()
    assert made["report.md"].decode() == page.decode()
    kept = [f"figures/{file.name}" for file in catalogue.FOLDER.glob("figures/*")]
    assert sorted(made) == sorted(["report.md", *kept])
    shown = re.findall(r"\]\((figures/.*?)\)", page.decode())
    assert sorted(shown) == sorted(kept)


def test_the_table_of_the_document_is_the_one_that_is_made() -> None:
    text = catalogue.DOCUMENT.read_text(encoding="utf-8")
    assert catalogue.document(text) == text


@pytest.mark.parametrize("cls", regularizers.classes(), ids=lambda cls: cls.__name__)
def test_every_penalty_has_a_source_and_a_line(cls: type) -> None:
    assert catalogue.sources(cls)
    assert catalogue.row(cls).count(" | ") == 6


def test_sources_are_read_from_docstrings() -> None:
    class Made(regularizers.Penalty):
        """`x`, of Able and van Baker 1999.

        As Carter, O-Neil and Dàmi 2001, doi:10.1/a.b;c; Edwards 2002, arXiv:1.2.
        """

    assert catalogue.sources(Made)[-2:] == [
        "[Carter, O-Neil and Dàmi 2001](https://doi.org/10.1/a.b)",
        "[Edwards 2002](https://arxiv.org/abs/1.2)",
    ]


ALONE = [case for case in CASES if case.penalty.strength == 0.7 and case.rank == 0]


@pytest.mark.parametrize("case", ALONE, ids=str)
def test_the_curve_is_that_of_the_formula(case: Case) -> None:
    """Of those whose first case has the defaults."""
    at, found = catalogue.curves(type(case.penalty))
    expected = [case.value(np.array([[w]])) for w in at]
    np.testing.assert_allclose(found["value"], expected, 1e-9, 1e-12)
    slopes = [case.slope(np.array([[w]]))[0, 0] for w in at]
    np.testing.assert_allclose(found["slope"], slopes, 1e-9, 1e-9)
