"""The page of one study: the answer first, then the evidence."""

from collections.abc import Iterator, Sequence

from kregkit.report.analysis.claims import Tested
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.operating import Operating
from kregkit.report.analysis.recommendations import Advice
from kregkit.report.data.tables import Tables
from kregkit.report.data.trajectories import Trajectories
from kregkit.report.page.page import Section
from kregkit.report.sections import (
    answer,
    autoencoder,
    cards,
    equal_score,
    fact_check,
    goals,
    strengths,
    targets,
)
from kregkit.report.wording.numbers import count


def parts(
    analysis: Analysis,
    tested: Sequence[Tested],
    advised: Sequence[Advice],
    runs: Trajectories,
    points: Sequence[Operating],
) -> Iterator[Section]:
    """Return the parts of the page of a study that has a baseline to compare with."""
    tables = analysis.tables
    seen, *by_target = targets.sections(tables, runs, points)
    yield answer.section(analysis, advised)
    if autoencoder.stored(tables):
        yield autoencoder.section(analysis)
    yield cards.section(analysis, advised, goals.section(analysis, advised))
    yield strengths.section(analysis, *equal_score.sections(analysis))
    if any(one.judged for one in tested) or not autoencoder.stored(tables):
        yield fact_check.section(analysis, tested)
    yield Section(
        "layers",
        "Layer by layer, and every strength",
        "Layer by layer",
        folded=(seen, *by_target),
    )


_ROWS = ("Training rows", "Validation rows", "Test rows")


def subtitle(tables: Tables, left_out: Sequence[str]) -> str:
    """Return the data, the model, and how many trials and seeds there are."""
    how = dict(tables.facts.how)
    shown = [how[name] for name in ("Data", "Model") if name in how]
    rows = [f"{how[n]} {n.split()[0].lower()}" for n in _ROWS if n in how]
    if rows:
        shown.append(f"rows: {', '.join(rows)}")
    shown.append(count(len(tables.trials), "trial"))
    seeds = {trial.seed for trial in tables.trials} - {None}
    if seeds:
        shown.append(count(len(seeds), "seed"))
    failed = sum(trial.failed for trial in tables.trials)
    if failed:
        shown.append(f"{failed} failed")
    if left_out:
        shown.append(f"{count(len(left_out), 'part')} left out")
    return " · ".join(shown)
