"""One page over several studies: the answer, the claims by study and pooled, the runs.

Goals are answered by data set, and only claims are pooled.
"""

from collections.abc import Sequence

from kregkit.report.analysis import recommendations
from kregkit.report.analysis.meta_analysis import One, PooledClaim
from kregkit.report.page.page import Details, Entry, Page, Section, Table
from kregkit.report.sections import across, appendix, equal_score, goals
from kregkit.report.wording import labels, numbers
from kregkit.report.wording.numbers import count

Row = tuple[Entry, ...]


def page(studies: Sequence[One], found: Sequence[PooledClaim]) -> Page:
    """Return the page of several studies, with their pooled claims."""
    trials = sum(len(one.study.tables.trials) for one in studies)
    data = len({one.data for one in studies})
    subtitle = (
        f"{count(len(studies), 'study').replace('studys', 'studies')} · "
        f"{count(data, 'data set')} · {count(trials, 'trial')}"
    )
    score, *others = _begin(studies)
    advices = across.advised(studies)
    parts = (
        across.section(studies, advices),
        across.use(studies, advices, _goals(studies, advices)),
        Section(
            "strength",
            "How strong",
            "How strong",
            tables=(others[0],),
            folded=(
                Section(
                    "begin",
                    "Strengths for the score, and where each collapses",
                    "Strengths",
                    tables=(score, *others[1:]),
                ),
                *equal_score.sections_of_several(studies),
            ),
        ),
        across.fact_check(studies, found),
        Section(
            "method",
            "How it was run, and what the words mean",
            "Method",
            folded=(
                _studies(studies),
                appendix.words(),
                appendix.numbers_in(("tables/contrasts.csv",)),
            ),
        ),
    )
    return Page("What L1 and L2 do to kernel, bias and activity", subtitle, parts)


def _goals(studies: Sequence[One], advices: across.Advices) -> Section:
    return Section(
        "goals",
        "Every goal in every study",
        "Goals",
        lead=(
            f"{goals.ENTRIES} In all: those that no data set shows to be beaten, or "
            "that it depends on the data. This is no mean over the data sets, which "
            "differ too widely for one: goals are answered by data set, and only the "
            "claims below are pooled."
        ),
        tables=(
            Table(
                "For each goal, what reaches it best: in all data sets, and in each",
                ("Goal", "In all", *(one.name for one in studies)),
                tuple(_goal(goal, advices[goal.key]) for goal in recommendations.GOALS),
                leading=2 + len(studies),
                prose=True,
            ),
        ),
        notes=goals.NOTES,
    )


def _goal(goal: recommendations.Goal, found: Sequence[recommendations.Advice]) -> Row:
    common = recommendations.in_common(found)
    words = goals.named(common) if common else "Depends on the data"
    if not any(one.ties for one in found):
        words = goals.NOT_KNOWN
    each = (goals.named(one.ties) for one in found)
    own = labels.GOALS[goal.key]
    return (Entry(own.name, own.compared), Entry(words), *map(Entry, each))


def _begin(studies: Sequence[One]) -> tuple[Table, ...]:
    """Return where to begin, for the score and for all else."""
    made = [goals.begin(one.study) for one in studies]
    names = dict.fromkeys(row[0].value for table in made for row in table.rows)
    blank = (Entry(numbers.UNDEFINED),) * 4
    own = [{row[0].value: row for row in table.rows} for table in made]
    head = ("Regularizer", *(one.name for one in studies))

    def table(caption: str, column: int) -> Table:
        rows = (
            (Entry(name), *(rows.get(name, blank)[column] for rows in own))
            for name in names
        )
        return Table(caption, head, tuple(rows))

    return (
        table(f"With which strength to begin, for the score: {goals.FIRST}", 1),
        table(f"For sparse weights and all else: {goals.STRONGEST}", 2),
        table(goals.COLLAPSE, 3),
    )


def _studies(studies: Sequence[One]) -> Section:
    every = [dict(one.study.tables.facts.how) for one in studies]
    names = [
        name
        for name in dict.fromkeys(name for how in every for name in how)
        if name != "Data"
    ]
    rows = tuple(
        (Entry(name), *(Entry(how.get(name, numbers.UNDEFINED)) for how in every))
        for name in names
    )
    head = ("What", *(one.name for one in studies))
    facts = [one.study.tables.facts for one in studies]
    stores = " ".join(f"{one.name}/store" for one in facts)
    return Section(
        "run",
        "How it was run",
        "How it was run",
        tables=(
            Table(
                "Data, models and versions", head, rows, leading=len(head), prose=True
            ),
        ),
        code="\n".join(
            [
                *(f"kregkit run {one.name}.toml --out {one.name}" for one in facts),
                f"kregkit report {stores} --out report",
            ]
        ),
        details=tuple(
            Details(f"The study file of {one.name}", code=own.study)
            for one, own in zip(studies, facts, strict=True)
            if own.study
        ),
    )
