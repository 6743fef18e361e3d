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
    equal_score,
    evidence,
    targets,
)
from kregkit.report.wording.numbers import count


def sections(
    study: Analysis,
    tested: Sequence[Tested],
    advised: Sequence[Advice],
    runs: Trajectories,
    points: Sequence[Operating],
) -> Iterator[Section]:
    """Return the sections of a study that has a baseline to compare with."""
    tables = study.tables
    coded = autoencoder.stored(tables)
    if coded:
        yield autoencoder.section(study)
    yield answer.section(study, advised)
    if not coded or any(one.judged for one in tested):
        yield from evidence.sections(tables, tested)
    yield from equal_score.sections(study)
    yield from targets.sections(tables, runs, points)


def subtitle(tables: Tables, left_out: Sequence[str]) -> str:
    """Return the data, the model, and how many trials and seeds there are."""
    how = dict(tables.facts.how)
    shown = [how[name] for name in ("Data", "Model") if name in how]
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
