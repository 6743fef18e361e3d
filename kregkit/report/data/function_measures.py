"""Measures of the trained function, from the finals of a trial.

What a claim asks of a function f is defined here. f is the output for
regression and the logits, centred over the classes, for classification; its scale is
the root mean square of ‖f(x)‖₂ over the test part.

    majority_score      the test score of the best constant answer
    generalisation_gap  validation data loss minus training data loss
    relative_gap        the same, divided by the validation data loss
    origin_ratio        ‖f(0)‖₂ / scale
    jacobian_ratio      the root mean square of ‖∂f/∂x‖_F over test rows / scale
    jacobian_norm       the same, not divided
    noise_cost          test score minus that under Gaussian noise of the middle size
    inputs_ignored      share of the inputs that vary whose every weight is zero
    inputs_near_ignored the same with magnitudes of at most 1e-3
    permuted_change     root mean square change of f when those are permuted / scale
    q50, q99            of W, b or y: quantiles of the magnitudes above zero
    q99_over_q50        how far the large ones are from the typical

and of an autoencoder's code, from the share of rows in which each unit is active:

    active_units        how many are active, the mean over rows
    unused_units        how many are active in no row
    constant_units      how many are active in every row
    busiest_share       the share of all that is active that the busiest tenth of the
                        units has: a tenth where all are used alike
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kregkit.report import statistics
from kregkit.report.cells import Place, whole
from kregkit.schema import QUANTILES, ROLES

GAP: Final = "generalisation_gap"
RATIOS: Final = (
    *("origin_ratio", "jacobian_ratio", "jacobian_norm"),
    *("q50", "q99", "q99_over_q50"),
)
"""Those whose effect is a log ratio."""

HELD: Final = {
    GAP: "n_val",
    "relative_gap": "n_val",
    "origin_ratio": "n_test",
    "jacobian_ratio": "n_test",
    "jacobian_norm": "n_test",
    "noise_cost": "n_test",
    "permuted_change": "n_test",
    "active_units": "probe",
    "unused_units": "probe",
    "constant_units": "probe",
    "busiest_share": "probe",
}
"""Which held-out part each is computed on; the others are of weights alone."""

_STORED: Final = (
    "majority_score",
    "jacobian_norm",
    "inputs_ignored",
    "inputs_near_ignored",
    "permuted_change",
)


def measures(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the measures of a row of `finals`; null where it holds no numbers."""
    gap = statistics.difference(row["val_data_loss"], row["train_data_loss"])
    return {
        GAP: gap,
        "relative_gap": _over(gap, row["val_data_loss"]),
        "origin_ratio": row["logit_norm_at_zero"],
        "jacobian_ratio": _over(row["jacobian_norm"], row["logit_scale"]),
        "noise_cost": statistics.difference(row["test_score"], _noisy(row)),
        **{name: row[name] for name in _STORED},
        **_of_code(row["code_usage"]),
    }


def magnitudes(row: Mapping[str, Any]) -> Iterator[tuple[Place, float]]:
    """Yield the quantiles of |w| that a row of `finals` holds."""
    for role in ROLES:
        stored = row[f"{role}_quantiles"]
        if stored:
            found = dict(zip(QUANTILES, stored, strict=True))
            yield whole(role, "q50"), found[0.5]
            yield whole(role, "q99"), found[0.99]
            yield whole(role, "q99_over_q50"), found[0.99] / found[0.5]


def _of_code(usage: list[float] | None) -> dict[str, float | None]:
    if not usage:
        return {}
    active, tenth = math.fsum(usage), math.ceil(len(usage) / 10)
    busiest = math.fsum(sorted(usage)[-tenth:])
    return {
        "active_units": active,
        "unused_units": float(usage.count(0.0)),
        "constant_units": float(usage.count(1.0)),
        "busiest_share": busiest / active if active else None,
    }


def noise_size(row: Mapping[str, Any]) -> float | None:
    """Return the standard deviation of the noise that `noise_cost` is of."""
    return _middle(row["noise_sizes"])


def _noisy(row: Mapping[str, Any]) -> float | None:
    return _middle(row["score_under_noise"])


def _middle(values: list[float] | None) -> float | None:
    return values[len(values) // 2] if values else None


def _over(value: float | None, scale: float | None) -> float | None:
    return None if value is None or not scale else value / scale
