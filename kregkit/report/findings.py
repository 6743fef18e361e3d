"""What a report concludes, as polars frames: contrasts with verdicts, and goals.

A row is what the page says in a table, in full precision and beside the numbers of its
seeds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from kregkit.known import DECOUPLED
from kregkit.report.analysis import equal_score
from kregkit.report.analysis.claims import Tested
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.meta_analysis import One, PooledClaim
from kregkit.report.analysis.recommendations import Advice
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.statistics import LEVEL
from kregkit.report.wording import contrasts, labels

_WHERE: Final = {"section": pl.String, "about": pl.String, "point": pl.String}
_COLUMNS: Final[Mapping[str, Mapping[str, Any]]] = {
    "contrasts": _WHERE
    | dict.fromkeys(("measure", "kind", "rule"), pl.String)
    | dict.fromkeys(("smallest", "effect", "low", "high", "level"), pl.Float64)
    | {"seeds": pl.Int64, "verdict": pl.String, "why": pl.String},
    "effects": _WHERE | {"seed": pl.Int64, "effect": pl.Float64},
    "goals": {"goal": pl.String, "regularizer": pl.String}
    | dict.fromkeys(("effect", "low", "high"), pl.Float64)
    | {"among_best": pl.Boolean},
}

_Bounds = tuple[float | None, float | None]
_Found = tuple[Mapping[str, str], Contrast, _Bounds, float, str | None]


def frames(
    study: Analysis, tested: Sequence[Tested], advices: Sequence[Advice]
) -> Mapping[str, pl.DataFrame]:
    """Return the frames `contrasts`, `effects` and `goals`."""
    found = [*_of_claims(tested), *_at_equal_score(study)]
    made: Mapping[str, Iterable[Mapping[str, Any]]] = {
        "contrasts": (_contrast(*one) for one in found),
        "effects": (
            {**where, "seed": seed, "effect": effect}
            for where, contrast, *_ in found
            for seed, effect in contrast.effects
        ),
        "goals": (row for advice in advices for row in _goal(advice)),
    }
    return {
        name: pl.DataFrame(list(rows), schema=dict(_COLUMNS[name]))
        for name, rows in made.items()
    }


def frame_of_several(
    studies: Sequence[One], claims: Sequence[PooledClaim]
) -> pl.DataFrame:
    """Return the frame `contrasts` of every study, below it what is pooled."""
    each = []
    for one in studies:
        own = frames(one.study, one.tested, ())["contrasts"]
        each.append(own.select(pl.lit(one.name).alias("study"), pl.all()))
    rows = []
    for claim in claims:
        for part in claim.judged.parts if claim.judged else ():
            about = contrasts.of(part.contrast.about)
            section = f"claim {claim.claim.number}"
            where = {"section": section, "about": about, "point": "claim"}
            verdict = part.verdict if part.contrast.estimate else None
            bounds = part.low, part.high
            row = _contrast(where, part.contrast, bounds, part.level, verdict)
            if part.contrast.estimate:
                row["seeds"] = part.contrast.estimate.n  # data sets
            rows.append({"study": "pooled", **row})
    pooled = pl.DataFrame(rows, schema={"study": pl.String, **_COLUMNS["contrasts"]})
    return pl.concat([*each, pooled])


def _of_claims(tested: Sequence[Tested]) -> Iterator[_Found]:
    for one in tested:
        section = f"claim {one.claim.number}"
        for part in one.judged.parts if one.judged else ():
            where = {"section": section, "point": "claim"}
            where["about"] = contrasts.of(part.contrast.about)
            verdict = part.verdict if part.contrast.estimate else None
            yield where, part.contrast, (part.low, part.high), part.level, verdict
        for contrast in one.beside:
            where = {"section": section, "point": "beside"}
            where["about"] = contrasts.of(contrast.about)
            yield where, contrast, _own(contrast), LEVEL, None


def _at_equal_score(study: Analysis) -> Iterator[_Found]:
    points = (*(f"within {part:g}" for part in equal_score.TOLERANCES), "lowest loss")
    for one, other in (("L1", "L2"), ("L2", DECOUPLED)):
        for pair in equal_score.pairs(study, one, other):
            for row in equal_score.rows(study, pair):
                for point, contrast in zip(points, row.contrasts, strict=True):
                    section = f"{one} against {other}"
                    about = contrasts.of(row.about)
                    where = {"section": section, "about": about, "point": point}
                    yield where, contrast, _own(contrast), LEVEL, None


def _own(contrast: Contrast) -> _Bounds:
    return contrast.estimate.interval() if contrast.estimate else (None, None)


def _contrast(
    where: Mapping[str, str],
    one: Contrast,
    bounds: _Bounds,
    level: float,
    verdict: str | None,
) -> dict[str, Any]:
    judged = where["point"] == "claim"
    return {
        **where,
        "measure": one.measure,
        "kind": one.kind,
        "rule": one.rule if judged else None,
        "smallest": one.smallest if judged else None,
        "effect": one.estimate.value if one.estimate else None,
        "low": bounds[0],
        "high": bounds[1],
        "level": level,
        "seeds": len(one.effects),
        "verdict": verdict,
        "why": contrasts.why(one.why) or None,
    }


def _goal(advice: Advice) -> Iterator[dict[str, Any]]:
    for name, estimate in advice.effects.items():
        low, high = estimate.interval()
        yield {
            "goal": labels.GOALS[advice.goal.key].name,
            "regularizer": labels.choice(name),
            "effect": estimate.value,
            "low": low,
            "high": high,
            "among_best": name in advice.ties,
        }
    if advice.effects:
        none = {"goal": labels.GOALS[advice.goal.key].name, "effect": 0.0}
        none |= {"regularizer": labels.choice(None), "low": None, "high": None}
        yield none | {"among_best": None in advice.ties}
