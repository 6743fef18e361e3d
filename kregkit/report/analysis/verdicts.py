"""Verdicts: what an interval says of a claim.

One family-wise rate. The statistical claims of a page form one family,
Holm's procedure gives each its share of `ALPHA`, and the parts of a claim share that
equally, so that with 95 % no verdict is false. Of the intervals it says less: those of
claims that are left when others are decided are narrower than all of them together
would be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from kregkit.report.cells import About, Unknown
from kregkit.report.statistics import LEVEL, Estimate, detectable

ALPHA: Final = 1 - LEVEL

Verdict = Literal["supported", "negligible", "contradicted", "undecided"]
OfClaim = Verdict | Literal["partly"]
Rule = Literal["falls", "rises", "stays", "not below"]
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Contrast:
    """One comparison that a claim rests on: what it asks of which effect.

    `smallest` is the effect Δ that counts, stated before the data, in the unit of the
    estimate. An effect "falls" or "rises" by at least Δ, "stays" within ±Δ, or is
    "not below" -Δ.
    """

    about: About
    rule: Rule
    smallest: float
    kind: str  # "difference" or "log ratio"
    effects: tuple[tuple[int, float | None], ...]  # by seed
    estimate: Estimate | None  # null: `why` says the reason
    why: Unknown | None = None

    @property
    def measure(self) -> str:
        """The name of the measure; pages choose units by it."""
        return self.about.place.measure


@dataclass(frozen=True)
class Part:
    """A contrast with the interval at the level that its claim has."""

    contrast: Contrast
    verdict: Verdict
    low: float | None
    high: float | None
    level: float
    detectable: float | None  # of what is undecided; null: there is no estimate


@dataclass(frozen=True)
class Judged:
    """A claim's verdict and the parts that it rests on.

    It is "partly" supported where a part is, and another is contradicted or negligible.
    """

    verdict: OfClaim
    parts: tuple[Part, ...]


def holm(claims: Mapping[_Key, Sequence[Contrast]]) -> dict[_Key, Judged]:
    """Judge the claims of one family.

    With m claims, each is judged at ALPHA/m. As long as some of those that are left
    can be decided, they have their verdicts, and the rest share ALPHA anew.
    """
    left = dict(claims)
    judged: dict[_Key, Judged] = {}
    while left:
        now = {key: _judged(own, ALPHA / len(left)) for key, own in left.items()}
        decided = {k: one for k, one in now.items() if one.verdict != "undecided"}
        judged |= decided or now
        left = {key: own for key, own in left.items() if key not in judged}
    return {key: judged[key] for key in claims}


def _judged(contrasts: Sequence[Contrast], alpha: float) -> Judged:
    """Judge one claim: what it says is that all its parts hold."""
    parts = tuple(_part(one, 1 - alpha / len(contrasts)) for one in contrasts)
    found = {part.verdict for part in parts}
    verdict: OfClaim = "undecided"
    if found == {"supported"}:
        verdict = "supported"
    elif "supported" in found and found & {"contradicted", "negligible"}:
        verdict = "partly"
    elif "contradicted" in found:
        verdict = "contradicted"
    elif "negligible" in found:
        verdict = "negligible"
    return Judged(verdict, parts)


def _part(contrast: Contrast, level: float) -> Part:
    known = contrast.estimate
    if known is None:
        return Part(contrast, "undecided", None, None, level, None)
    low, high = known.interval(level)
    verdict = _verdict(contrast, known.value, low, high)
    seen = None
    if verdict == "undecided" and contrast.rule in ("falls", "rises"):
        seen = detectable(known, contrast.smallest, level)
    return Part(contrast, verdict, low, high, level, seen)


def _verdict(contrast: Contrast, value: float, low: float, high: float) -> Verdict:
    enough, rule = contrast.smallest, contrast.rule
    if rule == "falls":  # the same question of the effect with its sign changed
        value, low, high = -value, -high, -low
    if rule == "not below":
        return (
            "supported"
            if low > -enough
            else "contradicted"
            if high < -enough
            else "undecided"
        )
    inside = low > -enough and high < enough
    if rule == "stays":
        beyond = low > enough or high < -enough
        return "supported" if inside else "contradicted" if beyond else "undecided"
    if inside:
        return "negligible"
    if low > 0 and value >= enough:
        return "supported"
    return "contradicted" if high < 0 else "undecided"
