"""The types of values in a study file, with their rules for messages.

Types are strict: "3", true and 3.0 are not the integer 3. The only conversion is a
single value to a list of one. Validators raise a short text with a path below the
model; `errors` adds file, line and key.
"""

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from kregkit.known import (
    CODE,
    DATASETS,
    MODELS,
    OPTIMIZERS,
    SOLVERS,
    SWEPT_STRENGTH,
    TARGETS,
    Choice,
    Range,
)
from kregkit.specs import SPECS
from kregkit.study.file.locate import Path

TASKS: Final = ("classification", "regression")
SCALES: Final = ("auto", "image", "none", "standard")
MISSING: Final = ("impute", "indicator", "refuse")
PARAMETERS: Final = {
    n: rule for own in SPECS.values() for n, rule in own.parameters.items()
}
"""All parameters of regularizers except `strength`."""
Parameter: TypeAlias = float | str
"""A number, or a string for a structural parameter."""

OWN: Final = r"\w+(\.\w+)*:\w+"
"""A user-defined function: "package.module:function"."""

MOST: Final = 10_000
"""The maximum number of seeds, and of strengths in one range."""

MOST_TRIALS: Final = 100_000
"""The maximum number of combinations of a study's sweeps times its seeds."""

LARGEST: Final = 10**9
"""The maximum of other counts: epochs, rows of a batch, units of a layer."""


def fact(text: str, *below: str | int, also: Path = ()) -> PydanticCustomError:
    """Return the error with this text for the key `below` the model.

    `also` is the full path of a second key; its line is appended. The text therefore
    has no full stop.
    """
    return PydanticCustomError(
        "fact", "{text}", {"text": text, "below": below, "also": also}
    )


def must(rule: str, *below: str | int) -> PydanticCustomError:
    """Return the error for a value that breaks a rule."""
    return PydanticCustomError("must", "{rule}", {"rule": rule, "below": below})


def unknown(name: str, known: Iterable[str], *below: str | int) -> PydanticCustomError:
    """Return the error for a name that is not in `known`."""
    return PydanticCustomError(
        "unknown", "{name}", {"name": name, "known": tuple(known), "below": below}
    )


def extra(name: str) -> PydanticCustomError:
    """Return the error for a key that a table does not have."""
    return PydanticCustomError("extra_forbidden", "{name}", {"below": (name,)})


def gathered(table: dict[str, Any]) -> dict[str, Any]:
    """Return a sweep with the parameters of its regularizers in two tables.

    `parameters` has the numeric parameters, `structure` the structural ones.
    """
    parted: dict[str, dict[str, Any]] = {"parameters": {}, "structure": {}}
    for key, value in table.items():
        if key in parted:
            raise extra(key)
        if rule := PARAMETERS.get(key):
            kind = "structure" if isinstance(rule, Choice) else "parameters"
            parted[kind][key] = value
    return {key: table[key] for key in table if key not in PARAMETERS} | parted


def told(value: Parameter) -> str:
    """Return a parameter as text, for messages."""
    return value if isinstance(value, str) else f"{value:g}"


def check_parameter(value: Parameter, rule: Range | Choice, *below: str | int) -> None:
    """Raise if a regularizer's parameter is not valid."""
    if isinstance(rule, Choice):
        if not rule.admits(value):
            raise unknown(str(value), rule.words, *below)
    elif isinstance(value, str) or not rule.admits(value):
        raise must(str(rule), *below)


