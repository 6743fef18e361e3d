"""What a store says about itself: its name and how its trials were run.

Text from a study is kept as it is; whoever writes a page escapes it.
"""

import tomllib
from dataclasses import dataclass

import polars as pl

from kregkit.errors import StoreError
from kregkit.known import LEARNING_RATE
from kregkit.report.effects import TOLERANCE
from kregkit.report.wording.numbers import count
from kregkit.store import Contents


@dataclass(frozen=True)
class Facts:
    """The name of a study and how it was run, in words."""

    title: str
    name: str | None
    study: str | None  # the text of the study file
    regression: bool
    how: tuple[tuple[str, str], ...]
    optimizer: str = "adam"  # of the study file, or its default

    @property
    def tolerance(self) -> float:
        """The loss of validation score that a `strong` strength may cost."""
        return TOLERANCE.of(self.regression)


_HOW = {
    "data": "Data",
    "inputs": "Inputs",
    "task": "Task",
    "classes": "Classes",
    "model": "Model",
    "solver": "Solver",
    "learning_rate": "Learning rate",
    "epochs": "Epochs",
    "n_train": "Training rows",
    "n_val": "Validation rows",
    "n_test": "Test rows",
    "engine": "Engine",
    "dtype_policy": "Dtype policy",
    "backend": "Backend",
    "backend_version": "Backend version",
    "keras_version": "Keras",
    "kregkit_version": "kregkit",
}


def facts(contents: Contents) -> Facts:
    """Return what the store says about itself; what it does not say is left out."""
    finals = contents.finals
    study = _parsed(contents.study)
    name = study.get("name") or _first(finals, "study")
    title = study.get("title") or name or "A training run"
    done = finals.filter(pl.col("status") != "failed").height
    failed = finals.height - done
    how = [("Trials", f"{finals.height}" + (f", {failed} failed" if failed else ""))]
    seeds = finals["seed"].drop_nulls().unique().sort().to_list()
    if seeds:
        how.append(("Seeds", f"{len(seeds)}: {', '.join(map(str, seeds))}"))
    for column, words in _HOW.items():
        found = finals[column].drop_nulls().unique().sort().to_list()
        if found:
            how.append((words, ", ".join(map(str, found))))
    redrawn = finals["split_redrawn"].drop_nulls()
    if len(redrawn):
        text = "redrawn for every seed" if redrawn.all() else "the same for every seed"
        how.append(("Test part", text))
    if contents.left_out:
        parts = count(len(contents.left_out), "part")
        names = ", ".join(contents.left_out)
        how.append(("Left out", f"{parts} that cannot be read: {names}"))
    return Facts(
        title=str(title),
        name=str(name) if name else None,
        study=contents.study,
        regression=_first(finals, "task") == "regression",
        how=tuple(how),
        optimizer=str(_train(study).get("optimizer", Facts.optimizer)),
    )


def _train(study: dict[str, object]) -> dict[str, object]:
    train = study.get("train")
    return train if isinstance(train, dict) else {}


def with_learning_rates(contents: Contents) -> pl.DataFrame:
    """Return the finals with every trial's learning rate; where all are equal, null.

    A trial of an older store has none: it was trained at that of the study file.
    """
    study = _parsed(contents.study)
    own = _train(study).get("learning_rate", LEARNING_RATE) if study else None
    known = pl.coalesce("learning_rate", pl.lit(own, pl.Float64))
    finals = contents.finals.with_columns(learning_rate=known)
    if finals["learning_rate"].n_unique() > 1:
        return finals
    return finals.with_columns(learning_rate=pl.lit(None, pl.Float64))


def _parsed(study: str | None) -> dict[str, object]:
    try:
        return tomllib.loads(study) if study else {}
    except tomllib.TOMLDecodeError as error:
        raise StoreError(f"study.toml: not TOML: {error}") from None


def _first(finals: pl.DataFrame, column: str) -> str | None:
    known = finals[column].drop_nulls()
    return str(known[0]) if len(known) else None
