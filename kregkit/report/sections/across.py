"""What several studies say together: the answer, what to use, and the claims.

How many studies agree comes first; what is pooled over them unfolds.
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from kregkit.report.analysis import recommendations
from kregkit.report.analysis.contrasts import COUNTED
from kregkit.report.analysis.meta_analysis import One, PooledClaim
from kregkit.report.analysis.recommendations import Advice, Choice, Goal
from kregkit.report.analysis.verdicts import OfClaim
from kregkit.report.cells import of_model
from kregkit.report.data.function_measures import GAP
from kregkit.report.data.tables import kind
from kregkit.report.page.page import Card, Check, Section, Statement, Tone
from kregkit.report.sections import cards, laws, pooled_claims
from kregkit.report.sections.fact_check import NOT_TESTED, VERDICTS, of_law
from kregkit.report.sections.matrix import matrix_of_several
from kregkit.report.sections.verdict_words import shown
from kregkit.report.wording import contrasts, labels, numbers

Advices = Mapping[str, Sequence[Advice]]
"""The advice of every study, by goal."""


def section(studies: Sequence[One], advices: Advices) -> Section:
    """Return the first section: the answer, and the matrix over all studies."""
    said = (
        _baselines(studies),
        *_improved(studies, advices),
        *_zeros(studies, advices),
    )
    return Section(
        "answer",
        "The answer",
        "Answer",
        statements=tuple(Statement("", text) for text in said),
        matrix=matrix_of_several([(one.name, one.study) for one in studies]),
    )


def use(studies: Sequence[One], advices: Advices, *folded: Section) -> Section:
    """Return a card for each goal."""
    made = {g.key: _card(g, studies, advices[g.key]) for g in recommendations.GOALS}
    more = tuple(card for key, card in made.items() if key not in cards.FIRST)
    return Section(
        "use",
        "What to use",
        "What to use",
        cards=tuple(card for key, card in made.items() if key in cards.FIRST),
        folded=(Section("more", "More goals", "More goals", cards=more), *folded),
    )


def fact_check(studies: Sequence[One], found: Sequence[PooledClaim]) -> Section:
    """Return the claims, each with how many studies agree."""
    glance, *evidence = pooled_claims.sections(studies, found)
    checks = {}
    for one, section in zip(found, evidence, strict=True):
        own = [
            t for s in studies for t in s.tested if t.claim.number == one.claim.number
        ]
        verdicts = [t.judged.verdict if t.judged else None for t in own]
        checks[one.claim.number] = Check(
            one.claim.says,
            *agreed(verdicts),
            " ".join((_counted(verdicts), *_effects(one))),
            section,
        )
    by_study = [laws.checked(one.study.tables) for one in studies]
    for checked in zip(*by_study, strict=True):
        words = [one.row[2].value for one in checked]
        most, times = Counter(words).most_common(1)[0]
        each = zip(studies, checked, strict=True)
        told = "; ".join(f"{s.name}: {one.row[3].value}" for s, one in each)
        text, tone = of_law(most)
        checks[checked[0].number] = Check(
            laws.SAYS[checked[0].number],
            f"{text}, {times} of {len(words)}" if most != laws.NOT_TESTED else text,
            tone,
            "No study has measured it." if most == laws.NOT_TESTED else "A law.",
            Section(
                f"claim-{checked[0].number}",
                f"Claim {checked[0].number}: {laws.NAMES[checked[0].number]}",
                "",
                notes=(told,),
            ),
        )
    folded = Section(
        "verdicts",
        "Every part in every study, pooled, and how verdicts are reached",
        "Verdicts",
        glance.lead,
        tables=glance.tables,
        notes=glance.notes,
    )
    return Section(
        "claims",
        "What people say, checked",
        "Fact check",
        checks=tuple(checks[number] for number in sorted(checks)),
        folded=(folded,),
    )


def agreed(verdicts: Sequence[OfClaim | None]) -> tuple[str, Tone]:
    """Return the verdict that most studies give, and how many they are."""
    known = [one for one in verdicts if one is not None]
    if not known:
        return NOT_TESTED
    decided = [one for one in known if one != "undecided"]
    most, times = Counter(decided or known).most_common(1)[0]
    text, tone = VERDICTS[most]
    if len({*decided}) > 1 and 2 * times <= len(decided):
        return f"◐ Mixed, {len(decided)} of {len(known)} decided", "changed"
    if 2 * times < len(known):
        undecided, unclear = VERDICTS["undecided"]
        return f"{undecided}, {len(known) - len(decided)} of {len(known)}", unclear
    return f"{text}, {times} of {len(known)}", tone


def _counted(verdicts: Sequence[OfClaim | None]) -> str:
    """Return how many studies give which verdict."""
    words: dict[OfClaim | None, str] = {
        "supported": "support it",
        "partly": "support a part of it",
        "negligible": "show no effect that counts",
        "contradicted": "show the opposite",
        "undecided": "could not tell",
        None: "did not test it",
    }
    found = Counter(verdicts)
    told = [f"{found[one]} {text}" for one, text in words.items() if one in found]
    return f"Of {len(verdicts)} studies {', '.join(told)}."


def _effects(one: PooledClaim) -> Iterator[str]:
    """Yield the median effects, and of which parts some study shows the opposite."""
    if len(one.parts) == 1:
        (part,) = one.parts
        known = [p.contrast.estimate for _, p in part.found if p.contrast.estimate]
        if known:
            middle = statistics.median(estimate.value for estimate in known)
            effect = shown(part.shape, middle, False)
            yield f"Median effect: {contrasts.of(part.about)} {effect}."
    against = [
        contrasts.of(part.about)
        for part in one.parts
        if len(one.parts) > 1
        and any(p.verdict == "contradicted" for _, p in part.found)
    ]
    if against:
        yield f"The opposite is seen of: {', '.join(against)}."


def advised(studies: Sequence[One]) -> Advices:
    """Return the advice of every study for every goal."""
    return {
        goal.key: [recommendations.advise_study(goal, one.study) for one in studies]
        for goal in recommendations.GOALS
    }


def _baselines(studies: Sequence[One]) -> str:
    told = []
    for one in studies:
        tables = one.study.tables
        score, gap = (
            numbers.plain(
                measure,
                tables.cell(tables.baselines[0], of_model(measure)).mean,
                tables.facts.regression,
            )
            for measure in ("test_score", GAP)
        )
        name = "R² " if tables.facts.regression else ""
        told.append(f"{one.data} {name}{score} (gap {gap})")
    return f"Without a regularizer, test score and loss gap: {', '.join(told)}."


def _improved(studies: Sequence[One], advices: Advices) -> Iterator[str]:
    for key, what in (
        ("score", "a better score"),
        ("test loss", "a lower test loss"),
        ("overfitting", "a smaller loss gap"),
    ):
        clear = [
            (one.data, advice)
            for one, advice in zip(studies, advices[key], strict=True)
            if advice.proven
        ]
        if not any(one.ties for one in advices[key]):
            continue
        if not clear:
            yield (
                f"In none of {len(studies)} studies is any regularizer sure to give "
                f"{what}."
            )
            continue
        where = ", ".join(
            f"{data} ({labels.choice(advice.proven[0])})" for data, advice in clear
        )
        yield (
            f"A regularizer is sure to give {what} in {len(clear)} of {len(studies)} "
            f"studies: {where}."
        )


def _zeros(studies: Sequence[One], advices: Advices) -> Iterator[str]:
    found = []
    for one, advice in zip(studies, advices["sparse weights"], strict=True):
        if advice.proven:
            found.append((one, cards.found(one.study, advice)))
    if found:
        told = ", ".join(f"{one.data} {own.effect}" for one, own in found)
        yield f"Kernel weights set to exactly zero at that score: {told}."


def _card(goal: Goal, studies: Sequence[One], found: Sequence[Advice]) -> Card:
    words = labels.GOALS[goal.key]
    told = [one for one in found if one.ties]
    clear = [one for one in told if one.proven]
    common = [one for one in recommendations.in_common(found) if one is not None]
    if not told:
        reasons = dict.fromkeys(contrasts.why(u) for one in found for u in one.why)
        text = "; ".join(filter(None, reasons)) or "no study has measured it"
        return Card(
            words.name, "Not known", "", f"{text[:1].upper()}{text[1:]}.", "unclear"
        )
    choice = "No clear winner"
    tone: Tone = "unclear"
    if clear and 2 * len(clear) > len(told):
        tone = "good"
        choice = "Depends on the data"
        if common:
            choice = " or ".join(map(labels.choice, common[:2]))
    leader = common[0] if common else _most_often(told)
    effect = _range(goal, studies, found, leader)
    sure = (
        f"In {len(clear)} of {len(told)} studies some regularizer is sure to beat no "
        "regularizer."
    )
    return Card(words.name, choice, effect, sure, tone)


def _most_often(told: Sequence[Advice]) -> Choice:
    """Return the regularizer that most studies have among their best."""
    found = Counter(one for advice in told for one in advice.ties if one is not None)
    return found.most_common(1)[0][0] if found else None


def _range(
    goal: Goal, studies: Sequence[One], found: Sequence[Advice], leader: Choice
) -> str:
    """Return the effects of one regularizer from the least to the largest."""
    effects = [
        advice.effects[leader].value
        for one, advice in zip(studies, found, strict=True)
        if leader in advice.effects
        and not (one.study.tables.facts.regression and goal.place.measure in COUNTED)
    ]
    if not effects or leader is None:
        return ""
    low, high = (
        numbers.effect(goal.place.measure, kind(goal.place), value, False)
        for value in (min(effects), max(effects))
    )
    words = labels.GOALS[goal.key].compared
    span = low if low == high else f"{low} to {high}"
    return (
        f"{words[:1].upper()}{words[1:]}: {span} in {len(effects)} studies under "
        f"{labels.choice(leader)}."
    )
