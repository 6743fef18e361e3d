"""The tables of a study file: their keys and valid combinations; without Keras.

An instance is valid as far as that can be checked without data and models. `resolve`
checks the rest.
"""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, model_validator

from kregkit.known import (
    CODE,
    LEARNING_RATE,
    MODELS,
    OPTIMIZERS,
    TARGETS,
    Choice,
    Range,
)
from kregkit.specs import SPECS
from kregkit.study.file import named, types
from kregkit.study.file.cell import Cell
from kregkit.study.file.types import TableModel, fact, must

OWN_TEST: Final = frozenset({"mnist", "fashion_mnist", "cifar10"})
"""Data sets with a separate test part, which do not use `test_fraction`."""

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "mlp": {"hidden": (64, 32)},
    "cnn": {"filters": (16, 32), "hidden": (64,)},
    "autoencoder": {"hidden": (64, 16), "code": CODE.default},
}
"""The default options of built-in models."""

LAYERS: Final = {target: "all" for target in TARGETS} | {"activity": "hidden"}
"""The default `layers` of a sweep for each target."""

_FORMATS: Final = (".csv", ".npz", ".parquet")
_OF_TABLES: Final = ("label", "drop", "max_levels")


class DataConfig(TableModel):
    """The data set, its split into parts, and the scaling of its inputs.

    Both fractions are shares of all rows, without the data set's own test part. Keys
    that are not given are None, and do not change the ids of the trials.
    """

    name: types.DataName | None = None
    file: str | None = None
    label: str | None = None
    task: types.Task | None = None
    scale: types.Scale | None = None
    missing: types.Missing | None = None
    max_levels: types.Count | None = None
    drop: types.ColumnNames | None = None
    test_fraction: types.Fraction = 0.2
    validation_fraction: types.Fraction = 0.2

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.name is None) == (self.file is None):
            raise fact("must hold either `name` or `file`")
        if self.file is None:
            for key in ("task", "missing", *_OF_TABLES):
                if getattr(self, key) is not None:
                    raise fact("goes with `file`, not with `name`", key)
        elif "\0" in self.file:
            raise must("a path without the character NUL", "file")
        elif self.format not in _FORMATS:
            raise must(f"a file that ends in {', '.join(_FORMATS)}", "file")
        elif self.format == ".npz":
            for key in _OF_TABLES:
                if getattr(self, key) is not None:
                    raise fact("goes with .csv and .parquet files only", key)
        elif self.label is None:
            raise fact(f"{self.format} needs `label`, the column to predict", "file")
        elif self.label in (self.drop or ()):
            raise fact(f"holds {self.label!r}, the column to predict", "drop")
        maybe_own_test = self.name in OWN_TEST or self.format == ".npz"
        if not maybe_own_test and self.test_fraction + self.validation_fraction >= 1:
            own = "validation_fraction" in self.model_fields_set
            raise fact(
                f"{self.validation_fraction:g} for validation and "
                f"{self.test_fraction:g} for testing leave nothing to train on",
                "validation_fraction" if own else "test_fraction",
            )
        return self

    @property
    def format(self) -> str:
        """The file's extension with the dot, in lower case; "" without a file."""
        return Path(self.file or "").suffix.lower()


class ModelConfig(TableModel):
    """A built-in model with its options, or a user-defined builder."""

    name: types.ModelName | None = None
    build: str | None = None
    hidden: types.Widths | None = None
    filters: types.Widths | None = None
    code: types.CodeName | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.name is None) == (self.build is None):
            raise fact("must hold either `name` or `build`")
        if self.build and not re.fullmatch(types.OWN, self.build):
            raise must("like 'package.module:function'", "build")
        taken = MODELS[self.name][1] if self.name else frozenset[str]()
        for option in ("code", "filters", "hidden"):
            given = getattr(self, option)
            if given is not None and option not in taken:
                raise fact(f"is not taken by {self.name or 'a builder'}", option)
            if given == () and (self.name, option) != ("cnn", "hidden"):
                raise must("a list of at least one value", option)
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options of the built-in model, including defaults."""
        given = {"filters": self.filters, "hidden": self.hidden, "code": self.code}
        return {
            option: default if given[option] is None else given[option] or ()
            for option, default in DEFAULTS.get(self.name or "", {}).items()
        }


class TrainConfig(TableModel):
    """The training options of all trials."""

    epochs: types.Count
    batch_size: types.Count = 32
    optimizer: types.OptimizerName = "adam"
    learning_rate: types.Positive = LEARNING_RATE
    loss: named.LossName | None = None
    metrics: named.MetricNames | None = None
    momentum: types.Momentum | None = None
    nesterov: bool | None = None
    weight_decay: types.NotNegative | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for option in self.options:
            if option not in OPTIMIZERS[self.optimizer]:
                raise fact(f"is not taken by {self.optimizer}", option)
        return self

    @property
    def options(self) -> dict[str, float]:
        """The optimizer's other options that the study file gives."""
        given = {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.weight_decay,
        }
        return {name: value for name, value in given.items() if value is not None}


