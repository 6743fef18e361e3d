"""What a `fit` of the user's own did, and how several of them compare; no verdicts.

Each run speaks for itself: one run says nothing of chance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from kregkit.report import statistics
from kregkit.report.cells import Place, StoredTrial, of_model, whole
from kregkit.report.data.roles import wholes
from kregkit.report.data.tables import Tables, kind
from kregkit.report.page.page import Bar, Matrix, Section, Statement, Tone
from kregkit.report.wording import labels, numbers

_LOSS = of_model("val_data_loss")
_GAP = of_model("generalisation_gap")
_SCORE = of_model("val_score")
_MODEL = {_SCORE: 1, _LOSS: -1, _GAP: -1}
"""What is better: more (1) or less (-1)."""


@dataclass(frozen=True)
class Run:
    """One `fit`: its name, the store it is in, and which trial of it."""

    name: str
    tables: Tables
    trial: StoredTrial


def answer(runs: Sequence[Run]) -> Section:
    """Return the first section: what the runs did, and a matrix of it."""
    found = [measured(run) for run in runs]
    said = [
        text
        for run, (start, end) in zip(runs, found, strict=True)
        for text in _said(run, start, end, alone=len(runs) == 1)
    ]
    if len(runs) > 1:
        said.append("One run each: what they differ in may be chance.")
    return Section(
        "answer",
        "The answer",
        "Answer",
        statements=tuple(Statement("", text) for text in said),
        matrix=_matrix(runs, found),
    )


Measured = Mapping[Place, float]


def measured(run: Run) -> tuple[Measured, Measured]:
    """Return what is known of the model before training, and at its end."""
    rows = run.tables.rows.filter(pl.col("trial") == run.trial.trial)
    model = rows.filter(pl.col("role") == "model").sort("step")
    whole_rows = wholes(rows).sort("step")
    start, end = dict[Place, float](), dict[Place, float]()
    for role in labels.TENSORS:
        own = whole_rows.filter(pl.col("role") == role)
        for measure in ("l2", "zero_fraction"):
            if own.height and own[measure][-1] is not None:
                end[whole(role, measure)] = own[measure][-1]
                if own["step"][0] == 0 and own[measure][0] is not None:
                    start[whole(role, measure)] = own[measure][0]
    if model.height:
        last = model.row(-1, named=True)
        known = {
            _SCORE: last["val_score"],
            _LOSS: last["val_data_loss"],
            _GAP: statistics.difference(last["val_data_loss"], last["data_loss"]),
        }
        end |= {place: value for place, value in known.items() if value is not None}
    return start, end


def _said(run: Run, start: Measured, end: Measured, alone: bool) -> Iterator[str]:
    name = "The run" if alone else f"{run.name}"
    told = []
    if _SCORE in end:
        told.append(f"a validation score of {_plain(_SCORE, end[_SCORE])}")
    if _LOSS in end:
        told.append(f"a validation loss of {_plain(_LOSS, end[_LOSS])}")
    if _GAP in end:
        told.append(f"{_plain(_GAP, end[_GAP])} above the training loss (overfitting)")
    if told:
        yield f"{name} ends with {', '.join(told)}."
    penalised = _penalised(run)
    if penalised and alone:
        yield f"Penalties are on {penalised}."
    changes = []
    for role, words in labels.TENSORS.items():
        norm, zeros = whole(role, "l2"), whole(role, "zero_fraction")
        change = statistics.log_ratio(end.get(norm), start.get(norm))
        if change is not None and alone:
            changes.append(
                f"‖{words.symbol}‖ {numbers.brief('l2', 'log ratio', change, False)}"
            )
        if alone and end.get(zeros):
            share = numbers.plain("zero_fraction", end[zeros], False)
            changes.append(f"{share} of the {words.elements} exactly zero")
    if changes:
        yield f"From start to end: {', '.join(changes)}."


def _penalised(run: Run) -> str:
    """Return the weights and outputs that have a penalty, and what they add."""
    rows = run.tables.rows.filter(
        (pl.col("trial") == run.trial.trial) & (pl.col("role") != "model")
    )
    last = rows.filter(pl.col("step") == pl.col("step").max())
    own = last.filter(pl.col("penalty").is_not_null() & (pl.col("layer") != ""))
    names = [f"{r['layer']}/{r['tensor']}" for r in own.iter_rows(named=True)]
    more = len(names) - 4
    shown = ", ".join(names[:4]) + (f" and {more} more" if more > 0 else "")
    total = numbers.significant(float(own["penalty"].sum()))
    return f"{shown}, and add {total} to the loss" if names else ""


def _matrix(
    runs: Sequence[Run], found: Sequence[tuple[Measured, Measured]]
) -> Matrix | None:
    if len(runs) > 1:
        rows = [(run.name, end) for run, (_, end) in zip(runs, found, strict=True)]
        caption = f"The end of each run, as its change against {runs[0].name}."
    else:
        start, end = found[0]
        rows = [("before training", start), ("at the end", end)]
        caption = (
            "The weights and outputs before training, and their change by its end."
        )
    (first, base), *others = rows
    columns = [
        place
        for place in (*_MODEL, *_of_roles("l2"), *_of_roles("zero_fraction"))
        if any(place in own for _, own in rows)
    ]
    if not columns:
        return None
    sizes = {
        place: max(
            (abs(_change(own, base, place) or 0.0) for _, own in others), default=0.0
        )
        for place in columns
    }
    bars = tuple(
        (name, tuple(_bar(own, base, place, sizes[place]) for place in columns))
        for name, own in others
    )
    shown = tuple(Bar(_plain(place, base.get(place))) for place in columns)
    marks = ("Green is better, orange worse, blue neither.",)
    head = tuple((_head(place), "") for place in columns)
    return Matrix(caption, head, (("", ((first, shown),)), ("", bars)), marks)


def _of_roles(measure: str) -> tuple[Place, ...]:
    return tuple(whole(role, measure) for role in labels.TENSORS)


def _head(place: Place) -> str:
    named = {_SCORE: "Validation score", _LOSS: "Validation loss", _GAP: "Overfitting"}
    if place in named:
        return named[place]
    symbol = labels.symbol(place.role)
    return f"‖{symbol}‖" if place.measure == "l2" else f"Zeros in {symbol}"


def _change(own: Measured, base: Measured, place: Place) -> float | None:
    compare = statistics.difference
    if kind(place) == "log ratio":
        compare = statistics.log_ratio
    return compare(own.get(place), base.get(place))


def _bar(own: Measured, base: Measured, place: Place, size: float) -> Bar:
    change = _change(own, base, place)
    if change is None or place.measure == "zero_fraction":
        value = _plain(place, own.get(place))
    else:
        value = numbers.brief(place.measure, kind(place), change, False)
    better = _MODEL.get(place, 0)
    tone: Tone = "changed"
    if better and change:
        tone = "good" if change * better > 0 else "bad"
    length = change / size if change and size else 0.0
    return Bar(
        value, f"{_head(place)}: {_plain(place, own.get(place))}", "", length, tone
    )


def _plain(place: Place, value: float | None) -> str:
    return numbers.plain(place.measure, value, False)
