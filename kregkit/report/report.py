"""A report in Python: its tables as polars frames, its figures as they are needed.

What is here is what the page has; a figure is drawn, and matplotlib
loaded, when it is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl
from markupsafe import Markup

from kregkit.report import findings, frames, further
from kregkit.report.analysis.claims import Tested, judge
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.operating import Operating
from kregkit.report.analysis.operating import operating as operating_of
from kregkit.report.analysis.recommendations import Advice, advised
from kregkit.report.data.tables import Tables
from kregkit.report.data.trajectories import Trajectories, courses
from kregkit.report.page import folder
from kregkit.report.page.page import Figure, Page
from kregkit.report.wording import numbers


@dataclass(frozen=True, eq=False)
class Report:
    """The report of a store, as `kregkit.report.load` returns it.

    Every frame has one number per row. Most begin with what was trained: target,
    regularizer, layers, solver, parameters, learning_rate (left out where there is
    one), strength; all of them null: the baseline. What was measured: role, layer
    ("" is a role as a whole), tensor, measure. An undefined number is null.

    | frame | further columns |
    |---|---|
    | trials | trial, seed, failed, failed_epoch; train_score, val_score, test_score, |
    | | train_data_loss, val_data_loss, test_data_loss |
    | values | trial; value: each measure of a finished trial, at its end |
    | cells | n, failed: trials; mean over seeds; kind ("difference", "log ratio"), |
    | | effect, low, high: against the baseline of the same seed, with interval; |
    | | pairs of seeds, and how many agree with the sign of the effect |
    | trajectories | time ("epoch", "step"), moment; mean, lowest, highest of seeds |
    | operating | strength: that at which a series is compared (null: not reached); |
    | | at_edge: it is the strongest tried; collapse_strength |
    | metrics | metric, of those that the study names; baseline, mean: on the test |
    | | part, at the lowest validation loss (strength); effect, low, high: their |
    | | difference for the same seed; seeds; why there is no interval |

    Three say what the report concludes, and begin with names of their own:

    | frame | columns |
    |---|---|
    | contrasts | section, about, point: what is compared, and at which strength; |
    | | measure, kind; effect with low and high at level; of the parts of claims: |
    | | rule, smallest effect that counts, verdict; why there is no estimate |
    | effects | section, about, point; seed, effect |
    | goals | goal, regularizer; effect, low, high against no regularizer; |
    | | among_best: no other one is shown to be better |
    """

    tables: Tables = field(repr=False)
    left_out: tuple[str, ...] = ()
    """The names of parts of the store that cannot be read."""

    @property
    def title(self) -> str:
        """The title of the study."""
        return self.tables.facts.title

    @cached_property
    def runs(self) -> Trajectories:
        """How measures ran over training, by setting, role and measure."""
        return courses(self.tables)

    @cached_property
    def points(self) -> tuple[Operating, ...]:
        """The `strong` operating point of every series."""
        every = self.tables.strengths
        return tuple(operating_of(self.tables, series) for series in every)

    @cached_property
    def study(self) -> Analysis:
        """The tables, asked for contrasts."""
        return Analysis(self.tables)

    @cached_property
    def tested(self) -> tuple[Tested, ...]:
        """Every claim with its verdict."""
        return judge(self.study) if self.tables.compares else ()

    @cached_property
    def advised(self) -> tuple[Advice, ...]:
        """What reaches each goal best."""
        return advised(self.study) if self.tables.compares else ()

    @cached_property
    def frames(self) -> Mapping[str, pl.DataFrame]:
        """Every table by its name."""
        return {name: self._frame(name) for name in frames.NAMES} | self._found

    @cached_property
    def written(self) -> Mapping[str, pl.DataFrame]:
        """The tables that are written to files, of at most `frames.MOST` rows."""
        few = [name for name in frames.NAMES if name not in self.too_large]
        return {name: self._frame(name) for name in few} | self._found

    @cached_property
    def too_large(self) -> tuple[str, ...]:
        """The names of the tables that have more rows than a file holds."""
        return tuple(
            name
            for name in frames.NAMES
            if frames.size(name, self.tables, self.runs) > frames.MOST
        )

    @cached_property
    def _found(self) -> dict[str, pl.DataFrame]:
        found = findings.frames(self.study, self.tested, self.advised)
        return {**found, "metrics": further.frame(self.study)}

    def _frame(self, name: str) -> pl.DataFrame:
        if name not in self._made:
            own = frames.frame(name, self.tables, self.runs, self.points)
            self._made[name] = own
        return self._made[name]

    @cached_property
    def _made(self) -> dict[str, pl.DataFrame]:
        return {}

    @property
    def trials(self) -> pl.DataFrame:
        """Every trial."""
        return self._frame("trials")

    @property
    def values(self) -> pl.DataFrame:
        """What was measured of every finished trial, at its end."""
        return self._frame("values")

    @property
    def cells(self) -> pl.DataFrame:
        """Means over seeds and effects against the baseline."""
        return self._frame("cells")

    @property
    def trajectories(self) -> pl.DataFrame:
        """Measures of W, b and y as a whole over training."""
        return self._frame("trajectories")

    @property
    def operating(self) -> pl.DataFrame:
        """The strength at which each series is compared."""
        return self._frame("operating")

    @property
    def metrics(self) -> pl.DataFrame:
        """The further metrics of the study on the test part, against the baseline."""
        return self._found["metrics"]

    @property
    def contrasts(self) -> pl.DataFrame:
        """What the claims rest on, and what is compared at equal score."""
        return self._found["contrasts"]

    @property
    def effects(self) -> pl.DataFrame:
        """The contrasts seed by seed."""
        return self._found["effects"]

    @property
    def goals(self) -> pl.DataFrame:
        """Each regularizer against none, for every goal, and which are the best."""
        return self._found["goals"]

    @cached_property
    def page(self) -> Page:
        """The page, before it is HTML; none of its figures is drawn yet."""
        from kregkit.report.sections import (
            appendix,
            descriptive,
            further_metrics,
            one_study,
        )

        made = self.tables
        parts = self.study, self.tested, self.advised, self.runs, self.points
        body = (
            one_study.parts(*parts)
            if made.compares
            else descriptive.parts(descriptive.runs_of(made))
        )
        names = sorted(frames.csvs(self.written))
        named = further_metrics.sections(self.study)
        last = appendix.section(made, names, self.too_large, *named)
        subtitle = one_study.subtitle(made, self.left_out)
        return Page(made.facts.title, subtitle, (*body, last))

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """Name -> figure, with `svg`, `caption`, `alt`, and `plot()` for matplotlib."""
        return {figure.name: figure for figure in self.page.figures}

    @property
    def answer(self) -> tuple[str, ...]:
        """The answer in a few sentences, as the page begins."""
        return tuple(one.text for one in self.page.parts[0].statements)

    def __repr__(self) -> str:
        trials = numbers.count(len(self.tables.trials), "trial")
        return (
            f"<Report {self.title!r}: {trials}; see .answer, .goals, .trials, "
            ".figures and .write(DIR)>"
        )

    def html(self) -> str:
        """Return title, subtitle and the answer, without figures, as HTML."""
        said = Markup("").join(Markup("<li>{}</li>").format(x) for x in self.answer)
        page = Markup("<div><h3>{}</h3><p>{}</p><ul>{}</ul></div>")
        return str(page.format(self.page.title, self.page.subtitle, said))

    def _repr_html_(self) -> str:
        return self.html()

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """Every file of the report: path inside its folder -> content."""
        from kregkit.report.page.files import files

        return files(self.page, frames.csvs(self.written))

    def write(self, out: Path | str) -> Path:
        """Write page, report.md, figures and CSV into folder `out`; return index.html.

        An earlier report is replaced. Raises `StoreError` when `out` holds anything
        else or cannot be written.
        """
        out = Path(out)
        folder.check_replaceable(out)
        folder.write(self.files, out)
        return out / folder.INDEX
