"""Studies that both engines train: a registry of cases, and the trials of each."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from keras import optimizers

from kregkit.study.file import config
from kregkit.study.problem.resolve import Study, resolve

STUDY = """\
name = "agree"
seeds = 2
[data]
{data}
[model]
{model}
[train]
{train}
"""

SWEEP = """\
[[sweep]]
regularizer = "{}"
target = "{}"
strength = {}
{}
"""

TERMS = (
    ("L1", "kernel", 1e-3),
    ("L2", "bias", 1e-1),
    ("L1L2", "activity", 1e-2, "ratio = [0.9, 0.3]"),
    ("L2", "kernel", 1e-2),
)
"""Regularizer, target, strength and further keys of the trials of a case."""

LINEAR = (
    ("L1", "bias", 1e-1),
    ("L1", "activity", 1e-2, 'layers = "all"'),
    ("L1L2", "kernel", "[1e-2, 3e-2]"),
)

RATES = (
    ("L1", "kernel", 1e-3, "learning_rate = [1e-2, 3e-3]"),
    ("L2", "kernel", 1e-2, "learning_rate = 3e-2"),
    ("L1L2", "activity", 1e-2),
)
"""For an own learning rate of 1e-2; there are baselines of three."""

BOTH = 'solver = ["gradient", "proximal"]'
PROXIMAL = (
    ("L1", "kernel", 3e-2, BOTH),
    ("L1", "bias", 1e-1, 'solver = "proximal"'),
    ("L1L2", "kernel", 3e-2, 'solver = "proximal"\nratio = [0.9, 0.3]'),
    ("GroupLasso", "kernel", 3e-2, 'solver = "proximal"\ngroup = ["unit", "input"]'),
    ("MCP", "kernel", 3e-2, 'solver = "proximal"'),
)
PROXIMAL_RATES = (
    ("L1", "kernel", 3e-2, BOTH + "\nlearning_rate = [2e-2, 5e-2]"),
    ("GroupLasso", "kernel", 3e-2, 'solver = "proximal"\nlearning_rate = 5e-2'),
    ("MCP", "kernel", 3e-2, 'solver = "proximal"'),
)
FURTHER = (
    ("GroupLasso", "kernel", 1e-2, 'group = ["unit", "input"]'),
    ("MCP", "kernel", 1e-2, "threshold = [0.1, 1.0]"),
    ("LogSum", "bias", 1e-2, "epsilon = [0.1, 1.0]"),
    ("SparseGroupLasso", "kernel", 1e-2, "ratio = [0.2, 0.9]"),
    ("HoyerSquare", "kernel", 1e-3),
    ("GroupLasso", "activity", 1e-2),
)
CONCAVE = (
    ("SCAD", "kernel", 3e-2, 'solver = "proximal"\na = [2.5, 8.0]'),
    ("CappedL1", "kernel", 3e-2, 'solver = "proximal"\nthreshold = [0.1, 1.0]'),
    ("TransformedL1", "kernel", 1e-2, "a = [0.1, 1.0]"),
    ("LHalf", "kernel", 3e-2, 'solver = "proximal"'),
    ("LTwoThirds", "bias", 3e-2, 'solver = "proximal"'),
    ("Huber", "kernel", 1e-2, "delta = [0.1, 1.0]"),
)
COUPLED = (
    ("GroupLInf", "kernel", 3e-2, 'solver = "proximal"'),
    ("LInf", "bias", 3e-2, BOTH),
    ("ExclusiveLasso", "kernel", 1e-2, 'solver = "proximal"\ngroup = "input"'),
    ("Hoyer", "kernel", 1e-2),
    ("GroupHoyerSquare", "kernel", 1e-3, 'group = "input"'),
    ("L0", "kernel", 1e-3, 'solver = "proximal"'),
    ("Orthogonality", "kernel", 1e-2, 'form = ["soft", "mutual_coherence"]'),
)
ONE_STEP = (
    ("SLOPE", "kernel", 1e-2, 'solver = "proximal"\nlast = [0.2, 0.8]'),
    ("GroupMCP", "kernel", 3e-2, 'solver = "proximal"\nthreshold = [0.1, 1.0]'),
    ("GroupSCAD", "kernel", 1e-2, 'group = "row"\nlearning_rate = 2e-2'),
    ("L1MinusL2", "bias", 3e-2, BOTH + "\nbeta = 0.7"),
    ("NuclearNorm", "kernel", 1e-2, BOTH),
    ("SpectralNorm", "kernel", 1e-2),
    ("Orthogonality", "kernel", 1e-2, 'form = "srip"'),
)
"""Whose proximal steps take one amount, and other penalties of singular values."""

ATTENTIVE = 'layers = "attention/*"\n'
IN_PLACE = (
    ("GroupLasso", "kernel", 3e-2, ATTENTIVE + 'group = "head"\n' + BOTH),
    ("GroupLInf", "kernel", 3e-2, ATTENTIVE + 'group = "unit"\n' + BOTH),
    ("GroupLasso", "kernel", 3e-2, 'layers = "up"\nsolver = "proximal"'),
)
"""Words for groups that mean other axes than in a dense layer."""

ACTIVITY = (
    ("KLSparsity", "activity", 1e-2, "rho = [0.05, 0.3]"),
    ("HoyerActivity", "activity", 1e-2),
    ("DeCov", "activity", 1e-2),
    ("VarianceCovariance", "activity", 1e-2, "gamma = [0.5, 1.0]"),
    ("EntropyPenalty", "activity", 1e-3),
)


@dataclass(frozen=True, eq=False)
class Optimized(Study):
    """A study whose optimizer no study file can express."""

    make: Callable[[], Any] | None = None

    def optimizer(self) -> Any:
        return super().optimizer() if self.make is None else self.make()


@dataclass(frozen=True)
class Case:
    """A study and the numbers of the trials that `fit` trains too.

    The trials of the batch are two baselines, then one for each further learning
    rate and for each term, the seeds in turn.
    """

    model: str
    train: str
    data: str = 'name = "iris"'
    terms: tuple[tuple[Any, ...], ...] = TERMS
    make: Callable[[], Any] | None = None
    compared: tuple[int, ...] = (2, 3, 4)
    rel: float = 1e-5

    def study(self, folder: Path) -> Study:
        """Return the study, resolved."""
        text = STUDY.format(data=self.data, model=self.model, train=self.train)
        for regularizer, target, strength, *more in self.terms:
            text += SWEEP.format(regularizer, target, strength, "\n".join(more))
        return study_of(text, folder, self.make)

    def trials(self, study: Study) -> list[Any]:
        """Return the trials of the batch."""
        firsts = range(2, len(study.trials), 2)
        cells = [study.trials[first + i % 2] for i, first in enumerate(firsts, 1)]
        return [*study.trials[:2], *cells]


def study_of(text: str, folder: Path, make: Callable[[], Any] | None = None) -> Study:
    file = folder / "study.toml"
    file.write_text(text)
    study = resolve(config.load(file)[0], file)
    own = {field.name: getattr(study, field.name) for field in fields(Study)}
    return Optimized(**own, make=make)


def built(name: str) -> str:
    return f'build = "helpers.batch_builders:{name}"'


def falling(rate: float) -> Any:
    return optimizers.schedules.ExponentialDecay(rate, 10, 0.5)


MLP = 'name = "mlp"\nhidden = [5]'
# 90 rows to train on: 6 steps an epoch, the last of 10 rows.
INCOMPLETE = "epochs = 5\nbatch_size = 16\n"
WHOLE = "epochs = 3\nbatch_size = 9\n"

CASES = {
    "mlp, adam": Case(MLP, INCOMPLETE + "learning_rate = 1e-2", compared=(0, 2, 3, 5)),
    "further penalties": Case(
        MLP,
        "epochs = 2\nbatch_size = 18\nlearning_rate = 1e-2",
        terms=FURTHER,
        compared=(3, 5, 7, 9, 10, 11),
    ),
    "concave penalties": Case(
        MLP,
        "epochs = 2\nbatch_size = 18\nlearning_rate = 1e-2",
        terms=CONCAVE,
        compared=(3, 5, 7, 8, 9, 10),
    ),
    "coupled penalties": Case(
        MLP,
        "epochs = 2\nbatch_size = 18\nlearning_rate = 1e-2",
        terms=COUPLED,
        compared=(2, 4, 5, 6, 7, 8, 10),
    ),
    "penalties of one step": Case(
        MLP,
        'epochs = 2\nbatch_size = 18\noptimizer = "sgd"\nlearning_rate = 5e-2',
        terms=ONE_STEP,
        compared=(3, 5, 7, 9, 11, 13),
    ),
    "words for groups": Case(
        built("attentive"),
        "epochs = 2\nbatch_size = 18\nlearning_rate = 1e-2",
        terms=IN_PLACE,
        compared=(2, 3, 4, 5, 6),
    ),
    "penalties of activities": Case(
        MLP,
        "epochs = 2\nbatch_size = 16\nlearning_rate = 1e-2",
        terms=ACTIVITY,
        compared=(3, 4, 5, 7, 8),
    ),
    "cnn, sgd with momentum": Case(
        'name = "cnn"\nfilters = [3, 4]\nhidden = []',
        'epochs = 1\nbatch_size = 64\noptimizer = "sgd"\nmomentum = 0.9\n'
        "learning_rate = 1e-2",
        'name = "digits"',
    ),
    "normalised, nadam": Case(
        built("normalised"),
        INCOMPLETE + 'optimizer = "nadam"\nlearning_rate = 1e-2',
        compared=(1, 3, 4),
    ),
    "constrained, adamw, global_clipnorm": Case(
        built("constrained"),
        INCOMPLETE,
        make=lambda: optimizers.AdamW(1e-2, weight_decay=0.1, global_clipnorm=0.3),
        compared=(0, 3, 4),
    ),
    "wired, rmsprop, clipvalue": Case(
        built("wired"),
        WHOLE,
        make=lambda: optimizers.RMSprop(1e-2, momentum=0.5, clipvalue=0.05),
    ),
    "regression, unnamed layers, adagrad, schedule": Case(
        built("unnamed"),
        "epochs = 2\nbatch_size = 20\n",
        'name = "diabetes"',
        make=lambda: optimizers.Adagrad(falling(1e-1)),
        compared=(1, 3, 6),
    ),
    "autoencoder, adadelta": Case(
        'name = "autoencoder"\nhidden = [2]',
        WHOLE + 'optimizer = "adadelta"\nlearning_rate = 1.0',
        compared=(0, 2, 4),
    ),
    "linear, adamax, clipnorm": Case(
        'name = "linear"',
        "epochs = 1\nbatch_size = 12\n",
        'name = "breast_cancer"',
        LINEAR,
        make=lambda: optimizers.Adamax(1e-2, clipnorm=0.1),
        compared=(1, 3, 4),
    ),
    "linear, nesterov, one batch": Case(
        'name = "linear"',
        'epochs = 4\nbatch_size = 90\noptimizer = "sgd"\nmomentum = 0.9\n'
        "nesterov = true\nlearning_rate = 1e-1",
        terms=LINEAR,
        compared=(2, 3, 5),
    ),
    "proximal, adam": Case(
        MLP,
        INCOMPLETE + "learning_rate = 1e-2",
        terms=PROXIMAL,
        compared=(2, 3, 4, 7, 9),
    ),
    "proximal cnn, sgd with momentum": Case(
        'name = "cnn"\nfilters = [3, 4]\nhidden = []',
        'epochs = 1\nbatch_size = 64\noptimizer = "sgd"\nmomentum = 0.9\n'
        "learning_rate = 1e-2",
        'name = "digits"',
        terms=PROXIMAL,
        compared=(3, 4, 8),
    ),
    "lstm, adam": Case(
        built("recurrent"),
        "epochs = 1\nbatch_size = 36\nlearning_rate = 1e-2",
        'name = "digits"',
        compared=(2, 3),
    ),
    "learning rates, adam": Case(
        MLP, INCOMPLETE + "learning_rate = 1e-2", terms=RATES, compared=(0, 2, 5, 6)
    ),
    "learning rates, sgd with momentum": Case(
        'name = "cnn"\nfilters = [3, 4]\nhidden = []',
        'epochs = 1\nbatch_size = 64\noptimizer = "sgd"\nmomentum = 0.9\n'
        "learning_rate = 1e-2",
        'name = "digits"',
        terms=RATES,
        compared=(2, 5, 6),
    ),
    "proximal, learning rates, adam": Case(
        MLP,
        INCOMPLETE + "learning_rate = 1e-2",
        terms=PROXIMAL_RATES,
        compared=(4, 6, 7, 8),
    ),
}
