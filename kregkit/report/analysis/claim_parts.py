"""The contrasts that the claims are made of.

A part names its series, its place and its smallest effect, and is
nothing where a study has not trained the series.

Parts are of L2 where both L1 and L2 could be meant, and by gradient where a study has
both solvers; what else was trained is shown beside them, without a verdict.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from kregkit.report.analysis.contrasts import Study
from kregkit.report.analysis.operating import Chosen
from kregkit.report.analysis.verdicts import Contrast, Rule
from kregkit.report.cells import Place, Series, of_model, whole
from kregkit.report.wording.labels import TARGET_ROLE, TENSORS, named

SHRUNK: Final = -math.log(0.9)
"""A fall by 10 %, as a log ratio."""

KEPT: Final = math.log(1.1)
"""A change by at most 10 %, as a log ratio."""

TAIL: Final = -math.log(0.95)
"""A fall by 5 %, as a log ratio."""

POINT: Final = 0.01
R2: Final = 0.02

Contrasts = Iterator[Contrast]


def _to_baseline(
    study: Study,
    symbol: str,
    rule: Rule,
    smallest: float,
    series: Series | None,
    place: Place,
) -> Contrasts:
    if series is not None:
        about = f"{symbol} under {named(series)}"
        chosen = study.strong(series)
        yield study.to_baseline(about, rule, smallest, chosen, place)


def norms(study: Study, regularizer: str) -> Contrasts:
    """The norm of each target under its own regularizer, and b beside the kernel's."""
    for target, role in TARGET_ROLE.items():
        symbol = f"‖{TENSORS[role].symbol}‖₂"
        series = study.series(regularizer, target)
        place = whole(role, "l2")
        yield from _to_baseline(study, symbol, "falls", SHRUNK, series, place)
        if target == "kernel":
            place = whole("bias", "l2")
            yield from _to_baseline(study, "‖b‖₂", "stays", KEPT, series, place)


def complete(contrasts: Contrasts, count: int) -> Contrasts:
    """Yield the contrasts if there are all of them, else nothing."""
    found = list(contrasts)
    yield from found if len(found) == count else ()


def _matched(
    study: Study,
    symbol: str,
    smallest: float,
    target: str,
    solvers: Sequence[str],
    place: Place,
) -> Contrasts:
    """L1 minus L2 on a target, each at its own strength of equal score."""
    one, other = (study.series(name, target, *solvers) for name in ("L1", "L2"))
    if one is not None and other is not None:
        solver = "" if solvers[0] == "gradient" else f" ({solvers[0]})"
        about = f"{symbol}, L1 minus L2 on the {target}{solver}"
        chosen = study.strong(one), study.strong(other)
        yield study.between(about, "rises", smallest, *chosen, place)


def _shapes(study: Study) -> Contrasts:
    for target, role in TARGET_ROLE.items():
        symbol = TENSORS[role].symbol
        series, place = study.series("L2", target), whole(role, "q99_over_q50")
        words = f"99 % quantile over median of |{symbol}|"
        yield from _to_baseline(study, words, "falls", TAIL, series, place)
        words, place = f"Hoyer of {symbol}", whole(role, "hoyer")
        yield from _matched(study, words, 0.05, target, ("gradient",), place)


def _zeros(study: Study) -> Contrasts:
    """Exact zeros of kernel and bias by the proximal solver, if a study has it."""
    for target in ("kernel", "bias"):
        symbol = f"exact zeros of {TENSORS[target].symbol}"
        place = whole(target, "zero_fraction")
        yield from _matched(study, symbol, 0.05, target, ("proximal",), place)


def shapes_and_zeros(study: Study) -> Contrasts:
    """The tail of |w| under L2, Hoyer of L1 against L2, and exact zeros if studied."""
    own = list(complete(_shapes(study), 6))
    yield from own
    if own:
        yield from _zeros(study)


