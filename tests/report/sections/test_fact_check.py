"""Cards and checks: what they name, how sure they are, and what would settle it."""

from dataclasses import replace

import polars as pl
import pytest

from helpers.simulated_studies import FINE, SIZE, drawn, study
from kregkit.report.analysis import meta_analysis
from kregkit.report.analysis.claims import CLAIMS, judge
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.recommendations import advised
from kregkit.report.cells import Series
from kregkit.report.data.tables import tables
from kregkit.report.report import Report
from kregkit.report.sections import across, cards, fact_check, verdict_words
from kregkit.report.sections.fact_check import VERDICTS


def checks(factor, size=FINE, keep=None):
    contents, _ = drawn(factor, size)
    if keep is not None:
        contents = replace(contents, finals=contents.finals.filter(keep))
    analysis = Analysis(tables(contents))
    tested = judge(analysis)
    section = fact_check.section(analysis, tested)
    by_text = {check.says: check for check in section.checks}
    return tested, by_text


@pytest.mark.parametrize("factor", [3.0, 0.0, -3.0])
def test_every_claim_is_shown_with_its_verdict(factor):
    tested, found = checks(factor)
    assert len(found) == len(CLAIMS) + 2  # and the laws
    for one in tested:
        assert one.judged is not None
        check = found[one.claim.says]
        assert (check.verdict, check.tone) == VERDICTS[one.judged.verdict]
        assert check.evidence.anchor == f"claim-{one.claim.number}"
        assert check.why


def test_what_could_not_be_told_says_what_would_settle_it():
    tested, found = checks(1.0, SIZE)
    undecided = [
        one
        for one in tested
        if one.judged and any(p.verdict == "undecided" for p in one.judged.parts)
    ]
    assert undecided
    for one in undecided:
        why = found[one.claim.says].why
        assert "settle it" in why or "leave it open" in why


def test_what_was_not_trained_says_what_is_missing():
    keep = pl.col("target").is_null() | (pl.col("target") == "bias")
    _, found = checks(1.0, SIZE, keep)
    why = found[next(one.says for one in CLAIMS if one.number == 5)].why
    assert why == "This study has not trained all of: L2 on the kernel."


def test_a_card_names_the_only_winner_and_its_code():
    contents, _ = drawn(3.0, FINE)
    analysis = Analysis(tables(contents))
    advices = {one.goal.key: one for one in advised(analysis)}
    card = cards.card(analysis, advices["robust to noise"])
    assert card.choice == "L2 on the kernel at 0.01"
    assert card.tone == "good"
    assert card.code == "kernel_regularizer=L2(0.01)"
    assert ". Test score: " in card.effect
    before, after = card.effect.split(": ")[1].split(" (")[0].split(" → ")
    assert float(before.rstrip(" %")) > float(after.replace("−", "-").rstrip(" %"))


def test_without_an_effect_no_card_is_sure():
    contents, _ = drawn(0.0, FINE)
    analysis = Analysis(tables(contents))
    for one in advised(analysis):
        card = cards.card(analysis, one)
        assert card.tone == "unclear"
        assert card.code == ""


CODE = {
    ("L1", "kernel", "proximal", "{}", 4.642e-4): (
        'kernel_regularizer=L1(5e-4)\noptimizer=Proximal("adam")'
    ),
    ("MCP", "bias", "gradient", '{"threshold": 0.2}', 1e-3): (
        "bias_regularizer=MCP(1e-3, threshold=0.2)"
    ),
    ("decoupled", "kernel", "gradient", "{}", 0.021): (
        "keras.optimizers.AdamW(weight_decay=0.02)"
    ),
}


@pytest.mark.parametrize("case", CODE)
def test_the_line_of_code_is_what_to_write(case):
    name, target, solver, parameters, strength = case
    series = Series(target, name, None, solver, parameters)
    assert cards.line_of_code(series, strength) == CODE[case]


