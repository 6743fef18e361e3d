"""Studies of two seeds with validation scores of one's choice."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from helpers import report_store
from kregkit.report.cells import Series
from kregkit.report.data.tables import Tables, tables
from kregkit.store import Store

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
SERIES = Series("kernel", "L1", "all", "gradient", "{}")


def study_of(
    path: Path,
    scores: Sequence[float | None],
    base: float = 0.9,
    majority: float | None = 0.1,
    losses: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
) -> Tables:
    """Return a study of two seeds, 0.02 apart, with these mean validation scores."""
    swept = [
        {
            **cell,
            "val_score": score,
            "val_data_loss": loss,
            "majority_score": majority,
        }
        for cell, score, loss in zip(
            report_store.cells(STRENGTHS, ["kernel"], ["L1"]),
            (base, *scores),
            (1.0, *losses),
            strict=True,
        )
    ]
    report_store.write_study(path, swept, seeds=2)
    contents = Store(path).read()
    apart = pl.col("val_score") + pl.when(pl.col("seed") == 0).then(0.01).otherwise(
        -0.01
    )
    finals = contents.finals.with_columns(val_score=apart)
    return tables(type(contents)(None, contents.rows, finals, contents.tensors))
