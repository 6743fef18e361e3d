"""Reports over several studies: what is pooled, and what is refused."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.benchmarks import simulated
from helpers import report_store
from helpers.simulated_studies import NAMES, SIZE, study
from kregkit import report
from kregkit.errors import StoreError, VersionError
from kregkit.report.analysis import meta_analysis, recommendations
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.data.tables import tables
from kregkit.report.findings import frame_of_several
from kregkit.report.sections import pooled_claims
from kregkit.report.sections.verdict_words import VERDICTS
from kregkit.report.several import files_of_several
from kregkit.report.statistics import Estimate, random_effects
from kregkit.report.wording import numbers
from kregkit.report.wording.contrasts import of
from kregkit.store import Contents, Store

TASKS = ("classification",) * 3 + ("regression",)


def read(named: Mapping[str, Contents]) -> tuple[meta_analysis.One, ...]:
    return meta_analysis.read([(n, Analysis(tables(c))) for n, c in named.items()])


def part(
    found: tuple[meta_analysis.PooledClaim, ...], number: int
) -> meta_analysis.PooledPart:
    return next(one for one in found if one.claim.number == number).parts[0]


def test_parts_are_pooled_over_the_studies() -> None:
    studies = read(dict(study(seed) for seed in range(3)))
    found = meta_analysis.claims(studies)
    for number in (2, 5, 6, 8):
        estimates = []
        for one in studies:
            judged = next(t.judged for t in one.tested if t.claim.number == number)
            assert judged is not None
            estimates.append(judged.parts[0].contrast.estimate)
        known = [one for one in estimates if one is not None]
        assert len(known) == 3
        assert part(found, number).pooled == random_effects(known)


def test_large_effects_in_all_studies_are_supported() -> None:
    studies = read(dict(study(seed, 3.0) for seed in range(4)))
    verdicts = {
        one.claim.number: one.judged and one.judged.verdict
        for one in meta_analysis.claims(studies)
    }
    assert verdicts[2] == verdicts[6] == verdicts[9] == "supported"


def test_two_sets_of_data_are_listed_and_not_pooled() -> None:
    named = dict(study(seed) for seed in range(2))
    again, contents = study(2)
    finals = contents.finals.with_columns(data=pl.lit(NAMES[0]))
    found = meta_analysis.claims(
        read(named | {again: replace(contents, finals=finals)})
    )
    assert all(one.judged is None for one in found)
    assert len(part(found, 2).found) == 3
    assert part(found, 2).pooled is None


def test_studies_of_one_data_set_are_one_point_of_the_pool() -> None:
    named = dict(study(seed) for seed in range(3))
    again, contents = study(3)
    finals = contents.finals.with_columns(data=pl.lit(NAMES[1]))
    studies = read(named | {again: replace(contents, finals=finals)})
    one, *both, third = [
        next(t.judged for t in studies[i].tested if t.claim.number == 2)
        .parts[0]
        .contrast.estimate
        for i in (0, 1, 3, 2)
    ]
    mean = Estimate(
        SIZE.seeds,
        np.mean([own.value for own in both]),
        np.mean([own.error for own in both]),
        SIZE.seeds - 1,
    )
    made = part(meta_analysis.claims(studies), 2)
    assert len(made.found) == 4
    assert made.pooled is not None
    expected = random_effects([one, mean, third])
    np.testing.assert_allclose(made.pooled.estimate, expected.estimate, 1e-12)
    assert made.pooled.estimate.n == 3


def test_the_pool_of_the_page_is_the_pool_of_the_csv() -> None:
    studies = read(dict(study(seed, task=TASKS[seed]) for seed in range(4)))
    found = meta_analysis.claims(studies)
    frame = frame_of_several(studies, found).filter(study="pooled")
    for row in frame.iter_rows(named=True):
        made = [
            own
            for one in found
            for own in one.parts
            if f"claim {one.claim.number}" == row["section"]
            and of(own.about) == row["about"]
        ]
        known = made[0].pooled
        if known is None:
            assert row["effect"] is None
            continue
        assert row["effect"] == known.estimate.value
        counted = made[0].shape.measure in ("test_score", "noise_cost")
        assert row["seeds"] == (3 if counted else 4)


def test_scores_of_a_regression_are_not_pooled_with_accuracies() -> None:
    named = dict([study(0), study(1), study(2), study(3, task="regression")])
    found = meta_analysis.claims(read(named))
    assert len(part(found, 8).found) == 4
    for number, count in ((8, 3), (2, 4)):
        made = part(found, number).pooled
        assert made is not None
        assert made.estimate.n == count
    assert part(found, 8).shape.smallest == 0.005  # not that of R²


def advice(*ties: str) -> recommendations.Advice:
    return recommendations.Advice(recommendations.GOALS[0], ties, len(ties), {})


@pytest.mark.parametrize(
    ("advices", "expected"),
    [
        ([advice("a", "b"), advice("b", "c", "a")], ("a", "b")),
        ([advice("a", "b"), advice(), advice("b")], ("b",)),
        ([advice("a"), advice("b")], ()),
        ([advice(), advice()], ()),
    ],
)
def test_what_no_study_shows_to_be_beaten_is_in_common(
    advices: list[recommendations.Advice], expected: tuple[str, ...]
) -> None:
    assert recommendations.in_common(advices) == expected


def test_a_pooled_wrong_verdict_is_rare() -> None:
    wrong = 0
    for repetition in range(12):
        random = np.random.default_rng([repetition, 4])
        true = simulated.truth(random)
        named = {}
        for seed in range(3):
            contents = simulated.contents(random, simulated.Size(8, 1149, 360), true)
            data = pl.lit(NAMES[seed])
            finals = contents.finals.with_columns(data=data)
            named[NAMES[seed]] = replace(contents, finals=finals)
        false = False
        for one in meta_analysis.claims(read(named)):
            assert one.judged is not None
            for place, own in enumerate(one.judged.parts):
                false |= simulated.untrue(own, true[one.claim.number, place])
        wrong += false
    assert wrong <= 3  # P(more) is 0.002 at a rate of 5 %


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three stores of six seeds each, of different data."""
    folder, made = tmp_path_factory.mktemp("several"), []
    for i, name in enumerate(NAMES[:3]):
        cells = report_store.cells((1e-4, 1e-3), ("kernel", "bias"))
        finals = {"data": name}
        path = report_store.write_study(folder / name, cells, 5, finals=finals)
        for file in path.glob("parts/*/*.parquet"):
            frame = pl.read_parquet(file)
            named = pl.col("trial").str.replace("^.", str(i))
            frame.with_columns(named).write_parquet(file)
        made.append(path)
    return made


