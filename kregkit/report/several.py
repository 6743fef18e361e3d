"""One page over several studies: claims by data set and model, and pooled.

The one rule: a pooled verdict comes from `pooled`, and where studies disagree the page
says so before it says what they give together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kregkit.report import answer, evidence, matched_page, numbers, usage
from kregkit.report.canvas import slug
from kregkit.report.claims import Tested
from kregkit.report.law_pages import NAMES, NOT_TESTED, checked
from kregkit.report.numbers import count
from kregkit.report.page import Entry, Page, Section, Table
from kregkit.report.plot_forest import forest
from kregkit.report.pooled import FEWEST_DATA, One, PooledClaim, PooledPart
from kregkit.report.statistics import LEVEL, Pooled
from kregkit.report.verdicts import Part

Row = tuple[Entry, ...]
BARS = f"{100 * LEVEL:.0f} % intervals (pooled: the one that the verdict rests on)"


def page(studies: Sequence[One], found: Sequence[PooledClaim]) -> Page:
    """Return the page of several studies, with their pooled claims."""
    trials = sum(len(one.study.tables.trials) for one in studies)
    data = len({one.data for one in studies})
    subtitle = (
        f"{count(len(studies), 'study').replace('studys', 'studies')} · "
        f"{count(data, 'data set')} · {count(trials, 'trial')}"
    )
    sections = (
        _answer(studies),
        _glance(studies, found),
        *(_evidence(one) for one in found),
        *matched_page.sections_of_several(studies),
        _studies(studies),
    )
    return Page("What L1 and L2 do to kernel, bias and activity", subtitle, sections)


def _answer(studies: Sequence[One]) -> Section:
    return Section(
        "answer",
        "When to use which",
        "When to use which",
        tables=(
            Table(
                "For each goal, what reaches it best: in all data sets, and in each",
                ("Goal", "In all", *(one.name for one in studies)),
                tuple(_goal(goal, studies) for goal in usage.GOALS),
                leading=2 + len(studies),
                prose=True,
            ),
            _begin(studies),
        ),
        notes=(
            *answer.NOTES,
            "In all: those that no data set shows to be beaten. A mean over a few data "
            "sets that differ widely says little of any of them: goals are not pooled.",
        ),
    )


def _goal(goal: usage.Goal, studies: Sequence[One]) -> Row:
    found = [usage.advise_study(goal, one.study) for one in studies]
    common = usage.in_common(found)
    words = _named(common) if common else "Depends on the data"
    if not any(one.ties for one in found):
        words = "Not known"
    each = (_named(one.ties) if one.ties else "Not known" for one in found)
    return (Entry(goal.name, goal.words), Entry(words), *map(Entry, each))


def _named(ties: Sequence[str]) -> str:
    if usage.NONE in ties:
        return "No difference that could be seen"
    more = len(ties) - answer.MOST
    names = "\n".join(ties[: answer.MOST])
    return f"{names}\nor {more} more" if more > 0 else names


def _begin(studies: Sequence[One]) -> Table:
    by_name: dict[str, dict[str, Entry]] = {}
    for one in studies:
        for name, strength, _, collapse in answer.begin(one.study).rows:
            words = f"collapses at {collapse.value}"
            note = "" if collapse.value == numbers.UNDEFINED else words
            by_name.setdefault(name.value, {})[one.name] = Entry(strength.value, note)
    blank = Entry(numbers.UNDEFINED)
    rows = tuple(
        (Entry(name), *(own.get(one.name, blank) for one in studies))
        for name, own in by_name.items()
    )
    return Table(
        "With which strength to begin: the one with the lowest validation data loss",
        ("Regularizer", *(one.name for one in studies)),
        rows,
    )


def _glance(studies: Sequence[One], found: Sequence[PooledClaim]) -> Section:
    rows: dict[int, Row] = {}
    for one in found:
        number = one.claim.number
        verdicts = [_verdict(own, number) for own in studies]
        pooled = Entry(NOT_TESTED)
        if one.judged is not None:
            apart = _apart([entry.value for entry in verdicts])
            notes = filter(None, (evidence.mixed(one.judged), apart))
            name = evidence.VERDICTS[one.judged.verdict]
            pooled = Entry(name, "\n".join(notes))
        lead = Entry(str(number)), Entry(one.claim.name)
        rows[number] = (*lead, pooled, *verdicts)
    laws = [{law.number: law for law in checked(own.study.tables)} for own in studies]
    for number, name in NAMES.items():
        own = [Entry(law[number].row[2].value) for law in laws]
        blank = Entry(numbers.UNDEFINED, "a law")
        rows[number] = (Entry(str(number)), Entry(name), blank, *own)
    return Section(
        "claims",
        "The claims",
        "Claims",
        lead=(
            "What answers to the question of kernel, bias and activity regularizers "
            "claim: tested in every study, and pooled over data sets."
        ),
        tables=(
            Table(
                "Claims and verdicts",
                ("No.", "Claim", "Pooled", *(one.name for one in studies)),
                tuple(rows[number] for number in sorted(rows)),
                leading=3 + len(studies),
                prose=True,
            ),
        ),
        notes=(
            evidence.MEANING,
            "Each study's verdicts are a family of their own, and so are the pooled "
            "ones: by Holm's procedure no verdict of a family is false with "
            f"{100 * LEVEL:.0f} %. A verdict rests on a wider interval than that of "
            f"{100 * LEVEL:.0f} % which stands beside it; the pooled one is below it. "
            "Few data sets decide little: an effect that every study shows may be "
            "undecided for data sets at large.",
            "Pooled by random effects: weights 1/(error² + τ²), with τ² by Paule and "
            "Mandel and the error by Hartung and Knapp, whose factor is not taken "
            "below 1, with k − 1 degrees of freedom over k data sets. Studies of one "
            "data set share its rows: they are one point, their mean with the mean of "
            "their errors. Between the ends of “another data set”, the prediction "
            f"interval of {100 * LEVEL:.0f} % with k − 2 degrees of freedom, the "
            "effect on another one is expected. What comes from fewer than "
            f"{FEWEST_DATA} data sets is listed and not pooled; scores of regressions, "
            "which are R², are not pooled with accuracies.",
            evidence.INTERVALS,
            evidence.MEASURED,
        ),
    )


def _verdict(one: One, number: int) -> Entry:
    tested: Tested = next(t for t in one.tested if t.claim.number == number)
    if tested.judged is None or not any(
        p.contrast.estimate for p in tested.judged.parts
    ):
        return Entry(NOT_TESTED)
    judged = tested.judged
    return Entry(evidence.VERDICTS[judged.verdict], evidence.mixed(judged))


def _apart(verdicts: Sequence[str]) -> str:
    """Return the note that studies disagree, or ""."""
    decided = {*verdicts} - {NOT_TESTED, evidence.VERDICTS["undecided"]}
    return "the data sets disagree" if len(decided) > 1 else ""


def _evidence(one: PooledClaim) -> Section:
    claim = one.claim
    parts = one.judged.parts if one.judged else ()
    judged = {part.contrast.about: part for part in parts}
    tables = tuple(_table(part, judged.get(part.about)) for part in one.parts)
    figures = []
    for i, part in enumerate(one.parts):
        rows = [*_rows(part), *_pooled_part(judged.get(part.about))]
        name = slug(str(claim.number), str(i))
        drawn = forest(name, part.about, rows, False, BARS)
        figures += [drawn] if drawn else []
    return Section(
        f"claim-{claim.number}",
        f"Claim {claim.number}: {claim.name}",
        f"Claim {claim.number}",
        lead=f"“{claim.says}” Measured at {claim.where}. What counts: {claim.counts}.",
        tables=tables,
        figures=tuple(figures),
        notes=() if tables else ("No study has trained what this claim needs.",),
    )


def _rows(part: PooledPart) -> Iterator[Part]:
    """Yield the contrast of every study with its own interval, as a part to draw."""
    for name, own in part.found:
        low, high = None, None
        if own.contrast.estimate:
            low, high = own.contrast.estimate.interval()
        named = replace(own.contrast, about=name)
        yield replace(own, contrast=named, low=low, high=high, level=LEVEL)


def _pooled_part(judged: Part | None) -> Iterator[Part]:
    """Yield the pooled part, to draw below those of the studies."""
    if judged is not None and judged.contrast.estimate is not None:
        named = "pooled (its points are the studies)"
        yield replace(judged, contrast=replace(judged.contrast, about=named))


def _table(part: PooledPart, judged: Part | None) -> Table:
    rows: list[Row] = []
    for drawn in _rows(part):
        one = drawn.contrast
        if one.estimate is None:
            rows.append((Entry(one.about, one.why), *[Entry(numbers.UNDEFINED)] * 4))
            continue
        effect = evidence.shown(one, one.estimate.value, False)
        bounds = evidence.bounds(one, drawn.low, drawn.high, False)
        blank = Entry("")
        rows.append(
            (
                Entry(one.about, evidence.VERDICTS[drawn.verdict]),
                Entry(effect),
                Entry(bounds),
                blank,
                Entry(str(one.estimate.n)),
            )
        )
    if part.pooled is not None and judged is not None:
        rows.append(_pooled_row(part.pooled, judged))
    head = ("Study", "Effect", "Interval", "Another data set", "Seeds or data sets")
    caption = (
        f"{part.about}: {100 * LEVEL:.0f} % intervals, and the verdicts that each "
        "study gives by itself"
    )
    return Table(caption, head, tuple(rows))


def _pooled_row(pooled: Pooled, judged: Part) -> Row:
    one = judged.contrast
    level = numbers.percent(judged.level)
    rests = evidence.bounds(one, judged.low, judged.high, False)
    between = evidence.bounds(one, *pooled.estimate.interval(), False)
    return (
        Entry("Pooled", evidence.VERDICTS[judged.verdict]),
        Entry(evidence.shown(one, pooled.estimate.value, False)),
        Entry(between, f"{level}: {rests}"),
        Entry(evidence.bounds(one, pooled.low, pooled.high, False)),
        Entry(str(pooled.estimate.n)),
    )


def _studies(studies: Sequence[One]) -> Section:
    names = ("Data", "Model", "Trials", "Seeds", "Solver", "Epochs", "Test rows")
    rows = []
    for one in studies:
        how = dict(one.study.tables.facts.how)
        entries = (Entry(how.get(name, numbers.UNDEFINED)) for name in names)
        rows.append((Entry(one.name), *entries))
    return Section(
        "run",
        "The studies",
        "Studies",
        tables=(Table("What was trained", ("Study", *names), tuple(rows), prose=True),),
        code="kregkit report STORE STORE ...",
        files=("tables/contrasts.csv",),
    )
