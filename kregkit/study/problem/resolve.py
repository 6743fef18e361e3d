"""`resolve` makes a study ready for training, and tests all that can fail before.

It loads the data, splits them for each seed, builds the model, finds the layers and
creates the penalties. Errors have the place in the study file.
"""

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from kregkit import regularizers
from kregkit.errors import DataError, ParameterError
from kregkit.known import DECOUPLED
from kregkit.regularizers._base import bound
from kregkit.study.data import data as datasets
from kregkit.study.data.data import Data, Split
from kregkit.study.file.config import StudyConfig
from kregkit.study.file.locate import located
from kregkit.study.file.tables import SweepConfig
from kregkit.study.plan import Trial, digest, plan
from kregkit.study.problem import losses, metrics
from kregkit.study.problem.builders import build_own, check_own, told
from kregkit.study.problem.models import BUILDERS, is_of, layers_for
from kregkit.study.problem.sizes import check_memory, outline, widest
from kregkit.study.problem.tokens import check_tokens
from kregkit.weights import walk

OPTIMIZER_CLASSES: Final[dict[str, Any]] = {
    "adadelta": keras.optimizers.Adadelta,
    "adagrad": keras.optimizers.Adagrad,
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}

_ROWS: Final = 64
"""The number of rows on which a user-defined model is tested."""


