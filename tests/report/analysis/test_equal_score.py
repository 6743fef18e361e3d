"""What is compared at equal score, against the finals alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from experiments.benchmarks import simulated
from helpers.cross_fitted import N_TEST, N_TRAIN, SEEDS, VALUES, chosen
from helpers.two_seeds import SERIES, STRENGTHS, study_of
from kregkit.report import statistics
from kregkit.report.analysis.collapse import collapse_strength
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.equal_score import TOLERANCES, pairs, rows
from kregkit.report.analysis.meta_analysis import read
from kregkit.report.cells import Setting, of_model, whole
from kregkit.report.data.tables import tables
from kregkit.report.figures.frontier import frontier
from kregkit.report.figures.score import score
from kregkit.report.report import Report
from kregkit.report.sections import equal_score
from kregkit.report.wording import labels, numbers
from kregkit.report.wording.contrasts import quantity
from kregkit.store import Contents


@pytest.fixture(scope="module")
def contents() -> Contents:
    random = np.random.default_rng(5)
    size = simulated.Size(SEEDS, N_TRAIN, N_TEST)
    return simulated.contents(random, size, simulated.truth(random))


@pytest.fixture(scope="module")
def report(contents: Contents) -> Report:
    return Report(tables(contents))


@pytest.mark.parametrize("measure", VALUES)
@pytest.mark.parametrize("target", ["kernel", "bias", "activity"])
def test_every_contrast_is_the_mean_and_t_interval_of_the_finals(
    contents: Contents, report: Report, measure: str, target: str
) -> None:
    kind, value = VALUES[measure]
    frame = report.contrasts.filter(
        pl.col("section") == "L1 against L2",
        pl.col("about").str.ends_with(f"L1 minus L2 on the {target}"),
        pl.col("measure") == measure,
    )
    assert frame["point"].to_list() == [
        *(f"within {part:g}" for part in TOLERANCES),
        "lowest loss",
    ]
    assert frame["kind"].unique().to_list() == [kind]
    for row in frame.iter_rows(named=True):
        one, other = (chosen(contents, r, target, row["point"]) for r in ("L1", "L2"))
        if not one or not other:
            assert row["effect"] is None
            assert "no strength" in row["why"]
            continue
        effects = [value(one[s]) - value(other[s]) for s in range(SEEDS)]
        overlap = N_TEST / N_TRAIN  # Nadeau and Bengio: the split is redrawn
        error = np.std(effects, ddof=1) * np.sqrt(1 / SEEDS + overlap)
        half = stats.t.ppf(0.975, SEEDS - 1) * error
        found = [row[name] for name in ("effect", "low", "high")]
        center = np.mean(effects)
        np.testing.assert_allclose(found, [center, center - half, center + half], 1e-9)
        seeds = report.effects.filter(
            about=row["about"], point=row["point"], section=row["section"]
        )
        np.testing.assert_allclose(seeds["effect"], effects, 1e-12)


def test_the_page_shows_what_the_frame_holds(report: Report) -> None:
    section = next(s for s in report.page.sections if s.anchor == "l1-l2")
    assert [table.caption.split(":")[0] for table in section.tables] == [
        f"L1 minus L2 on the {target}" for target in ("kernel", "bias", "activity")
    ]
    frame = report.contrasts.filter(section="L1 against L2")
    table = section.tables[0]
    for cells in table.rows[1:]:
        about = f"{cells[0].value}, L1 minus L2 on the kernel"
        own = frame.filter(about=about)
        shown = [
            numbers.effect(*row, False)
            for row in own.select("measure", "kind", "effect").iter_rows()
        ]
        assert [entry.value for entry in cells[1:]] == shown


def test_decoupled_decay_is_compared_with_l2(contents: Contents) -> None:
    kernels_l1 = (pl.col("target") == "kernel") & (pl.col("regularizer") == "L1")
    decoupled = (
        pl.when(kernels_l1)
        .then(pl.lit("decoupled"))
        .otherwise("regularizer")
        .alias("regularizer")
    )
    renamed = replace(contents, finals=contents.finals.with_columns(decoupled))
    study = Analysis(tables(renamed))
    sections = {one.anchor: one for one in equal_score.sections(study)}
    assert set(sections) == {"l1-l2", "decay"}
    assert any("Adam" in note for note in sections["decay"].notes)
    (pair,) = pairs(study, "L2", "decoupled")
    (twin,) = (
        p for p in pairs(Analysis(tables(contents)), "L1", "L2") if p.one[0] == "kernel"
    )
    for row, other in zip(
        rows(study, pair), rows(Analysis(tables(contents)), twin), strict=True
    ):
        for one, two in zip(row.contrasts, other.contrasts, strict=True):
            assert [e for _, e in one.effects] == pytest.approx(
                [None if e is None else -e for _, e in two.effects]
            )


def test_with_few_seeds_the_lowest_and_the_highest_are_shown() -> None:
    random = np.random.default_rng(5)
    size = simulated.Size(3, N_TRAIN, N_TEST)
    few = simulated.contents(random, size, simulated.truth(random))
    study = Analysis(tables(few))
    section = next(equal_score.sections(study))
    row = next(rows(study, next(pairs(study, "L1", "L2"))))
    shown = section.tables[0].rows[1]
    assert shown[0].value == quantity(row.about.place) == "test score"
    effects = [e for _, e in row.contrasts[-1].effects if e is not None]
    assert len(effects) == 3
    low, high = (
        numbers.effect("test_score", "difference", e, False)
        for e in (min(effects), max(effects))
    )
    assert shown[-1].note == f"seeds [{low}, {high}]"


def test_a_study_that_lacks_trials_is_compared_where_both_have_them(
    contents: Contents,
) -> None:
    lost = (
        (pl.col("regularizer") == "L2")
        & (pl.col("target") == "kernel")
        & (pl.col("seed") == 4)
    )
    partial = contents.finals.filter(~lost.fill_null(False))
    one = Report(tables(replace(contents, finals=partial)))
    assert one.page.sections
    whole_study = Report(tables(contents))
    kept = one.goals.filter(regularizer="L1 on the kernel", goal="Best score")
    all_of_it = whole_study.goals.filter(
        regularizer="L1 on the kernel", goal="Best score"
    )
    assert kept.select("effect", "low").equals(all_of_it.select("effect", "low"))
    seeds = one.effects.filter(
        pl.col("about") == "test score, L1 minus L2 on the kernel"
    )["seed"]
    assert sorted(seeds.unique()) == [0, 1, 2, 3, 5]


def test_goals_name_those_that_the_page_names(report: Report) -> None:
    table = next(s for s in report.page.sections if s.anchor == "every-goal").tables[0]
    for goal, use, *_ in table.rows:
        frame = report.goals.filter(goal=goal.value)
        best = frame.filter("among_best")["regularizer"].to_list()
        if use.value == "Not known":
            assert frame.height == 0
        elif use.value == "No difference that could be seen":
            assert "no regularizer" in best
        else:
            assert set(use.value.split(", or ")[0].split("\n")) <= set(best)
            assert "no regularizer" not in best


def test_several_studies_are_pooled_as_one_by_one() -> None:
    named = []
    for i in range(3):
        random = np.random.default_rng(i)
        size = simulated.Size(SEEDS, N_TRAIN, N_TEST)
        one = simulated.contents(
            random, size, dict.fromkeys(simulated.truth(random), 0.1)
        )
        finals = one.finals.with_columns(data=pl.lit(f"data {i}"))
        named.append((f"study {i}", Analysis(tables(replace(one, finals=finals)))))
    section = next(equal_score.sections_of_several(read(named)))
    for i, row in enumerate(section.tables[0].rows):
        estimates = []
        for _, study in named:
            pair = next(pairs(study, "L1", "L2"))
            one = [*rows(study, pair)][i].contrasts[TOLERANCES.index(1.0)]
            assert row[0].value == quantity(one.about.place)
            estimates.append(one.estimate)
        if any(known is None for known in estimates):
            continue
        pooled = statistics.random_effects(estimates).estimate
        assert row[1].value == numbers.effect(
            one.measure, one.kind, pooled.value, False
        )
        assert len(row) == 5


@pytest.mark.parametrize("measure", ["hoyer", "l2", "jacobian_ratio"])
def test_the_frontier_is_what_brute_force_finds(
    contents: Contents, measure: str
) -> None:
    one = tables(contents)
    series = next(s for s in one.strengths if s.target == "kernel")
    own_measure = measure == "jacobian_ratio"
    place = of_model(measure) if own_measure else whole("kernel", measure)
    settings = [series.baseline, *(Setting(series, x) for x in one.strengths[series])]
    seen = {}
    for setting in settings:
        trials = [trial.trial for trial in one.done(setting)]
        scores = contents.finals.filter(pl.col("trial").is_in(trials))
        scores = scores.select("val_score", "test_score").mean().row(0)
        value = np.mean([one.values[t, place] for t in trials])
        more = {"hoyer": value, "l2": -value}.get(measure, setting.strength or 0.0)
        seen[setting] = (scores[0], more, value, scores[1])
    base, majority = seen[series.baseline][0], contents.finals["majority_score"].mean()
    viable = [s for s in settings if seen[s][0] > (base + majority) / 2]
    expected = sorted(
        (seen[s][2], seen[s][3])
        for s in viable
        if not any(
            seen[o][0] >= seen[s][0] and seen[o][1] >= seen[s][1] and o != s
            for o in viable
        )
    )
    figure = frontier(one, "k", [series], place)
    assert figure is not None
    axes = figure.plot().axes[0]
    (line,) = (x for x in axes.lines if x.get_linestyle() == "-")
    np.testing.assert_allclose(line.get_xydata(), expected, 1e-12)
    assert labels.measure(place.role, measure) in figure.caption


@pytest.mark.parametrize(
    ("scores", "scaled"), [((0.9, 0.8, 0.3, 0.2), True), ((0.9, 0.8, 0.8, 0.8), False)]
)
def test_strengths_are_in_units_of_the_collapse_where_all_collapse(
    tmp_path: Path, scores: tuple[float, ...], scaled: bool
) -> None:
    one = study_of(tmp_path, scores)
    figure = score(one, "k", [SERIES])
    assert figure is not None
    axes = figure.plot().axes[0]
    unit = collapse_strength(one, SERIES) or 1.0
    assert (unit != 1.0) == scaled
    curve = next(x for x in axes.lines if x.get_label() == "L1")
    np.testing.assert_allclose(curve.get_xdata(), np.log10(np.array(STRENGTHS) / unit))
    assert axes.get_xlabel() == (
        "strength over collapse strength" if scaled else "strength"
    )
