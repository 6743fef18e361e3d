import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from kregkit.report.analysis.operating import Operating, operating
from kregkit.report.cells import BASELINE, Place, Series, Setting, Summary, whole
from kregkit.report.data.tables import Tables
from kregkit.report.sections import sentences

Read = Callable[[str], Tables]
SERIES = Series("kernel", "L1", "all", "gradient", "{}")
SCORE = Place("model", "", "model", "test_score")


def cell(
    effect: float | None,
    place: Place = SCORE,
    pairs: int = 3,
    agree: int = 3,
    bounds: tuple[float, float] | tuple[None, None] = (None, None),
    failed: int = 0,
    strength: float = 1e-3,
) -> Summary:
    kind = "log ratio" if place.measure == "l2" else "difference"
    setting = Setting(SERIES, strength)
    return Summary(setting, place, 3, failed, 0.5, kind, pairs, effect, *bounds, agree)


def test_a_strength_that_is_not_reached_is_said(read: Read) -> None:
    one = read("three")
    said = sentences.statements(one, [Operating(SERIES, None, False)])[1]
    assert said.about == "L1 on the kernel W"
    assert said.text == (
        "No strength of the sweep keeps the mean validation score within 1 point of "
        "the baseline's without a failed trial."
    )


NORM = whole("kernel", "l2")


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (cell(-0.003), "fell by 0.3 points (in all 3 seeds)"),
        (cell(0.003, agree=2), "rose by 0.3 points (in 2 of 3 seeds)"),
        (cell(0.003, pairs=1, agree=1), "rose by 0.3 points (1 seed)"),
        (cell(0.0), "did not change"),
        (cell(1e-5), "changed by less than 0.1 points"),
        (cell(None), "has no defined change"),
        (cell(-0.6931471805599453, NORM), "fell by 50.0 % (in all 3 seeds)"),
        (cell(-30.0, NORM), "fell by more than 99.9 % (in all 3 seeds)"),
        (
            cell(-0.01, pairs=6, agree=6, bounds=(-0.02, -0.005)),
            "fell by 1.0 points (95 % interval −2.0 points to −0.5 points)",
        ),
        (
            cell(-0.01, pairs=6, agree=4, bounds=(-0.03, 0.01)),
            "changed by −1.0 points (95 % interval −3.0 points to +1.0 points, which "
            "includes no change)",
        ),
        (
            cell(1e-6, pairs=6, agree=4, bounds=(-0.03, 0.03)),
            "changed by less than 0.1 points (95 % interval −3.0 points to +3.0 "
            "points, which includes no change)",
        ),
    ],
)
def test_a_change_in_words(one: Summary, text: str) -> None:
    assert sentences.change(one, regression=False) == text


def said(tables: Tables) -> str:
    points = [operating(tables, series) for series in tables.strengths]
    statements = sentences.statements(tables, points)
    return "\n".join(f"{saying.about}: {saying.text}" for saying in statements)


def test_kernels_without_an_exact_zero_are_never_called_sparse(read: Read) -> None:
    lines = [line for line in said(read("three")).splitlines() if "kernel W" in line]
    assert len(lines) == 2
    for line in lines:
        assert re.search(
            r"No kernel weight is exactly zero; \d+\.\d % are within 1e-3 of zero "
            r"\(baseline 0\.5 %\); Hoyer 0\.\d{3} \(baseline 0\.203\)\.$",
            line,
        )
        assert "spars" not in line
    assert "In none of 56 finished trials is a kernel weight exactly zero." in said(
        read("three")
    )


def test_exact_zeros_in_kernels_are_said_with_their_share(read: Read) -> None:
    one = read("six")
    (line,) = [
        text for text in said(one).splitlines() if text.startswith("L1 on the k")
    ]
    setting = Setting(SERIES, 1e-3)
    share = one.cell(setting, whole("kernel", "zero_fraction")).mean
    assert share is not None
    assert share > 0.1
    assert (
        "W is sparser than the baseline's (in all 6 seeds): "
        f"{100 * share:.1f} % of the kernel weights are exactly zero (baseline 0 %);"
    ) in line


def test_one_exact_zero_in_one_seed_does_not_make_a_kernel_sparser(read: Read) -> None:
    setting, place = Setting(SERIES, 1e-3), whole("kernel", "zero_fraction")
    values = dict(read("three").values)
    for trial in read("three").done(setting):
        values[trial.trial, place] = 2e-6 * (trial.seed == 0)
    text = sentences.sparsity(replace(read("three"), values=values), setting, "kernel")
    assert text.startswith(
        "<0.1 % of the kernel weights are exactly zero (baseline 0 %)"
    )


def test_sentences_of_few_seeds_claim_nothing(read: Read) -> None:
    everything = said(read("three")) + " ".join(sentences.notes(read("three")))
    assert "interval " not in everything
    assert "significan" not in everything
    assert "With 3 seeds there are no intervals" in everything


def test_notes_say_what_intervals_speak_of(read: Read) -> None:
    text = " ".join(sentences.notes(read("six")))
    assert "re-running this study on this data set" in text
    assert "Nadeau and Bengio" in text
    assert "strengths of L1 and L2 are not comparable" in text


def test_a_norm_in_a_sentence_is_the_norm_of_the_tables(read: Read) -> None:
    one = read("three")
    point = operating(one, SERIES)
    effect = one.cell(point.setting, NORM).effect
    assert effect is not None
    percent = 100 * (1 - 2.718281828459045**effect)
    assert f"‖W‖₂ fell by {percent:.1f} %" in said(one)


def test_the_baseline_is_said_even_when_every_trial_of_it_failed(read: Read) -> None:
    one = read("three")
    trials = tuple(t._replace(failed=t.setting == BASELINE) for t in one.trials)
    text = sentences.statements(replace(one, trials=trials), [])[0].text
    assert text == "Its trials are missing or failed in every seed."
