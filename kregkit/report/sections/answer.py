"""The answer of one study in a few sentences, with absolute numbers."""

from collections.abc import Iterator, Mapping, Sequence

from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.recommendations import Advice
from kregkit.report.cells import Setting, of_model, whole
from kregkit.report.data.function_measures import GAP
from kregkit.report.page.page import Section, Statement
from kregkit.report.sections.cards import Found, found
from kregkit.report.sections.matrix import matrix
from kregkit.report.statistics import FEWEST
from kregkit.report.wording import labels, numbers

SCORE = of_model("test_score")


def section(analysis: Analysis, advised: Sequence[Advice]) -> Section:
    """Return the first section of a page: the answer, and the matrix."""
    by_goal = {one.goal.key: found(analysis, one) for one in advised}
    said = (*_baselines(analysis), *_best(by_goal), *_zeros(analysis), *_few(analysis))
    return Section(
        "answer",
        "The answer",
        "Answer",
        statements=tuple(Statement("", text) for text in said),
        matrix=matrix(analysis),
    )


def _baselines(analysis: Analysis) -> Iterator[str]:
    tables = analysis.tables
    score = "R²" if tables.facts.regression else "accuracy"
    for setting in tables.baselines:
        test, loss, gap = (
            numbers.plain(m, tables.cell(setting, of_model(m)).mean, _r2(analysis))
            for m in ("test_score", "test_data_loss", GAP)
        )
        name = labels.setting(setting, list(tables.strengths))
        where = "below" if gap.startswith("−") else "above"
        start = name.replace("baseline", "Without a regularizer")
        yield (
            f"{start}: test {score} {test}, test loss {loss}, and a validation loss "
            f"that is {gap.lstrip('−')} {where} the training loss."
        )


def _best(by_goal: Mapping[str, Found]) -> Iterator[str]:
    score, loss, gap = (by_goal[key] for key in ("score", "test loss", "overfitting"))
    if score.top and not score.clear:
        yield (
            "No regularizer improved the score by more than chance could; the best "
            f"mean, where validation chose the strengths, has {score.top}: "
            f"{score.effect}."
        )
    for one, what in ((score, "Best score"), (loss, "Test loss"), (gap, "Overfitting")):
        if one.clear:
            others = numbers.count(one.others, "other")
            apart = f"; {others} cannot be told from it" if one.others else ""
            yield f"{what}: {one.top}, {one.effect}{apart}."


def _zeros(analysis: Analysis) -> Iterator[str]:
    """Yield how sparse the kernels get, by which solver."""
    place, tables = whole("kernel", "zero_fraction"), analysis.tables
    shares: dict[Setting, float] = {}
    for series in tables.strengths:
        setting = analysis.strong(series)[None]
        if series.target == "kernel" and setting is not None:
            share = tables.cell(setting, place).mean
            if share is not None:
                shares[setting] = share
    if not shares:
        return
    most = max(shares, key=shares.__getitem__)
    if most.series is None or not shares[most]:
        solvers = {setting.series.solver for setting in shares if setting.series}
        told = "No kernel weight is exactly zero at strengths that keep the score."
        if "proximal" not in solvers:
            told = (
                "No kernel weight is exactly zero: the gradient alone makes weights "
                "small. The proximal solver sets them to zero."
            )
        yield told
        return
    cost = tables.cell(most, SCORE).effect
    shown = numbers.effect("test_score", "difference", cost, _r2(analysis))
    percent = numbers.plain("zero_fraction", shares[most], False)
    gradient = [
        s for o, s in shares.items() if o.series and o.series.solver == "gradient"
    ]
    alone = "" if any(gradient) or not gradient else "; by the gradient alone none is"
    yield (
        f"{labels.named(most.series)} at {numbers.rounded(most.strength or 0.0)} makes "
        f"{percent} of the kernel weights exactly zero (test score {shown}){alone}."
    )


def _few(analysis: Analysis) -> Iterator[str]:
    pairs = max(map(len, analysis.tables.pairs.values()), default=0)
    if pairs < FEWEST:
        yield (
            f"With {numbers.count(pairs, 'seed')} nothing here is told from chance: "
            f"values are means. With seeds = {FEWEST} there are intervals and verdicts."
        )


def _r2(analysis: Analysis) -> bool:
    return analysis.tables.facts.regression