AGREED = {
    ("supported", "undecided", "undecided", "undecided"): "? Could not tell, 3 of 4",
    ("supported", "supported", "undecided", "undecided"): "✓ Holds, 2 of 4",
    ("supported", "undecided"): "✓ Holds, 1 of 2",
    ("supported", "contradicted", "undecided"): "◐ Mixed, 2 of 3 decided",
    ("supported", "supported", "contradicted"): "✓ Holds, 2 of 3",
    ("undecided", "undecided", None): "? Could not tell, 2 of 2",
    (None, None): "– Not tested here",
}


@pytest.mark.parametrize("verdicts", AGREED)
def test_the_verdict_of_several_studies_is_that_of_half_of_them(verdicts):
    assert across.agreed(verdicts)[0] == AGREED[verdicts]


def test_several_studies_count_who_agrees():
    studies = meta_analysis.read(
        [(n, Analysis(tables(c))) for n, c in map(study, range(3))]
    )
    section = across.fact_check(studies, meta_analysis.claims(studies))
    by_text = {check.says: check for check in section.checks}
    for claim in CLAIMS:
        verdicts = [
            t.judged.verdict for s in studies for t in s.tested if t.claim == claim
        ]
        check = by_text[claim.says]
        decided = [one for one in verdicts if one != "undecided"]
        if len(decided) == 2 and len({*decided}) == 1:
            assert check.verdict == f"{VERDICTS[decided[0]][0]}, 2 of 3"
        if len({*verdicts}) == 1:
            assert check.verdict == f"{VERDICTS[verdicts[0]][0]}, 3 of 3"
        assert check.why.startswith("Of 3 studies ")


def with_solver(contents, solver):
    """Return a study whose kernels were trained by a solver, and have no zeros."""
    rows = contents.rows.with_columns(zero_fraction=0.0)
    kernels = (pl.col("target") == "kernel").fill_null(False)
    solvers = pl.when(kernels).then(pl.lit(solver)).otherwise("solver").alias("solver")
    return replace(contents, rows=rows, finals=contents.finals.with_columns(solvers))


@pytest.mark.parametrize(
    ("solver", "advised"), [("gradient", True), ("proximal", False)]
)
def test_the_proximal_solver_is_advised_only_where_it_was_not_tried(solver, advised):
    contents, _ = drawn(1.0)
    report = Report(tables(with_solver(contents, solver)))
    told = [
        text for text in report.answer if "No kernel weight is exactly zero" in text
    ]
    assert len(told) == 1
    assert ("proximal solver" in told[0]) == advised
    (use,) = (part for part in report.page.parts if part.anchor == "use")
    (card,) = (card for card in use.cards if card.title == "Sparse weights")
    assert ("proximal solver" in card.sure) == advised


@pytest.mark.parametrize(
    ("gap", "told"), [(0.25, "0.250 above"), (-0.25, "0.250 below")]
)
def test_a_gap_is_above_or_below(gap, told):
    contents, _ = drawn(1.0)
    train = (pl.col("val_data_loss") - gap).alias("train_data_loss")
    finals = contents.finals.with_columns(train)
    first = Report(tables(replace(contents, finals=finals))).answer[0]
    assert f"a validation loss that is {told} the training loss" in first


def test_sentences_of_cards_end_once():
    contents, _ = drawn(1.0)
    text = Report(tables(contents)).files["report.md"].decode()
    lines = [line for line in text.splitlines() if line.startswith("- **")]
    assert len(lines) > 10
    assert [line for line in lines if ".." in line or ". ." in line] == []


def test_the_columns_of_the_evidence_hold_what_their_heads_say():
    contents, _ = drawn(1.0)
    analysis = Analysis(tables(contents))
    words = {*verdict_words.VERDICTS.values(), "Not tested"}
    for check in fact_check.section(analysis, judge(analysis)).checks:
        for table in check.evidence.tables[:1]:
            if "Verdict" not in table.head:
                continue
            columns = dict(zip(table.head, zip(*table.rows, strict=True), strict=True))
            assert {entry.value for entry in columns["Verdict"]} <= words
            assert {entry.value for entry in columns["Seeds"]} == {str(SIZE.seeds)}
            assert all(entry.value.startswith("[") for entry in columns["Interval"])
