"""Measures of a role (W, b or y) as a whole, from the measures of its layers.

How each measure is pooled is written here and nowhere else.

    l1                  Σ of the layers' l1
    l2                  √Σ l2²
    max_abs             the largest
    zero_fraction       Σ fraction·size / Σ size: the fraction of all elements
    near_zero_fraction  likewise
    unit_zero_fraction  likewise: of all weights, those of units whose weights are all 0
    hoyer               Σ hoyer·size / Σ size over the layers with more than one
                        element (the mean over layers, weighted by size; it is not
                        the Hoyer sparsity of the layers laid end to end)

A pooled measure is null where that of one of the layers is.
"""

import polars as pl

_SHARES = ("zero_fraction", "near_zero_fraction", "unit_zero_fraction")
_POOLED = (pl.col("layer") == "") & (pl.col("role") != "model")
POOLED = ("l2", "l1", "max_abs", *_SHARES, "hoyer")


def pooled(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per trial, moment and role, with layer "" and tensor = role."""
    size = pl.col("size")
    columns = [
        _complete("l2", pl.col("l2").pow(2).sum().sqrt()),
        _complete("l1", pl.col("l1").sum()),
        _complete("max_abs", pl.col("max_abs").max()),
        *(
            _complete(name, (pl.col(name) * size).sum() / size.sum())
            for name in _SHARES
        ),
        _weighted_hoyer(),
    ]
    return (
        rows.filter(pl.col("role") != "model")
        .group_by("trial", "step", "epoch", "role", maintain_order=True)
        .agg(size.sum(), *columns)
        .with_columns(layer=pl.lit(""), tensor=pl.col("role"))
    )


def condensed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of each trial's last moment, and what is pooled of every one.

    It is all that a comparison needs, of each trial by itself; of a store of many
    trials most rows are of layers in the middle of training.
    """
    if not rows.filter(_POOLED).is_empty():
        return rows
    known = undefined_as_null(rows)
    whole = pl.concat([known.clear(), pooled(known)], how="diagonal")
    return pl.concat([whole, last(known)]).sort("trial", maintain_order=True)


def wholes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the pooled rows of every moment."""
    found = rows.filter(_POOLED)
    return pooled(rows) if found.is_empty() else found


def last(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of each trial's last moment."""
    return rows.filter(pl.col("step") == pl.col("step").max().over("trial"))


def undefined_as_null(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with NaN and ±inf, which no table may show, as null."""
    floats = [name for name, kind in frame.schema.items() if kind == pl.Float64]
    return frame.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
        for name in floats
    )


def _complete(name: str, pool: pl.Expr) -> pl.Expr:
    return pl.when(pl.col(name).null_count() == 0).then(pool).alias(name)


def _weighted_hoyer() -> pl.Expr:
    several = pl.col("size") > 1
    hoyer, size = pl.col("hoyer").filter(several), pl.col("size").filter(several)
    defined = (hoyer.null_count() == 0) & (hoyer.len() > 0)
    return pl.when(defined).then((hoyer * size).sum() / size.sum()).alias("hoyer")
