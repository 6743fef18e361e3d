"""What a study saw, in sentences.

Every sentence is computed from the cells. What is chosen is chosen on
validation and reported on test; below `FEWEST` seeds a sentence counts the seeds and
claims nothing; kernels are called sparse only where weights are exactly zero.
"""

import re
from collections.abc import Sequence

from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import TARGET_ROLE, Place, Setting, Summary, whole
from kregkit.report.data.function_measures import GAP
from kregkit.report.data.tables import Tables
from kregkit.report.effects import TOLERANCE
from kregkit.report.page.page import Statement
from kregkit.report.statistics import FEWEST, LEVEL
from kregkit.report.wording import labels, numbers
from kregkit.report.wording.numbers import count, plain


def statements(tables: Tables, points: Sequence[Operating]) -> tuple[Statement, ...]:
    """Return what the study saw: the baseline, every series, exact zeros."""
    series = (_of_series(tables, point) for point in points)
    baselines = (_baseline(tables, setting) for setting in tables.baselines)
    return (*baselines, *series, exact_zeros(tables))


def lead(tables: Tables) -> str:
    """Return what the sayings have in common: the operating point."""
    return (
        "Each regularizer at the strongest strength of the sweep that keeps the mean "
        f"validation score within {_cost(tables)} of the baseline's, against the "
        "baseline of the same seed:"
    )


def notes(tables: Tables) -> tuple[str, ...]:
    """Return what the sentences and tables mean."""
    pairs = max(map(len, tables.pairs.values()), default=0)
    made = [
        "Strengths are chosen on the validation data, among those at which no trial "
        "failed; scores and losses are those of the test data.",
        "The strengths of L1 and L2 are not comparable: one multiplies Σ|w|, the "
        "other Σw². Compare them at equal score, not at equal strength.",
    ]
    if len(tables.baselines) > 1:
        made.append(
            "There are several learning rates (lr): a trial is compared with the "
            "baseline of the same seed and learning rate."
        )
    if pairs < FEWEST:
        made.append(
            f"With {count(pairs, 'seed')} there are no intervals: the figures draw "
            "the seeds as points, the sentences count them, and none of them says "
            "that a difference is larger than chance."
        )
    else:
        made.append(
            f"Intervals are {100 * LEVEL:.0f} % t intervals of the mean difference "
            "(norms: mean log ratio) to the baseline of the same seed. They speak of "
            "re-running this study on this data set, not of other data, and each of "
            "them by itself: they are not adjusted for their number."
        )
        if tables.finals["split_redrawn"].any():
            made.append(
                "The split is redrawn for every seed, so intervals of scores and "
                "losses use the variance of Nadeau and Bengio, "
                "s²·(1/n + n_test/n_train)."
            )
    return tuple(made)


def change(cell: Summary, regression: bool) -> str:
    """Return "fell by 31.0 %", with the interval or the seeds that say so."""
    if cell.effect is None:
        return "has no defined change"
    if cell.effect == 0 and cell.agree == cell.pairs:
        return "did not change"
    shown = _sized(cell, cell.effect, regression)
    size = shown.replace("<−", "more than ").lstrip("+−")
    moved = f"{'fell' if cell.effect < 0 else 'rose'} by {size}"
    if shown.startswith("≈"):
        moved = shown = f"less than {_resolution(cell, regression)}"
    if cell.low is None or cell.high is None:
        if moved == shown:
            return f"changed by {moved}"
        return f"{moved} ({_seeds(cell.agree, cell.pairs)})"
    low, high = (_sized(cell, bound, regression) for bound in (cell.low, cell.high))
    bounds = f"{100 * LEVEL:.0f} % interval {low} to {high}"
    if cell.low <= 0 <= cell.high:
        return f"changed by {shown} ({bounds}, which includes no change)"
    return f"{moved} ({bounds})" if moved != shown else f"changed by {moved} ({bounds})"


def _resolution(cell: Summary, regression: bool) -> str:
    if cell.kind == "log ratio":
        return "0.1 %"
    if cell.place.measure == "hoyer" or regression:
        return "0.001"
    return "0.1 points"


def sparsity(tables: Tables, setting: Setting, role: str) -> str:
    """Return exact zeros, near-zeros and Hoyer side by side, or "" if unmeasured."""
    names = labels.TENSORS[role]
    zero, near, hoyer = (
        tables.cell(setting, whole(role, measure))
        for measure in ("zero_fraction", "near_zero_fraction", "hoyer")
    )
    if zero.mean is None:
        return ""
    beside = _beside(tables, setting, near) + _beside(tables, setting, hoyer)
    if zero.mean == 0:
        return f"No {names.element} is exactly zero{beside}."
    base = tables.cell(setting.baseline, zero.place).mean
    than = f" ({_base(base, zero.place)})" if setting.series else ""
    share = plain("zero_fraction", zero.mean, False)
    text = f"{share} of the {names.elements} are exactly zero{than}{beside}."
    if zero.effect is not None and zero.effect > 0 and zero.agree == zero.pairs:
        in_seeds = _seeds(zero.agree, zero.pairs)
        return f"{names.symbol} is sparser than the baseline's ({in_seeds}): {text}"
    return text


