"""What each seed has at the strength that the others chose, from the finals alone."""

import numpy as np
import polars as pl

from kregkit.store import Contents

SEEDS, N_TRAIN, N_TEST = 6, 1000, 300


def seeds_of(contents: Contents, regularizer: str, target: str) -> dict[float, dict]:
    """The finals of one regularizer on one target, by strength and seed."""
    own = contents.finals.filter(regularizer=regularizer, target=target)
    found: dict[float, dict] = {}
    for row in own.sort("strength").iter_rows(named=True):
        found.setdefault(row["strength"], {})[row["seed"]] = row
    return found


def chosen(contents: Contents, regularizer: str, target: str, point: str) -> dict:
    """The finals that each seed has at the strength that the others chose."""
    base = contents.finals.filter(pl.col("regularizer").is_null())
    bases = {row["seed"]: row for row in base.iter_rows(named=True)}
    found = seeds_of(contents, regularizer, target)
    made = {}
    for seed in range(SEEDS):
        means = {}
        for strength, own in found.items():
            name = "val_data_loss" if point == "lowest loss" else "val_score"
            others = [own[s][name] - bases[s][name] for s in own if s != seed]
            means[strength] = np.mean(others)
        if point == "lowest loss":
            strength = min(means, key=means.__getitem__)
        else:
            tolerance = 0.01 * float(point.removeprefix("within "))
            kept = [s for s, mean in means.items() if mean >= -tolerance]
            if not kept:
                return {}
            strength = max(kept)
        made[seed] = found[strength][seed]
    return made


VALUES = {
    "test_score": ("difference", lambda row: row["test_score"]),
    "jacobian_ratio": (
        "log ratio",
        lambda row: np.log(row["jacobian_norm"] / row["logit_scale"]),
    ),
}