class TableModel(BaseModel):
    """A table of the study file."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


def _known(names: Iterable[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise unknown(name, names)
        return name

    return AfterValidator(check)


def _one_of(names: Iterable[str]) -> Any:
    enum: Any = sorted(names)
    return Field(json_schema_extra={"enum": enum})


def _when(admits: Callable[[Any], bool], rule: str) -> AfterValidator:
    def check(value: Any) -> Any:
        if not admits(value):
            raise must(rule)
        return value

    return AfterValidator(check)


def _inside(admissible: Range) -> AfterValidator:
    return _when(admissible.admits, str(admissible))


def _many(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,)


def _many_or_table(value: object) -> object:
    """Return a list as a tuple, and another value as a tuple of one; not for tables."""
    return value if isinstance(value, dict) else _many(value)


def from_list(value: object) -> object:
    """Return a list as a tuple; other values are unchanged, and rejected later."""
    return tuple(value) if isinstance(value, list) else value


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise must("a list of at least one value")
    return values


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    first: dict[Any, int] = {}
    for index, value in enumerate(values):
        if (earlier := first.setdefault(value, index)) < index:
            raise fact(f"{value!r} is in this list twice, also at [{earlier}]", index)
    return values


def _or_one(schema: dict[str, Any]) -> None:
    many: dict[str, Any] = {key: schema.pop(key) for key in ("type", "items")}
    schema["anyOf"] = [many["items"], many]


FROM_ONE: Final = BeforeValidator(_many)
SOME: Final = AfterValidator(_some)
DISTINCT: Final = AfterValidator(_distinct)
SWEPT: Final = _when(bool, "one [[sweep]] or more")
NOT_EMPTY: Final = _when(bool, "a name or a glob")
OR_ONE: Any = Field(json_schema_extra=_or_one)

Count = Annotated[
    int,
    _when(lambda n: n >= 1, "at least 1"),
    _when(lambda n: n <= LARGEST, f"at most {LARGEST}"),
]
Counted = Annotated[int, _when(lambda n: 1 <= n <= MOST, f"from 1 to {MOST}")]
Fraction = Annotated[float, _when(lambda x: 0 < x < 1, "above 0 and below 1")]
Momentum = Annotated[float, _when(lambda x: 0 <= x < 1, "0 or more and below 1")]
Positive = Annotated[float, _inside(Range(0.0, open_low=True))]
NotNegative = Annotated[float, _inside(Range(0.0))]
Strength = Annotated[float, _inside(SWEPT_STRENGTH)]

DataName = Annotated[str, _known(DATASETS), _one_of(DATASETS)]
ModelName = Annotated[str, _known(MODELS), _one_of(MODELS)]
CodeName = Annotated[str, _known(CODE.words), _one_of(CODE.words)]
OptimizerName = Annotated[str, _known(OPTIMIZERS), _one_of(OPTIMIZERS)]
RegularizerName = Annotated[str, _known(SPECS), _one_of(SPECS)]
TargetName = Annotated[str, _known(TARGETS), _one_of(TARGETS)]
SolverName = Annotated[str, _known(SOLVERS), _one_of(SOLVERS)]
Task = Annotated[str, _known(TASKS), _one_of(TASKS)]
Scale = Annotated[str, _known(SCALES), _one_of(SCALES)]
Missing = Annotated[str, _known(MISSING), _one_of(MISSING)]

Widths = Annotated[tuple[Count, ...], FROM_ONE, OR_ONE]
Numbers = Annotated[tuple[float, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]
Words = Annotated[tuple[str, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]
ColumnNames = Annotated[tuple[str, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]
Strengths = Annotated[tuple[Strength, ...], SOME, DISTINCT, OR_ONE]
Regularizers = Annotated[tuple[RegularizerName, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]
Targets = Annotated[tuple[TargetName, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]
LayerName = Annotated[str, NOT_EMPTY]
LayerNames = Annotated[tuple[LayerName, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]
Solvers = Annotated[tuple[SolverName, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]


class LogRange(TableModel):
    """Numbers with equal logarithmic steps, including both ends."""

    low: Strength = Field(alias="from")
    high: Strength = Field(alias="to")
    count: Counted

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.count == 1) != (self.low == self.high):
            raise must("1 if from equals to, otherwise 2 or more", "count")
        return self

    def numbers(self) -> tuple[float, ...]:
        """Return the numbers, rounded to 12 digits to make decades exact."""
        low, high = math.log(self.low), math.log(self.high)
        inner = (
            math.exp(low + (high - low) * step / (self.count - 1))
            for step in range(1, self.count - 1)
        )
        ends = (self.low, self.high)[: self.count]
        return (ends[0], *(float(f"{value:.12g}") for value in inner), *ends[1:])


Swept = Annotated[
    Annotated[Strengths, Tag("list")] | Annotated[LogRange, Tag("table")],
    Discriminator(lambda own: "table" if isinstance(own, dict | LogRange) else "list"),
    BeforeValidator(_many_or_table),
]
"""Numbers above 0: one number, a list, or a range."""


def numbers(swept: tuple[float, ...] | LogRange) -> tuple[float, ...]:
    """Return the numbers of a list or range."""
    return swept.numbers() if isinstance(swept, LogRange) else swept


def count(swept: tuple[float, ...] | LogRange) -> int:
    """Return how many numbers a list or range has."""
    return swept.count if isinstance(swept, LogRange) else len(swept)


def _fit(name: str) -> bool:
    letters = name.replace(".", "").replace("_", "").replace("-", "")
    return (
        name.isascii()
        and letters.isalnum()
        and name[:1].isalnum()
        and ".." not in name
        and len(name) <= 100
    )


Title = Annotated[str, _when(lambda text: "\0" not in text, "without NUL")]

FolderName = Annotated[
    str,
    _when(
        _fit,
        "at most 100 of A-Z a-z 0-9 _ . -, beginning with a letter or digit, without "
        "'..' (it names a folder)",
    ),
]