def test_one_page_over_several_stores(folders: list[Path], tmp_path: Path) -> None:
    made = report.make_several(folders, tmp_path / "out")
    page, text = made.read_text(), (tmp_path / "out/report.md").read_text()
    for name in NAMES[:3]:
        assert f"{name}, mlp" in page
    assert "What to use" in text
    again = report.make_several(folders, tmp_path / "again")
    assert again.read_bytes() == made.read_bytes()


def test_every_part_has_a_row_with_its_verdict_in_each_study() -> None:
    studies = read(dict(study(seed, 3.0) for seed in range(3)))
    found = meta_analysis.claims(studies)
    glance = next(pooled_claims.sections(studies, found))
    rows = {row[0].value: row[1:] for row in glance.tables[0].rows}
    for claim in found:
        number = str(claim.claim.number)
        alone = len(claim.parts) == 1
        for place, own in enumerate(claim.parts, 1):
            name, together, *each = rows[number if alone else f"{number}.{place}"]
            assert name.value == (claim.claim.name if alone else of(own.about))
            verdicts = [one.verdict for _, one in own.found]
            assert [entry.value for entry in each] == [VERDICTS[v] for v in verdicts]
            for entry, (_, one) in zip(each, own.found, strict=True):
                estimate = one.contrast.estimate
                assert estimate is not None
                unit, kind = one.contrast.measure, one.contrast.kind
                assert entry.note == numbers.effect(unit, kind, estimate.value, False)
            if len({*verdicts}) == 1 and verdicts[0] != "undecided":
                assert together.note.endswith("in each of 3")
            else:
                assert "in each" not in together.note


def test_the_page_says_what_runs_its_studies_again(
    folders: list[Path], tmp_path: Path
) -> None:
    report.make_several(folders, tmp_path / "out")
    text = (tmp_path / "out/report.md").read_text()
    for folder in folders:
        title = tomllib.loads((folder / "study.toml").read_text())["name"]
        assert f"    kregkit run {title}.toml --out {title}\n" in text
        assert f"{title}/store" in text


def twice(contents: list[Contents]) -> dict[str, Contents]:
    return {"a": contents[0], "b": contents[0]}


def mixed(contents: list[Contents]) -> dict[str, Contents]:
    finals = contents[1].finals.with_columns(keras_version=pl.lit("2.0"))
    return {"a": contents[0], "b": replace(contents[1], finals=finals)}


def without_baseline(contents: list[Contents]) -> dict[str, Contents]:
    finals = contents[1].finals.filter(pl.col("regularizer").is_null())
    return {"a": contents[0], "b": replace(contents[1], finals=finals)}


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (twice, StoreError, "is in a too; give each study once"),
        (mixed, VersionError, "keras_version is '2.0' and"),
        (without_baseline, StoreError, "b: has no regularizer"),
    ],
)
def test_stores_that_do_not_go_together_are_refused(
    folders: list[Path],
    spoil: Callable[[list[Contents]], dict[str, Contents]],
    error: type[Exception],
    words: str,
) -> None:
    contents = [Store(path).read() for path in folders]
    with pytest.raises(error, match=words):
        files_of_several(spoil(contents))
