"""Warnings before a study is trained: what its report will lack."""

from typing import Final

from kregkit import regularizers
from kregkit.known import DECOUPLED
from kregkit.study.data.wording import listed
from kregkit.study.file.config import StudyConfig

_SEEDS: Final = 5
"""The minimum number of seeds for intervals in a report."""


def advice(config: StudyConfig) -> tuple[str, ...]:
    """Return one line for each thing that the study's report will lack."""
    lines = []
    if config.seeds < _SEEDS:
        lines.append(
            f"{config.seeds} seed{'s' * (config.seeds > 1)}: the report has intervals "
            f"and verdicts from {_SEEDS} on"
        )
    if dense := _without_zeros(config):
        lines.append(
            f"{listed(dense)}: the solver 'gradient' alone makes no exact zeros; "
            'solver = ["gradient", "proximal"] does'
        )
    if single := _of_one_strength(config):
        lines.append(
            f"{listed(single)}: one strength does not show where a penalty begins to "
            "act and where it collapses"
        )
    return tuple(lines)


def _without_zeros(config: StudyConfig) -> list[str]:
    """Return the swept penalties that would make zeros with the solver "proximal"."""
    solvers: dict[str, set[str]] = {}
    for sweep in config.sweep:
        for cell in sweep.cells(config.train.learning_rate):
            if cell.target == "activity" or cell.regularizer == DECOUPLED:
                continue
            penalty = regularizers.make(
                cell.regularizer, cell.strength, **dict(cell.parameters)
            )
            if penalty.makes_zeros and penalty.proximal:
                name = f"{cell.regularizer} on {cell.target}"
                solvers.setdefault(name, set()).add(cell.solver)
    return [name for name, own in solvers.items() if own == {"gradient"}]


def _of_one_strength(config: StudyConfig) -> list[str]:
    """Return the penalties that are swept with one strength only."""
    strengths: dict[str, set[float]] = {}
    for sweep in config.sweep:
        for regularizer in sweep.regularizer:
            for target in sweep.target:
                name = f"{regularizer} on {target}"
                strengths.setdefault(name, set()).update(sweep.strengths)
    return [name for name, own in strengths.items() if len(own) == 1]
