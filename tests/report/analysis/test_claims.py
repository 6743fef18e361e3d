import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from experiments.benchmarks import simulated
from experiments.benchmarks.simulated import Size
from helpers.simulated_studies import FINE, SIZE, drawn
from kregkit.report.analysis import claims
from kregkit.report.analysis.claims import CLAIMS, judge
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.operating import best, strong
from kregkit.report.data.tables import tables
from kregkit.report.page import markdown
from kregkit.report.report import Report
from kregkit.report.sections import verdict_words
from kregkit.report.wording import numbers
from kregkit.report.wording.contrasts import of
from kregkit.store import Contents


def verdicts(contents: Contents) -> dict[int, str | None]:
    found = judge(Analysis(tables(contents)))
    return {one.claim.number: one.judged and one.judged.verdict for one in found}


@pytest.mark.parametrize(
    ("factor", "expected", "parity", "first"),
    [
        (3.0, "supported", "contradicted", "partly"),
        (0.0, "negligible", "supported", "partly"),
        (-3.0, "contradicted", "supported", "contradicted"),
    ],
)
def test_large_and_absent_effects_are_found(
    factor: float, expected: str, parity: str, first: str
) -> None:
    contents, _ = drawn(factor, FINE)
    own = {1: first, 8: parity}  # 1 has a part that asks for no change
    assert verdicts(contents) == {
        claim.number: own.get(claim.number, expected) for claim in CLAIMS
    }


def test_false_verdicts_are_rare_and_intervals_cover() -> None:
    false, inside, intervals = 0, 0, 0
    for study in range(40):
        random = np.random.default_rng([study, 7])
        true = simulated.truth(random)
        contents = simulated.contents(random, SIZE, true)
        wrong = False
        for one in judge(Analysis(tables(contents))):
            assert one.judged is not None
            for place, part in enumerate(one.judged.parts):
                effect = true[one.claim.number, place]
                wrong |= simulated.untrue(part, effect)
                if part.contrast.estimate:
                    low, high = part.contrast.estimate.interval()
                    inside += low <= effect <= high
                    intervals += 1
        false += wrong
    assert false <= 5  # P(more) is 0.01 at a rate of 5 %
    assert 0.92 < inside / intervals < 0.985


def finals(contents: Contents, *by: object) -> dict[int, dict]:
    columns = ("regularizer", "target", "strength")
    found = contents.finals
    for column, value in zip(columns, by, strict=True):
        found = found.filter(pl.col(column).eq_missing(pl.lit(value)))
    return {row["seed"]: row for row in found.iter_rows(named=True)}


MEASURES: dict[tuple[int, int], tuple[str, str, Callable[[dict, dict], float]]] = {
    (2, 0): (
        "L2",
        "bias",
        lambda a, b: math.log(a["logit_norm_at_zero"] / b["logit_norm_at_zero"]),
    ),
    (4, 2): (
        "L2",
        "bias",
        lambda a, b: math.log(
            (a["bias_quantiles"][2] / a["bias_quantiles"][0])
            / (b["bias_quantiles"][2] / b["bias_quantiles"][0])
        ),
    ),
    (5, 0): (
        "L2",
        "kernel",
        lambda a, b: (
            (a["test_score"] - a["score_under_noise"][1])
            - (b["test_score"] - b["score_under_noise"][1])
        ),
    ),
    (5, 1): (
        "L2",
        "kernel",
        lambda a, b: math.log(
            (a["jacobian_norm"] / a["logit_scale"])
            / (b["jacobian_norm"] / b["logit_scale"])
        ),
    ),
    (9, 0): (
        "L2",
        "kernel",
        lambda a, b: (
            b["train_data_loss"] / b["val_data_loss"]
            - a["train_data_loss"] / a["val_data_loss"]
        ),
    ),
}


@pytest.mark.parametrize("which", MEASURES)
def test_a_part_is_the_paired_effect_at_the_chosen_strengths(
    which: tuple[int, int],
) -> None:
    contents, _ = drawn(1.0)
    one = tables(contents)
    claim, place = which
    part = parts(judge(Analysis(one)), claim)[place]
    regularizer, target, compare = MEASURES[which]
    series = next(
        s for s in one.strengths if (s.regularizer, s.target) == (regularizer, target)
    )
    base = finals(contents, None, None, None)
    chosen = strong(one, series)
    for seed, effect in part.contrast.effects:
        setting = chosen[seed]
        assert setting is not None
        own = finals(contents, regularizer, target, setting.strength)[seed]
        assert effect == pytest.approx(compare(own, base[seed]))


