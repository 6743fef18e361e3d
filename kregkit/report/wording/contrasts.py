"""What an effect is of, and why it is not known, in words."""

from typing import Final

from kregkit.report.cells import About, BestOf, Place, Series, Unknown
from kregkit.report.wording import labels
from kregkit.report.wording.numbers import count

_MODEL: Final = {
    "test_score": "test score",
    "origin_ratio": "‖f(0)‖₂",
    "noise_cost": "score lost under noise",
    "jacobian_ratio": "Jacobian norm over the scale of f",
    "jacobian_norm": "Jacobian norm",
    "relative_gap": "gap over validation loss",
    "inputs_ignored": "share of inputs whose weights are all zero",
    "inputs_near_ignored": "share of inputs whose weights are all within 1e-3",
    "permuted_change": "change of f when near-ignored inputs are permuted",
}
_TENSOR: Final = {
    "l2": "‖{}‖₂",
    "hoyer": "Hoyer of {}",
    "q99_over_q50": "99 % quantile over median of |{}|",
    "zero_fraction": "share of {} exactly zero",
    "near_zero_fraction": "share of {} near zero",
    "unit_zero_fraction": "share of {} in units of zeros",
}


def quantity(place: Place) -> str:
    """Return what was measured, as it is called within a sentence."""
    if place.role == "model":
        return _MODEL.get(place.measure, labels.measure("model", place.measure))
    if place.measure in _TENSOR:
        return _TENSOR[place.measure].format(labels.symbol(place.role))
    return labels.measure(place.role, place.measure)


def of(about: About) -> str:
    """Return "‖W‖₂ under L2 on the kernel", "test score, L1 minus L2 on the bias"."""
    measured, one, other = quantity(about.place), about.one, about.other
    if other is None:
        point = " at the best strength" if about.point == "best" else ""
        return f"{measured} under {_who(one)}{point}"
    if isinstance(one, Series) and isinstance(other, Series):
        return f"{measured}, {difference(one, other)}"
    return f"{measured}, {_who(one)} minus {_who(other)}"


def _who(one: Series | BestOf) -> str:
    if isinstance(one, Series):
        return labels.named(one)
    return f"best {' or '.join(one.targets)} regularizer"


def difference(one: Series, other: Series) -> str:
    """Return "L1 minus L2 on the kernel (proximal)", of series of one target."""
    return labels.named(one).replace(
        one.regularizer, f"{one.regularizer} minus {other.regularizer}", 1
    )


def why(unknown: Unknown | None) -> str:
    """Return why there is no estimate, or ""."""
    if unknown is None:
        return ""
    seeds = f"{unknown.many} of {count(unknown.of, 'seed')}"
    return {
        "few seeds": f"{count(unknown.many, 'seed')} are fewer than the "
        f"{unknown.of} of an interval",
        "not reached": "the sweep holds no strength that keeps the validation score, "
        f"in {seeds}",
        "not defined": f"it is not defined in {seeds}"
        if unknown.many < unknown.of
        else "it was measured in no seed",
        "no spread": "every seed has the same difference, so that its spread is not "
        "known",
        "few data sets": f"it was measured on fewer than {unknown.of} sets of data",
    }[unknown.reason]
