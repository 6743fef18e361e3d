"""The last sections of every report: failures, how it was run, the words.

Definitions come from `schema.MEASURES`, and nothing here depends on
when or where the report was made.
"""

from collections.abc import Iterator, Sequence

from kregkit.report.data.tables import Tables
from kregkit.report.frames import MOST
from kregkit.report.page.page import Details, Entry, Section, Table
from kregkit.report.wording import labels, numbers
from kregkit.schema import MEASURES, NEAR_ZERO

TERMS = (
    ("W, b, y", "The kernels, biases and activations (layer outputs) of a model."),
    (
        "Strength",
        "The factor before a penalty: the loss is data loss + strength · value, with "
        "value Σ|w| for L1 and Σw² for L2. Equal strengths of different regularizers "
        "are not comparable.",
    ),
    (
        "Collapsed",
        "A strength at which half of what the baseline scores above the best constant "
        "answer is lost, by the mean validation score (the constant answer is scored "
        "on the test part). The collapse strength, where half is lost, is interpolated "
        "in log strength between those of the sweep, and undefined outside.",
    ),
    (
        "Baseline",
        "The same model, data, seed and training without any regularizer. An effect "
        "compares a trial with the baseline of its own seed.",
    ),
    (
        "Seed",
        "Fixes the split (where the data set has none of its own), the initial "
        "weights and the batch order of a trial and of its baseline.",
    ),
    ("Data loss", "The loss without any penalty."),
    (
        "Generalisation gap",
        "Validation data loss minus training data loss.",
    ),
    (
        "Score",
        "Accuracy for classification; R² for regression, and for an autoencoder, whose "
        "target is its input.",
    ),
    (
        "Exactly zero, near zero, Hoyer",
        "Three different things, never one under the name of another: the share of "
        f"elements equal to 0; the share with magnitude at most {NEAR_ZERO:g}; and a "
        "measure of concentration that needs no threshold.",
    ),
    (
        "Whole-model values",
        "Of W, b or y over all layers: l1 is the sum and l2 the root of the sum of "
        "squares of the layers'; fractions are of all elements; Hoyer is the mean of "
        "the layers' values, weighted by their size.",
    ),
    (
        "Probe",
        "The fixed batch of inputs on which activations are measured; their norms are "
        "means per sample, and pooled over layers from these means.",
    ),
    (
        "Effect",
        "The mean over seeds of the difference to the baseline of the same seed: in "
        "points (pt) for percentages; for norms the mean log ratio, shown as a "
        "change in percent. ≈0 is not 0, but rounds to it.",
    ),
    ("–", "Not defined or not measured; never zero."),
)


def section(
    tables: Tables,
    files: Sequence[str],
    too_large: Sequence[str],
    *named: Section,
) -> Section:
    """Return how it was run, the words and the files; failed trials and metrics too."""
    return Section(
        "method",
        "How it was run, and what the words mean",
        "Method",
        folded=(*named, *_folded(tables, files, too_large)),
    )


def _folded(
    tables: Tables, files: Sequence[str], too_large: Sequence[str]
) -> Iterator[Section]:
    if any(trial.failed for trial in tables.trials):
        yield Section(
            "failed", "Failed trials", "Failed trials", tables=(failed(tables),)
        )
    facts = tables.facts
    rows = tuple((Entry(name), Entry(value)) for name, value in facts.how)
    study = (Details("The study file", code=facts.study),) if facts.study else ()
    yield Section(
        "run",
        "How it was run",
        "How it was run",
        tables=(Table("Data, model and versions", ("What", "Value"), rows),),
        code=f"kregkit run {facts.name}.toml" if facts.study and facts.name else "",
        details=study,
    )
    yield words()
    yield numbers_in(files, *((_left_out(too_large),) if too_large else ()))


def words() -> Section:
    """Return the glossary."""
    measures = ((name, f"{text}.") for name, text in MEASURES.items())
    return Section("words", "What the words mean", "Words", terms=(*TERMS, *measures))


def numbers_in(files: Sequence[str], *notes: str) -> Section:
    """Return the section that names the files."""
    about = "Every number of this page, in full precision:"
    return Section(
        "files", "The numbers", "Numbers", notes=(about, *notes), files=tuple(files)
    )


def _left_out(names: Sequence[str]) -> str:
    return (
        f"Left out, since it has more than {MOST:,} rows: {', '.join(names)}. In "
        "Python, kregkit.report.load(STORE) has each of them as a frame."
    )


def failed(tables: Tables) -> Table:
    """Return the trials whose loss was not finite, with the epoch."""
    every = list(tables.strengths)
    rows = []
    for trial in tables.trials:
        if trial.failed:
            series = trial.setting.series
            target = labels.TARGETS.get(series.target, series.target) if series else ""
            seed = numbers.UNDEFINED if trial.seed is None else str(trial.seed)
            epoch = (
                numbers.UNDEFINED
                if trial.failed_epoch is None
                else str(trial.failed_epoch)
            )
            entries = (trial.trial, labels.setting(trial.setting, every), target)
            rows.append(tuple(map(Entry, (*entries, seed, epoch))))
    return Table(
        "Trials whose loss was not finite. They are left out of every mean.",
        ("Trial", "Setting", "Target", "Seed", "Epoch"),
        tuple(rows),
    )