def parts(found: tuple[claims.Tested, ...], number: int) -> tuple:
    judged = next(one.judged for one in found if one.claim.number == number)
    assert judged is not None
    return judged.parts


def test_the_best_kernel_regularizer_is_compared_with_the_best_other() -> None:
    contents, _ = drawn(1.0)
    one = tables(contents)
    (part,) = parts(judge(Analysis(one)), 8)
    kernel = [series for series in one.strengths if series.target == "kernel"]
    others = [series for series in one.strengths if series.target != "kernel"]
    first, second = best(one, kernel), best(one, others)
    for seed, effect in part.contrast.effects:
        scores = []
        for setting in (first[seed], second[seed]):
            assert setting is not None
            series = setting.series
            by = series.regularizer, series.target, setting.strength
            scores.append(finals(contents, *by)[seed]["test_score"])
        assert effect == pytest.approx(scores[0] - scores[1])


def test_the_exact_zeros_of_the_proximal_solver_are_parts() -> None:
    contents, _ = drawn(0.0)
    proximal = (pl.col("target") == "kernel").fill_null(False)
    solver = pl.when(proximal).then(pl.lit("proximal")).otherwise(pl.lit("gradient"))
    made = replace(contents, finals=contents.finals.with_columns(solver=solver))
    zeros = contents.rows.with_columns(zero_fraction=0.25)
    found = judge(Analysis(tables(replace(made, rows=zeros))))
    (ignored,) = parts(found, 6)
    assert ignored.contrast.measure == "inputs_ignored"


@pytest.mark.parametrize("size", [Size(4, 1000, 300), Size(1, 1000, 300)])
def test_below_five_seeds_nothing_is_judged(size: Size) -> None:
    contents, _ = drawn(3.0, size)
    for one in judge(Analysis(tables(contents))):
        assert one.judged is not None
        assert one.judged.verdict == "undecided"
        for part in one.judged.parts:
            assert part.contrast.estimate is None
            assert part.contrast.why == ("few seeds", size.seeds, 5)


def test_a_claim_without_its_series_is_not_in_the_family() -> None:
    contents, _ = drawn(3.0, FINE)
    kernels = contents.finals.filter(
        pl.col("target").is_null() | (pl.col("target") == "kernel")
    )
    found = verdicts(replace(contents, finals=kernels))
    assert {number for number, verdict in found.items() if verdict} == {5, 6, 9}


def test_equal_score_differences_in_all_seeds_are_no_certainty() -> None:
    contents, _ = drawn(0.0)
    same = contents.finals.with_columns(test_score=0.9)
    (part,) = parts(judge(Analysis(tables(replace(contents, finals=same)))), 8)
    assert part.verdict == "undecided"
    assert part.contrast.why == ("no spread", 20, 20)


def section(text: str, number: int) -> str:
    start = text.index(f"## Claim {number}:")
    return text[start : text.index("\n##", start + 1)]


def test_every_part_is_on_the_page_with_its_effect_interval_and_verdict() -> None:
    contents, _ = drawn(1.0)
    text = Report(tables(contents)).files["report.md"].decode()
    for one in judge(Analysis(tables(contents))):
        assert one.judged is not None
        own = section(text, one.claim.number)
        lines = [line for line in own.splitlines() if line.startswith("|")]
        for part in one.judged.parts:
            (line,) = (
                line
                for line in lines
                if line.startswith(f"| {markdown.text(of(part.contrast.about))} |")
            )
            estimate = part.contrast.estimate
            assert estimate is not None
            for value in (estimate.value, part.low, part.high):
                unit, kind = part.contrast.measure, part.contrast.kind
                shown = numbers.effect(unit, kind, value, regression=False)
                assert markdown.text(shown).lstrip("\\") in line
            assert verdict_words.VERDICTS[part.verdict] in line
    for number in (3, 7):  # nothing of these was simulated
        assert "Not tested" in section(text, number)


def test_what_was_not_trained_is_said_and_not_judged() -> None:
    contents, _ = drawn(1.0)
    finals = contents.finals.filter(
        pl.col("target").is_null() | (pl.col("target") == "bias")
    )
    text = Report(tables(replace(contents, finals=finals))).files["report.md"].decode()
    for number in (1, 4, 5, 6, 8, 9):
        assert "has not trained what this claim needs" in section(text, number)
    assert "has not trained" not in section(text, 2)
