"""Numbers in words.

An undefined number is an en dash, and a number that is not zero is
never written as zero.
"""

import math

from kregkit.report.effects import Points
from kregkit.schema import MEASURES

UNDEFINED = "–"
FRACTIONS = frozenset(
    {name for name in MEASURES if name.endswith("_fraction")}
    | {"inputs_ignored", "inputs_near_ignored", "permuted_change", "relative_gap"}
    | {"busiest_share"}
)


def significant(value: float, digits: int = 3) -> str:
    """Return the value with so many significant digits: 0.0123, 123, 1.23e-5."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    if not -4 < exponent < 6:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        return _minus(f"{mantissa}e{int(power)}")
    return _minus(f"{rounded:.{max(0, digits - 1 - exponent)}f}")


def strength(value: float | None) -> str:
    """Return a strength: 0.01, 1e-4, 3.162e-4; the baseline's is a dash."""
    if value is None:
        return UNDEFINED
    if 1e-2 <= value < 1e4:
        return f"{value:.4g}"
    mantissa, power = f"{value:.3e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def rounded(value: float) -> str:
    """Return a strength as a person writes it: 5e-4 for 4.642e-4."""
    return strength(float(f"{value:.0e}"))


def percent(fraction: float) -> str:
    """Return 12.3 %; what is not 0 (or 1) is never written as 0 % (or 100 %)."""
    if fraction in (0.0, 1.0):
        return f"{100 * fraction:.0f} %"
    if 0 < fraction < 0.0005:
        return "<0.1 %"
    if 0.9995 < fraction < 1:
        return ">99.9 %"
    return _minus(f"{100 * fraction:.1f} %")


def ratio(log: float) -> str:
    """Return a log ratio as a change with its sign: −31.0 %, +6110 %, never −100 %."""
    if log < math.log(5e-4):
        return "<−99.9 %"
    if log > math.log(11):
        return f"+{significant(100 * math.expm1(log))} %"
    return _signed(100 * math.expm1(log), 1) + " %"


def plain(measure: str, value: float | None, regression: bool) -> str:
    """Return a value of the measure."""
    if value is None:
        return UNDEFINED
    if measure in FRACTIONS or (_scored(measure) and not regression):
        return percent(value)
    if measure == "hoyer" or _scored(measure):
        return _signed(value, 3).removeprefix("+")
    return significant(value)


def effect(measure: str, kind: str, value: float | None, regression: bool) -> str:
    """Return an effect on the measure, with its sign; ≈0 is not 0, but rounds to it."""
    if value is None:
        return UNDEFINED
    if kind == "log ratio":
        return ratio(value)
    if measure in FRACTIONS or (_scored(measure) and not regression):
        return _signed(100 * value, 1) + " pt"
    if measure == "hoyer" or _scored(measure):
        return _signed(value, 3)
    return _sign(value) + significant(abs(value), 2)


def points(size: Points, regression: bool | None = None) -> str:
    """Return an amount of score: "1 point (R² 0.02)", or that of one task."""
    percent = 100 * size.accuracy
    accuracy = f"{percent:g} point" + ("" if percent == 1 else "s")
    r2 = f"R² {size.r2:g}"
    if regression is None:
        return f"{accuracy} ({r2})"
    return r2 if regression else accuracy


def brief(measure: str, kind: str, value: float, regression: bool) -> str:
    """Return an effect in few characters: changes of 10 % and more without decimals."""
    change = 100 * math.expm1(value) if kind == "log ratio" else 0.0
    if -99.5 < change <= -10 or change >= 10:
        return f"{_sign(change)}{abs(change):.0f} %"
    return effect(measure, kind, value, regression)


def _scored(measure: str) -> bool:
    return measure.endswith("score") or measure == "noise_cost"


def _signed(value: float, decimals: int) -> str:
    if value == 0:
        return "0"
    shown = f"{abs(value):.{decimals}f}"
    return "≈0" if float(shown) == 0 else _sign(value) + shown


def _sign(value: float) -> str:
    return "" if value == 0 else "−" if value < 0 else "+"


def _minus(text: str) -> str:
    """Return the text with a true minus sign, but for exponents."""
    return f"−{text[1:]}" if text.startswith("-") else text


def count(n: int, noun: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
