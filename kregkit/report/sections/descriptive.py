"""The sections of a store without a baseline: it is described, nothing is compared.

Each trial speaks for itself, and no sentence says why.
"""

from collections.abc import Iterator, Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kregkit.report.cells import Place, StoredTrial
from kregkit.report.data.tables import Tables
from kregkit.report.data.trajectories import time
from kregkit.report.page.canvas import gaps, scale, shade, slug
from kregkit.report.page.page import Entry, Figure, Section, Table
from kregkit.report.sections.own_fits import Run, answer
from kregkit.report.wording import labels
from kregkit.report.wording.numbers import plain
from kregkit.schema import MEASURES

MOST_RUNS = 8
MOST_LABELS = 9
LOSSES = ("data_loss", "val_data_loss", "loss", "val_loss")
_COLORS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7")


def parts(runs: Sequence[Run]) -> Iterator[Section]:
    """Return the answer, the course of every run, and its layers."""
    shown = runs[:MOST_RUNS]
    left_out = len(runs) - len(shown)
    notes = (
        (f"The first {MOST_RUNS} of {len(runs)} runs are shown.",) if left_out else ()
    )
    if not runs:
        yield Section("answer", "The answer", "Answer", notes=("No run has finished.",))
        return
    yield answer(shown)
    yield Section(
        "training",
        "Over training",
        "Over training",
        figures=tuple(
            figure
            for i, run in enumerate(shown)
            for figure in _losses(run, f"run-{i + 1}")
        ),
        notes=notes,
    )
    yield Section(
        "layers",
        "Layer by layer",
        "Layer by layer",
        folded=tuple(
            Section(
                f"trial-{i + 1}",
                run.name,
                run.name,
                tables=tuple(_layers(run.tables, run.trial)),
                figures=tuple(_figures(run.tables, run.trial, f"trial-{i + 1}")),
            )
            for i, run in enumerate(shown)
        ),
    )


def runs_of(tables: Tables, name: str = "") -> list[Run]:
    """Return the finished runs of a store; one alone has the store's name."""
    done = [trial for trial in tables.trials if not trial.failed]
    alone = name or "The training run"
    return [
        Run(alone if len(done) == 1 else f"{name} {trial.trial}".strip(), tables, trial)
        for trial in done
    ]


def _losses(run: Run, name: str) -> Iterator[Figure]:
    rows = run.tables.rows.filter(pl.col("trial") == run.trial.trial)
    unit = time(rows)
    model = rows.filter(pl.col("role") == "model").sort("step")
    losses = {m: model[m].to_list() for m in LOSSES if model[m].drop_nulls().len()}
    if losses:
        title = f"{run.name}: loss"
        yield _lines(name, "losses", title, model[unit].to_list(), unit, losses)


def _layers(tables: Tables, trial: StoredTrial) -> Iterator[Table]:
    for role in dict.fromkeys(role for role, _, _ in tables.layers):
        places = [(la, te) for own, la, te in tables.layers if own == role]
        columns = [
            name
            for name in MEASURES
            if any(
                (trial.trial, Place(role, *p, name)) in tables.values for p in places
            )
        ]
        rows = []
        for layer, tensor in places:
            lead = layer if tensor == role else f"{layer}: {tensor}"
            values = [
                tables.values.get((trial.trial, Place(role, layer, tensor, name)))
                for name in columns
            ]
            shown = [plain(n, v, False) for n, v in zip(columns, values, strict=True)]
            rows.append((Entry(lead), *map(Entry, shown)))
        heads = (labels.measure(role, name) for name in columns)
        caption = f"{role} at the end of training"
        yield Table(caption, ("Layer", *heads), tuple(rows))


def _figures(tables: Tables, trial: StoredTrial, name: str) -> Iterator[Figure]:
    rows = tables.rows.filter(pl.col("trial") == trial.trial)
    unit = time(rows)
    for role in dict.fromkeys(role for role, _, _ in tables.layers):
        own = rows.filter(pl.col("role") == role).sort("step", maintain_order=True)
        for measure in ("l2", "near_zero_fraction", "hoyer"):
            moments = own[unit].unique().sort().to_list()
            lines = {}
            for (layer, tensor), part in own.group_by(
                "layer", "tensor", maintain_order=True
            ):
                by_moment = dict(zip(part[unit], part[measure], strict=True))
                text = str(layer) if tensor == role else f"{layer} {tensor}"
                lines[text] = [by_moment.get(moment) for moment in moments]
            lines = {text: line for text, line in lines.items() if any_known(line)}
            if lines:
                title = labels.measure(role, measure)
                yield _lines(name, f"{role}-{measure}", title, moments, unit, lines)


def any_known(line: list[float | None]) -> bool:
    """Return whether a line has a point."""
    return any(value is not None for value in line)


def _lines(
    name: str,
    what: str,
    title: str,
    moments: list[int],
    unit: str,
    lines: dict[str, list[float | None]],
) -> Figure:
    measure = what.split("-")[-1]

    def paint(axes: Axes) -> None:
        axes.set_title(f"{title} over training")
        for i, (text, line) in enumerate(lines.items()):
            few = len(lines) <= MOST_LABELS
            color = _COLORS[i % 4] if few else shade(_COLORS[0], i, len(lines))
            dash = ("solid", "dashed", "dotted")[i // 4 % 3] if few else "solid"
            label = text.lstrip("_") if few else ""  # matplotlib hides "_x"
            axes.plot(moments, gaps(line), color=color, ls=dash, lw=1.8, label=label)
        axes.set_xlabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        scale(axes, measure, "y", False)

    def words(line: list[float | None]) -> str:
        ends = (plain(measure, value, False) for value in (line[0], line[-1]))
        return "from {} to {}".format(*ends)

    full = slug(name, what)
    said = "; ".join(f"{text}: {words(line)}" for text, line in lines.items())
    many = " Darker lines are later layers." if len(lines) > MOST_LABELS else ""
    return Figure(
        full,
        paint,
        f"{title} against the {unit}. {said}.",
        f"{title} over training.{many}",
    )
