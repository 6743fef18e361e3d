"""Stores of simulated studies, whose true effects are known."""

from dataclasses import replace

import numpy as np
import polars as pl

from experiments.benchmarks import simulated
from experiments.benchmarks.simulated import Size
from kregkit.store import Contents

NAMES = ("one", "two", "three", "four")
SIZE = Size(20, 1149, 360)
FINE = Size(20, 1_000_000, 40_000)  # scores hardly vary


def drawn(factor: float, size: Size = SIZE, seed: int = 0) -> tuple[Contents, dict]:
    """Return a study whose every effect is `factor` times what counts."""
    sign = {"falls": -1, "not below": -1}
    true = {
        (number, place): sign.get(rule, 1) * factor * smallest
        for number, parts in simulated.PARTS.items()
        for place, (rule, smallest) in enumerate(parts)
    }
    return simulated.contents(np.random.default_rng(seed), size, true), true


def study(
    seed: int,
    factor: float = 2.0,
    task: str = "classification",
) -> tuple[str, Contents]:
    """Return a simulated study of its own data."""
    contents, _ = drawn(factor, SIZE, seed)
    trials = pl.col("trial").str.replace("^.", str(seed))
    finals = contents.finals.with_columns(
        trials, data=pl.lit(NAMES[seed]), task=pl.lit(task)
    )
    rows = contents.rows.with_columns(trials)
    return NAMES[seed], replace(contents, finals=finals, rows=rows)