class SweepConfig(TableModel):
    """All combinations of these values, for each seed."""

    regularizer: types.Regularizers
    target: types.Targets
    strength: types.Swept
    learning_rate: types.Swept | None = None
    solver: types.Solvers = ("gradient",)
    layers: types.LayerNames | None = None
    parameters: dict[str, types.Numbers] = Field(default_factory=dict)
    structure: dict[str, types.Words] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, table: Any) -> Any:
        """Collect the keys that are parameters of regularizers."""
        return types.gathered(table) if isinstance(table, dict) else table

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "activity" in self.target and "proximal" in self.solver:
            raise fact(
                "'proximal' acts on weights; the target 'activity' needs a separate "
                "sweep",
                *("solver", self.solver.index("proximal")),
            )
        for index, regularizer in enumerate(self.regularizer):
            spec = SPECS[regularizer]
            for place, target in enumerate(self.target):
                if spec.only_on not in (None, target):
                    raise fact(
                        f"{regularizer} is for {spec.only_on!r} only; {target!r} "
                        "needs a separate sweep",
                        *("target", place),
                    )
            if not spec.proximal and "proximal" in self.solver:
                raise fact(
                    f"{regularizer} has no proximal operator; it needs a separate "
                    "sweep",
                    *("regularizer", index),
                )
            if not spec.differentiable and "gradient" in self.solver:
                raise fact(
                    f"{regularizer} has no useful gradient; it needs a sweep with "
                    "solver = 'proximal' only",
                    *("regularizer", index),
                )
            takes = spec.parameters
            for name, given in self.further.items():
                if name not in takes:
                    raise fact(
                        f"is not a parameter of {regularizer}; regularizers that have "
                        "it need a separate sweep",
                        name,
                    )
                for index, value in enumerate(given):
                    types.check_parameter(value, takes[name], name, index)
            for name, rule in takes.items():
                if rule.default is None and name not in self.further:
                    raise fact(f"{regularizer} needs the key {name!r}")
        return self

    @property
    def strengths(self) -> tuple[float, ...]:
        """All strengths."""
        return types.numbers(self.strength)

    @property
    def further(self) -> dict[str, tuple[types.Parameter, ...]]:
        """The parameters of regularizers that the study file gives."""
        return {**self.parameters, **self.structure}

    def _given(self, name: str, rule: Range | Choice) -> tuple[types.Parameter, ...]:
        default = () if rule.default is None else (rule.default,)
        return self.further.get(name, default)

    @property
    def size(self) -> int:
        """The number of combinations, computed without creating them."""
        parameters = (
            math.prod(
                len(self._given(name, rule))
                for name, rule in SPECS[regularizer].parameters.items()
            )
            for regularizer in self.regularizer
        )
        rates = types.count(self.learning_rate) if self.learning_rate else 1
        strengths = types.count(self.strength)
        return sum(parameters) * len(self.target) * len(self.solver) * rates * strengths

    def cells(self, learning_rate: float) -> Iterator[Cell]:
        """Yield all combinations; those that differ in strength only are consecutive.

        `learning_rate` is used if the sweep has none.
        """
        rates = types.numbers(self.learning_rate or (learning_rate,))
        for regularizer, target, solver, rate in itertools.product(
            self.regularizer, self.target, self.solver, rates
        ):
            takes = SPECS[regularizer].parameters
            given = [self._given(name, takes[name]) for name in takes]
            for chosen in itertools.product(*given):
                parameters = tuple(sorted(zip(takes, chosen, strict=True)))
                for strength in self.strengths:
                    yield Cell(
                        regularizer,
                        target,
                        ",".join(self.layers or (LAYERS[target],)),
                        solver,
                        parameters,
                        rate,
                        strength,
                    )
