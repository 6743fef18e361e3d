"""The sections that compare two regularizers at equal score.

An entry is the effect of a `Contrast` with its interval, or, with seeds
too few for one, with the lowest and the highest seed.
"""

from collections.abc import Iterator, Sequence

from kregkit.known import DECOUPLED
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.equal_score import (
    MAIN,
    TOLERANCES,
    Pair,
    pairs,
    points,
    rows,
)
from kregkit.report.analysis.meta_analysis import One, pool, poolable
from kregkit.report.analysis.operating import Chosen
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import Place
from kregkit.report.effects import TOLERANCE, Points
from kregkit.report.page.page import Entry, Section, Table
from kregkit.report.sections.claim_words import POINTS
from kregkit.report.sections.verdict_words import bounds, shown
from kregkit.report.statistics import LEVEL, mean
from kregkit.report.wording import contrasts, numbers

NOTES = (
    f"These are estimates without a verdict, each with its own {100 * LEVEL:.0f} % "
    "interval: of twenty such intervals one is expected to miss. Norms and quantiles "
    "are compared by their ratio; of a norm that is 0 there is none. The frontiers of "
    "score against sparsity, norm and sensitivity are in the sections of the targets.",
)

DECAY = (
    "L2 is a term of the loss: its gradient 2λw goes through the optimizer. Decoupled "
    "weight decay is none: each step takes learning rate·strength·w off the weights, "
    "beside the optimizer's own step, as AdamW does.",
    "Under plain SGD the two are one, with a decay of 2λ. Adam divides the gradient of "
    "each weight, and with it that of L2, by the root of its mean square: L2 then "
    "shrinks weights with small gradients most, decay shrinks all at one rate. Their "
    "strengths have different units, so that no value carries over from one to the "
    "other.",
)


def sections(study: Analysis) -> Iterator[Section]:
    """Yield L1 against L2 and L2 against decoupled decay, where a study has both."""
    made = [_table(study, pair) for pair in pairs(study, "L1", "L2")]
    if made:
        yield _section("l1-l2", "L1 against L2, at equal score", "L1 or L2", made)
    made = [_table(study, pair) for pair in pairs(study, "L2", DECOUPLED)]
    if made:
        yield _section("decay", "L2 or weight decay", "L2 or decay", made, DECAY)


def sections_of_several(studies: Sequence[One]) -> Iterator[Section]:
    """Yield the same over several studies, each and pooled."""
    made = [*_pooled(studies, "L1", "L2")]
    if made:
        yield _section("l1-l2", "L1 against L2, at equal score", "L1 or L2", made)
    made = [*_pooled(studies, "L2", DECOUPLED)]
    if made:
        yield _section("decay", "L2 or weight decay", "L2 or decay", made, DECAY)


def _section(
    anchor: str,
    title: str,
    short: str,
    tables: Sequence[Table],
    notes: tuple[str, ...] = (),
) -> Section:
    return Section(anchor, title, short, tables=tuple(tables), notes=notes + NOTES)


def _table(study: Analysis, pair: Pair) -> Table:
    regression = study.tables.facts.regression
    heads = [
        f"{_lower(TOLERANCE.times(part), regression)} lower" for part in TOLERANCES
    ]
    chosen = points(study, pair)
    strengths = (Entry("Strengths"), *(_strengths(pair, *both) for both in chosen))
    made = [strengths]
    for row in rows(study, pair):
        found = (entry(one, regression) for one in row.contrasts)
        made.append((Entry(contrasts.quantity(row.about.place)), *found))
    return Table(
        f"{contrasts.difference(pair.one, pair.other)}: each at the strongest strength "
        "whose validation score is at most so much below the baseline's, and each at "
        "its lowest validation loss",
        ("Compared", *heads, "lowest loss"),
        tuple(made),
    )


def _lower(size: Points, regression: bool) -> str:
    words = numbers.points(size, regression)
    return words.replace("0.5", "½").split(" point")[0] + " pt" * (not regression)


def _strengths(pair: Pair, one: Chosen, other: Chosen) -> Entry:
    """Return what all seeds together choose, and how often a seed finds nothing."""
    seeds = {seed for seed in {*one} & {*other} if seed is not None}
    missing = sum(one[seed] is None or other[seed] is None for seed in seeds)
    words = []
    for series, setting in ((pair.one, one[None]), (pair.other, other[None])):
        found = numbers.strength(setting.strength) if setting else "not reached"
        words.append(f"{series.regularizer} {found}")
    note = f"not reached in {numbers.count(missing, 'seed')}" if missing else ""
    return Entry(", ".join(words), note)


def entry(one: Contrast, regression: bool) -> Entry:
    """Return an effect with its interval, or with those of the seeds."""
    if one.estimate is not None and one.estimate.error > 0:
        between = bounds(one, *one.estimate.interval(), regression)
        return Entry(shown(one, one.estimate.value, regression), between)
    known = [effect for _, effect in one.effects if effect is not None]
    if len(known) < len(one.effects) or not known:
        return Entry(numbers.UNDEFINED)
    effect = shown(one, mean(known), regression)
    if min(known) == max(known):
        return Entry(effect, "in every seed")
    return Entry(effect, f"seeds {bounds(one, min(known), max(known), regression)}")


def _pooled(studies: Sequence[One], one: str, other: str) -> Iterator[Table]:
    by_pair: dict[Pair, dict[Place, dict[str, Contrast]]] = {}
    for study in studies:
        for pair in pairs(study.study, one, other):
            measured = by_pair.setdefault(pair.known(study.study), {})
            for row in rows(study.study, pair):
                own = measured.setdefault(row.about.place, {})
                own[study.name] = row.contrasts[MAIN]
    for pair, measured in by_pair.items():
        yield Table(
            f"{contrasts.difference(pair.one, pair.other)}: each at {POINTS['strong']}",
            ("Compared", "Pooled", *(study.name for study in studies)),
            tuple(
                (Entry(contrasts.quantity(place)), *_across(found, studies))
                for place, found in measured.items()
            ),
        )


def _across(found: dict[str, Contrast], studies: Sequence[One]) -> Iterator[Entry]:
    estimates = [
        (study.data, estimate)
        for study in studies
        if study.name in found
        and (estimate := found[study.name].estimate)
        and poolable(study.study, found[study.name].measure)
    ]
    pooled = pool(estimates)
    blank = Entry(numbers.UNDEFINED)
    shape = next(iter(found.values()))
    if pooled is None:
        yield blank
    elif len({(one.value, one.error) for _, one in estimates} | {(0.0, 0.0)}) == 1:
        yield Entry(shown(shape, 0.0, False), "in every study")
    else:
        between = bounds(shape, *pooled.estimate.interval(), False)
        yield Entry(shown(shape, pooled.estimate.value, False), between)
    for study in studies:
        own = found.get(study.name)
        yield entry(own, study.study.tables.facts.regression) if own else blank