def near_zeros(study: Study) -> Contrasts:
    """Near-zero and exactly zero shares of L1 against L2, by both solvers."""
    for target, role in TARGET_ROLE.items():
        names = TENSORS[role]
        for solvers in (("gradient",), ("proximal",)):
            for measure, words in (
                ("near_zero_fraction", "near zero"),
                ("zero_fraction", "exactly zero"),
            ):
                symbol = f"share of {names.symbol} {words}"
                place = whole(role, measure)
                yield from _matched(study, symbol, 0.05, target, solvers, place)


def origin(study: Study, regularizer: str) -> Contrasts:
    """The function at zero input under a bias regularizer."""
    series = study.series(regularizer, "bias")
    place = of_model("origin_ratio")
    yield from _to_baseline(study, "‖f(0)‖₂", "falls", SHRUNK, series, place)


def sensitivity(study: Study, regularizer: str) -> Contrasts:
    """What noise costs, and the Jacobian norm, under a kernel regularizer."""
    series = study.series(regularizer, "kernel")
    enough = R2 if study.tables.facts.regression else POINT
    place = of_model("noise_cost")
    words = "score lost under noise"
    yield from _to_baseline(study, words, "falls", enough, series, place)
    place = of_model("jacobian_ratio")
    words = "Jacobian norm over the scale of f"
    yield from _to_baseline(study, words, "falls", SHRUNK, series, place)


def sensitivity_beside(study: Study) -> Contrasts:
    """The same for L1, and the Jacobian norm that is not divided."""
    yield from sensitivity(study, "L1")
    for regularizer in ("L2", "L1"):
        series = study.series(regularizer, "kernel")
        place = of_model("jacobian_norm")
        words = "Jacobian norm"
        yield from _to_baseline(study, words, "falls", SHRUNK, series, place)


def ignored(study: Study) -> Contrasts:
    """Inputs ignored, L1 against L2: exactly if a study has the proximal solver."""
    exact = list(_ignoring(study, "inputs_ignored", "proximal"))
    yield from exact or _ignoring(study, "inputs_near_ignored", "gradient")


def _ignoring(study: Study, measure: str, solver: str) -> Contrasts:
    words = {
        "inputs_ignored": "share of inputs whose weights are all zero",
        "inputs_near_ignored": "share of inputs whose weights are all within 1e-3",
    }
    place = of_model(measure)
    yield from _matched(study, words[measure], 0.05, "kernel", (solver,), place)


def ignored_beside(study: Study) -> Contrasts:
    """Inputs ignored by both measures and solvers, and what permuting them does."""
    for solver in ("gradient", "proximal"):
        for measure in ("inputs_near_ignored", "inputs_ignored"):
            yield from _ignoring(study, measure, solver)
    for solver in ("gradient", "proximal"):
        series = study.series("L1", "kernel", solver)
        words = "change of f when near-ignored inputs are permuted"
        place = of_model("permuted_change")
        yield from _to_baseline(study, words, "stays", 0.01, series, place)


def parity(study: Study) -> Contrasts:
    """The best kernel regularizer against the best of bias and activity."""
    enough = (R2 if study.tables.facts.regression else POINT) / 2
    kernel, others = study.of("kernel"), study.of("bias", "activity")
    if kernel and others:
        about = "test score, best kernel regularizer minus best of bias and activity"
        chosen = study.best(kernel), study.best(others)
        place = of_model("test_score")
        yield study.between(about, "not below", enough, *chosen, place)


def gaps(study: Study, regularizer: str) -> Contrasts:
    """The gap between training and validation under a kernel regularizer."""
    series = study.series(regularizer, "kernel")
    if series is not None:
        place = of_model("relative_gap")
        points: tuple[tuple[str, Chosen], ...] = (
            ("strong", study.strong(series)),
            ("best", study.best([series])),
        )
        for point, chosen in points:
            about = f"gap over validation loss under {named(series)}, {point} point"
            yield study.to_baseline(about, "falls", 0.05, chosen, place)