class R2(keras.metrics.Metric):
    """R² = 1 - Σ‖y - ŷ‖² / Σ‖y - ȳ‖², over all outputs together.

    The mean of one R² per output, as in `keras.metrics.R2Score`, is not defined if an
    output is constant, such as an image's corner pixel. This one is 0 only if all
    outputs are constant.
    """

    def __init__(self, outputs: int, name: str = "r2", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.outputs = outputs
        self.count = self._zeros("count", ())
        self.residual = self._zeros("residual", ())
        self.sum = self._zeros("sum", (outputs,))
        self.squares = self._zeros("squares", (outputs,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add one batch; `sample_weight` is one number for each row."""
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        if sample_weight is None:
            sample_weight = ops.ones(ops.shape(y_true)[:1])
        weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        self.count.assign_add(ops.sum(weight))
        self.residual.assign_add(ops.sum(weight * ops.square(y_true - y_pred)))
        self.sum.assign_add(ops.sum(weight * y_true, axis=0))
        self.squares.assign_add(ops.sum(weight * ops.square(y_true), axis=0))

    def result(self) -> Any:
        """Return R² over everything since the last reset."""
        count = ops.maximum(self.count, 1.0)
        total = ops.sum(self.squares - ops.square(self.sum) / count)
        varies = total > 0
        share = self.residual / ops.where(varies, total, 1.0)
        return ops.where(varies, 1.0 - share, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "outputs": self.outputs}

    def _zeros(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_variable(shape, "zeros", dtype="float32", name=name)


@dataclass(frozen=True, eq=False)
class Study:
    """A study that can be trained. Its methods return new objects at each call."""

    config: StudyConfig
    folder: Path
    data: Data
    trials: tuple[Trial, ...]

    @property
    def reconstructs(self) -> bool:
        """Whether the target is the input."""
        return self.config.model.name == "autoencoder"

    @property
    def own_model(self) -> bool:
        """Whether a user-defined function builds the model."""
        return self.config.model.build is not None

    @property
    def task(self) -> str:
        """The task of the training: "classification" or "regression"."""
        return "regression" if self.reconstructs else self.data.task

    @property
    def outputs(self) -> int:
        """The width of the model's output."""
        shape = self.data.x.shape[1:]
        return math.prod(shape) if self.reconstructs else self.data.outputs

    def build(self) -> keras.Model:
        """Return a model with new weights from Keras's present seed."""
        shape, model = self.data.x.shape[1:], self.config.model
        if model.build is not None:
            return build_own(model.build, self.folder, shape, self.outputs)
        options = model.options
        return BUILDERS[str(model.name)](shape, self.outputs, **options)

    def penalty(self, trial: Trial) -> regularizers.Penalty | None:
        """Return the trial's penalty; None for a baseline and for decoupled decay."""
        if trial.regularizer is None or trial.strength is None or trial.decay:
            return None
        return regularizers.make(
            trial.regularizer, trial.strength, **dict(trial.parameters)
        )

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Return the optimizer with the study's options."""
        train = self.config.train
        return OPTIMIZER_CLASSES[train.optimizer](
            learning_rate=train.learning_rate, **train.options
        )

    def loss(self) -> keras.losses.Loss:
        """Return the loss of the study file, or the default of the task."""
        return losses.made(
            self.config.train.loss or losses.DEFAULTS[self.task], self.folder
        )

    def metric(self) -> keras.metrics.Metric:
        """Return the metric "score": accuracy, or R²."""
        if self.task == "regression":
            return R2(self.outputs, name="score")
        return keras.metrics.SparseCategoricalAccuracy(name="score")

    def split(self, seed: int) -> Split:
        """Return the parts for a seed; y of an autoencoder is its flattened input."""
        split = datasets.split(self.data, self.config.data, seed)
        if not self.reconstructs:
            return split
        flat = [np.reshape(x, (len(x), -1)) for x in _inputs(split)]
        train, val, test = flat
        return Split(split.x_train, train, split.x_val, val, split.x_test, test)


def resolve(config: StudyConfig, file: Path) -> Study:
    """Return the study of `file`, ready for training, or raise a located error."""
    folder = file.parent
    key = "data.name" if config.data.name else "data.file"
    with located(file, *key.split(".")):
        data = datasets.load(config.data, folder, config.model.build is not None)
        trials = plan(config, digest(config, folder))
    study = Study(config, folder, data, trials)
    with located(file, "data"):
        _check_rows(study)
    size = file, "model", widest(study)
    if not study.own_model:
        with located(*size):
            check_memory(study, outline(study))
    with located(file, "model", "build" if config.model.build else "name"):
        model = study.build()
    if config.model.build is not None:
        with located(*size):
            check_memory(study, model)
        split, builder = study.split(0), config.model.build
        with located(file, "data"), told(f"a call of {builder}"):
            check_tokens(model, _inputs(split))
        with located(file, "model", "build"), told(f"a call of {builder}"):
            check_own(builder, study.build, split.x_train[:_ROWS])
    for index, sweep in enumerate(config.sweep):
        _check_cells(sweep, config.train.learning_rate, model, (file, "sweep", index))
    if config.train.loss is not None:
        with located(file, "train", "loss"):
            y = study.split(0).y_train
            losses.check_loss(config.train.loss, folder, study.task, y, study.outputs)
    for name in config.train.metrics or ():
        with located(file, "train", "metrics"):
            y = study.split(0).y_train
            metrics.check_metric(name, folder, study.task, y, study.outputs)
    with located(file, "train", "optimizer"):
        study.optimizer()
    return study


def _check_cells(
    sweep: SweepConfig, learning_rate: float, model: keras.Model, table: Any
) -> None:
    """Raise if layers or penalty of a combination are impossible, located in `table`.

    Shapes are checked once for combinations that differ only in numbers.
    """
    place = "layers" if sweep.layers else "target"
    layers: dict[Any, Any] = {}
    shaped = set()
    for cell in sweep.cells(learning_rate):
        where = cell.target, cell.layers
        if where not in layers:
            with located(*table, place):
                layers[where] = layers_for(model, *where)
        if cell.regularizer == DECOUPLED:
            continue
        with located(*table):
            penalty = regularizers.make(
                cell.regularizer, cell.strength, **dict(cell.parameters)
            )
        words = tuple((n, v) for n, v in cell.parameters if isinstance(v, str))
        key = cell.regularizer, *where, words
        if key not in shaped:
            with located(*table, *list(sweep.structure)[:1]):
                _check_shapes(penalty, model, cell.target, layers[where])
            shaped.add(key)


def _check_shapes(
    penalty: regularizers.Penalty, model: keras.Model, target: str, chosen: Any
) -> None:
    """Raise if a tensor does not have the penalty's groups."""
    own = {id(layer) for layer in chosen}
    first: dict[Any, tuple[Any, str]] = {}  # the path of each shape and groups
    for weight in walk(model):
        if id(weight.layer) in own and target == "activity":
            # Unknown here for a layer of a subclassed model, or with several outputs.
            with contextlib.suppress(AttributeError):
                shape = tuple(size or 1 for size in weight.layer.output.shape)
                place = f"{weight.layer_path}/activity"
                first.setdefault((shape, None), (penalty, place))
        elif id(weight.layer) in own and is_of(weight, target):
            its = bound(penalty, weight)
            shape = tuple(weight.variable.shape)
            key = shape, getattr(its, "group", None)
            first.setdefault(key, (its, weight.path))
    for (shape, _), (its, path) in first.items():
        try:
            its.value(np.zeros(shape, "float32"))
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from None


def _check_rows(study: Study) -> None:
    batch = study.config.train.batch_size
    for seed in range(study.config.seeds):
        train, _, _ = datasets.rows(study.data, study.config.data, seed)
        if len(train) < batch:
            raise DataError(
                f"{study.data.name}: {len(train)} rows to train on are fewer than a "
                f"batch of {batch}."
            )
        datasets.fitted(study.data, train, seed)


def _inputs(split: Split) -> tuple[Any, Any, Any]:
    return split.x_train, split.x_val, split.x_test