def exact_zeros(tables: Tables) -> Statement:
    """Return in how many trials any kernel weight is exactly zero."""
    place = whole("kernel", "zero_fraction")
    found = {
        trial: value
        for trial in tables.trials
        if (value := tables.values.get((trial.trial, place))) is not None
    }
    about = "Exact zeros in kernels"
    if not found:
        return Statement(about, "Not measured in any finished trial.")
    some = [trial for trial, value in found.items() if value > 0]
    of_all = f"of {count(len(found), 'finished trial')}"
    if not some:
        return Statement(about, f"In none {of_all} is a kernel weight exactly zero.")
    most = max(some, key=lambda trial: found[trial])
    share = plain("zero_fraction", found[most], False)
    where = labels.setting(most.setting, list(tables.strengths))
    if most.setting.series is not None:
        target = most.setting.series.target
        where += f" on {labels.TARGETS.get(target, target)}"
    return Statement(
        about,
        f"In {len(some)} {of_all} some kernel weights are exactly zero, at most "
        f"{share} of them ({where}).",
    )


def _baseline(tables: Tables, setting: Setting) -> Statement:
    regression = tables.facts.regression
    about = labels.setting(setting, list(tables.strengths)).capitalize()
    done = len(tables.done(setting))
    if not done:
        return Statement(about, "Its trials are missing or failed in every seed.")
    words = [
        f"{labels.measure('model', name).lower()} "
        + plain(name, tables.cell(setting, _model(name)).mean, regression)
        for name in ("test_score", "test_data_loss", GAP)
    ]
    mean = f"Mean of {count(done, 'seed')}: {', '.join(words)}. "
    return Statement(about, mean + sparsity(tables, setting, "kernel"))


def _of_series(tables: Tables, point: Operating) -> Statement:
    series = point.series
    where = labels.TARGETS.get(series.target, series.target)
    about = f"{labels.series(series, list(tables.strengths))} on {where}"
    if point.strength is None:
        return Statement(
            about,
            "No strength of the sweep keeps the mean validation score within "
            f"{_cost(tables)} of the baseline's without a failed trial.",
        )
    about += f", strength {numbers.strength(point.strength)}"
    edge = " This is the strongest strength tried." if point.at_edge else ""
    places = [(f"‖{t.symbol}‖₂", whole(r, "l2")) for r, t in labels.TENSORS.items()]
    places += [("the test score", _model("test_score"))]
    changes = [
        f"{name} {change(cell, tables.facts.regression)}"
        for name, place in places
        if (cell := tables.cell(point.setting, place)).mean is not None
    ]
    text = f"{_gathered(changes)}." if changes else ""
    text = text[:1].upper() + text[1:]
    role = TARGET_ROLE.get(series.target)
    shown = sparsity(tables, point.setting, role) if role else ""
    return Statement(about, " ".join(filter(None, [text + edge, shown])))


def _gathered(changes: Sequence[str]) -> str:
    """Return the changes joined; where all are seen in all seeds, said once."""
    ending = re.compile(r" \(in (all \d+ seeds)\)$")
    found = [ending.search(text) for text in changes]
    same = all(
        match or text.endswith("did not change")
        for match, text in zip(found, changes, strict=True)
    )
    seeds = {match[1] for match in found if match}
    if not same or len(seeds) != 1:
        return "; ".join(changes)
    bare = "; ".join(ending.sub("", text) for text in changes)
    return f"{bare} (each in {seeds.pop()})"


def _beside(tables: Tables, setting: Setting, cell: Summary) -> str:
    measure = cell.place.measure
    value = plain(measure, cell.mean, False)
    if cell.mean is None:
        value = "undefined"
    text = (
        f"Hoyer {value}" if measure == "hoyer" else f"{value} are within 1e-3 of zero"
    )
    base = tables.cell(setting.baseline, cell.place).mean
    than = f" ({_base(base, cell.place)})" if setting.series else ""
    return f"; {text}{than}"


def _base(mean: float | None, place: Place) -> str:
    return f"baseline {plain(place.measure, mean, False)}"


def _model(measure: str) -> Place:
    return Place("model", "", "model", measure)


def _sized(cell: Summary, value: float, regression: bool) -> str:
    text = numbers.effect(cell.place.measure, cell.kind, value, regression)
    return text.replace(" pt", " points")


def _seeds(agree: int, pairs: int) -> str:
    if pairs == 1:
        return "1 seed"
    return f"in all {pairs} seeds" if agree == pairs else f"in {agree} of {pairs} seeds"


def _cost(tables: Tables) -> str:
    return numbers.points(TOLERANCE, tables.facts.regression)
