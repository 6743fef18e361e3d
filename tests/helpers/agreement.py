"""What it means that two engines gave the same result for a trial.

A tensor may differ by `rel` of its norm, a fraction by one element; what is derived
from a tensor may differ by what that allows.
"""

import math

import numpy as np

from kregkit.schema import PROBE

IDENTITY = ("trial", "step", "epoch", "layer", "tensor", "role", "size")
MEASURED_NORMS = ("l1", "l2", "max_abs", "spectral_norm", "stable_rank")
LOSSES = ("penalty", "loss", "data_loss", "val_loss", "val_data_loss")
PART_OF = {"train": "n_train", "val": "n_val", "test": "n_test", "majority": "n_test"}


def difference(one, other):
    """Return ‖one − other‖₂ / ‖other‖₂; 0 for two zero tensors."""
    one, other = np.asarray(one, "float64"), np.asarray(other, "float64")
    gap, size = np.linalg.norm(one - other), np.linalg.norm(other)
    return 0.0 if gap == 0 else gap / size if size else math.inf


def allowed(column, row, rel, final):
    """Return by how much a column of this row may differ."""
    value, probe = abs(row[column]), min(PROBE, final["n_val"])
    if column in ("score", "val_score"):
        part = "n_train" if column == "score" else "n_val"
        return score_gap(value, rel, final["task"], final[part])
    if column.endswith("_fraction"):
        per_sample = row["role"] == "activation" and "unit" not in column
        return 1.001 / (row["size"] * (probe if per_sample else 1))
    if column in ("mean", "std"):
        return rel * math.hypot(row["mean"], row["std"])
    if column == "hoyer":  # 1 - value is (‖w‖₁/‖w‖₂ - 1) / (√n - 1)
        root = math.sqrt(row["size"])
        return 2 * rel * (root - value * (root - 1)) / (root - 1)
    assert column in MEASURED_NORMS + LOSSES, column
    return rel * value * (2 if column == "stable_rank" else 1)


def score_gap(value, rel, task, rows):
    """Return by how much a score may differ: accuracy by one row."""
    return 1.001 / rows if task == "classification" else rel * max(1.0, value)


def assert_close(what, one, other, gap):
    if isinstance(other, float) and math.isfinite(other):
        assert isinstance(one, float), (what, one, other)
        assert abs(one - other) <= gap, (what, one, other, gap)
    else:
        assert one == other, (what, one, other)


def places(rows):
    return [[row.get(key) for key in IDENTITY] for row in rows]


def assert_same_rows(rows, expected, rel, final):
    assert places(rows) == places(expected)
    for one, other in zip(rows, expected, strict=True):
        place = (*(other[key] for key in IDENTITY[1:5]),)
        assert set(one) == set(other), place
        for column in other.keys() - set(IDENTITY):
            finite = other[column] is not None and math.isfinite(other[column])
            gap = allowed(column, other, rel, final) if finite else 0.0
            assert_close((*place, column), one[column], other[column], gap)


def final_gap(key, other, rel, final):
    """Return by how much a column of finals may differ."""
    part, _, kind = key.partition("_")
    if key == "score_under_noise":
        return score_gap(max(other), rel, final["task"], final["n_test"])
    if kind == "score" and part != "majority":
        return score_gap(other, rel, final["task"], final[PART_OF[part]])
    if key == "step_law_error":  # rounding errors, in units of the strength
        return 1e-6
    if kind == "quantiles":
        return rel * max(other)
    if key in ("logit_norm_at_zero", "permuted_change"):  # in units of the scale of f
        return rel * max(1.0, other)
    scaled = ("penalty", "kkt_residual", "logit_scale", "jacobian_norm")
    return rel * abs(other) if kind == "data_loss" or key in scaled else 0.0


def assert_same_finals(final, expected, rel):
    assert set(final) == set(expected)
    for key, other in expected.items():
        if key in ("engine", "wall_seconds"):
            continue
        if other is None or final[key] is None:
            assert final[key] is other, (key, final[key], other)
            continue
        gap = final_gap(key, other, rel, expected)
        several = isinstance(other, list)
        pairs = (
            zip(final[key], other, strict=True) if several else [(final[key], other)]
        )
        for one, of_other in pairs:
            assert_close(key, one, of_other, gap)


def assert_same_tensors(tensors, expected, rel):
    assert_same_places(tensors, expected)
    for one, other in zip(tensors, expected, strict=True):
        place = (other["layer"], other["tensor"])
        assert set(one) == set(other), place
        for column in ("values", "u"):
            if other[column] is None:
                assert one[column] is None, (*place, column)
                continue
            gap = difference(one[column], other[column])
            assert gap <= rel, (*place, column, gap)
        assert sum(one["histogram"]) == one["size"]
        norm = np.linalg.norm(other["values"])
        for end in ("low", "high"):
            assert abs(one[end] - other[end]) <= rel * norm, (*place, end)


def assert_same_places(tensors, expected):
    exact = ("trial", "layer", "tensor", "role", "shape", "size", "sampled")
    assert [[t[key] for key in exact] for t in tensors] == [
        [t[key] for key in exact] for t in expected
    ]


def assert_agree(result, expected, rel):
    """Assert that a batch's result is, but for rounding, that of `model.fit`."""
    engines = result.final["engine"], expected.final["engine"]
    assert engines == ("batch", "fit")
    assert_alike(result, expected, rel)


def assert_alike(result, expected, rel):
    """Assert that two results of one trial are the same but for rounding."""
    assert_same_rows(result.rows, expected.rows, rel, expected.final)
    assert_same_finals(result.final, expected.final, rel)
    assert_same_tensors(result.tensors, expected.tensors, rel)


def assert_fails_alike(result, expected, rel):
    """Assert that both engines saw a trial diverge in the same way.

    Once a tensor is not finite, what follows is a matter of the kernels: a ReLU of
    NaN is 0 in some of TensorFlow's. Of the last epoch only places are compared,
    and tensors that are finite in both.
    """
    final = expected.final
    last = final["failed_epoch"]
    assert_same_finals(result.final, final, rel)
    assert_same_places(result.tensors, expected.tensors)
    for one, other in zip(result.tensors, expected.tensors, strict=True):
        if np.isfinite([one["values"], other["values"]]).all():
            assert difference(one["values"], other["values"]) <= rel, other["tensor"]
    before = [[r for r in one.rows if r["epoch"] < last] for one in (result, expected)]
    assert_same_rows(*before, rel, final)
    assert places(result.rows) == places(expected.rows)
    assert result.rows[-1]["loss"] is expected.rows[-1]["loss"] is None


def without_time(result):
    """Return all of a result but its duration, in a form that `==` compares."""
    final = {k: v for k, v in result.final.items() if k != "wall_seconds"}
    return repr((result.rows, final, result.tensors))
