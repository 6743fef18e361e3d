"""The sentences about a claim are made of its declaration."""

from dataclasses import replace

import pytest

from helpers import ROOT
from kregkit.report.analysis.claims import CLAIMS
from kregkit.report.effects import Points
from kregkit.report.sections.claim_words import counts, where

DOCUMENT = (ROOT / "docs" / "reading-a-report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: str(claim.number))
def test_the_document_has_every_claim_as_it_is_tested(claim):
    rows = [
        line.replace(r"\|", "|").strip("| ").split(" | ")
        for line in DOCUMENT.splitlines()
        if line.startswith(f"| {claim.number} |")
    ]
    points = " and ".join(dict.fromkeys(one.point for one in claim.parts))
    assert rows == [[str(claim.number), claim.says, points, counts(claim)]]


def test_the_document_names_every_claim():
    rows = [line for line in DOCUMENT.splitlines() if line[:3].strip("| ").isdigit()]
    assert len(rows) == len(CLAIMS)


CHANGED = {
    "another size": ({"smallest": 0.7}, "‖f(0)‖₂ falls by at least 50 %"),
    "a rise": ({"rule": "rises", "smallest": 0.7}, "rises by at least 101 %"),
    "a score": (
        {"smallest": Points(0.02, 0.3)},
        "‖f(0)‖₂ falls by at least 2 points (R² 0.3)",
    ),
    "no change": (
        {"rule": "stays"},
        "‖f(0)‖₂ under L2 on the bias stays within 11 %",
    ),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_another_declaration_is_another_sentence(kind):
    changes, words = CHANGED[kind]
    claim = next(one for one in CLAIMS if one.number == 2)
    changed = replace(claim, parts=(replace(claim.parts[0], **changes),))
    assert counts(changed).endswith(words)
    best = replace(claim, parts=(replace(claim.parts[0], point="best"),))
    assert where(best) == "the strength with the lowest validation data loss"
