"""Reads and parses a study file; without Keras.

Each error is one line with the file, the key's path and, if `locate` is sure of it, the
line number.
"""

import codecs
import re
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from kregkit.errors import StudyError
from kregkit.known import DECOUPLED, ONE_STEP, OPTIMIZERS, Choice
from kregkit.specs import SPECS
from kregkit.study.file import locate, types
from kregkit.study.file.cell import Cell
from kregkit.study.file.errors import study_error
from kregkit.study.file.tables import (
    DataConfig,
    ModelConfig,
    SweepConfig,
    TrainConfig,
)
from kregkit.study.file.types import LogRange, TableModel, fact

__all__ = [
    "Cell",
    "DataConfig",
    "LogRange",
    "ModelConfig",
    "StudyConfig",
    "SweepConfig",
    "TrainConfig",
    "json_schema",
    "load",
    "parse",
]

MOST_BYTES: Final = 16 * 2**20
"""The largest size of a study file."""


class StudyConfig(TableModel):
    """A whole study file."""

    name: types.FolderName
    title: types.Title = Field(default_factory=lambda data: str(data.get("name", "")))
    seeds: types.Counted
    data: DataConfig
    model: ModelConfig
    train: TrainConfig
    sweep: Annotated[
        tuple[SweepConfig, ...], BeforeValidator(types.from_list), types.SWEPT
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_trials()
        first: dict[Cell, int] = {}
        for index, sweep in enumerate(self.sweep):
            own = "weight_decay" in OPTIMIZERS[self.train.optimizer]
            if own and DECOUPLED in sweep.regularizer:
                raise fact(
                    f"{self.train.optimizer} already has {DECOUPLED} decay; use an "
                    "optimizer without",
                    *("sweep", index, "regularizer"),
                    sweep.regularizer.index(DECOUPLED),
                    also=("train", "optimizer"),
                )
            one = [name for name in sweep.regularizer if SPECS[name].scalar_step_only]
            if one and "proximal" in sweep.solver and self.train.optimizer != ONE_STEP:
                raise fact(
                    f"the proximal step of {one[0]} needs one step size for all "
                    f"weights, as {ONE_STEP} has; {self.train.optimizer} has one for "
                    "each",
                    *("sweep", index, "regularizer", sweep.regularizer.index(one[0])),
                    also=("train", "optimizer"),
                )
            for cell in sweep.cells(self.train.learning_rate):
                if cell in first:
                    raise fact(
                        f"{cell} is in sweep[{first[cell]}] already",
                        *("sweep", index),
                        also=("sweep", first[cell]),
                    )
                first[cell] = index
        return self

    def _check_trials(self) -> None:
        """Raise if there are too many trials, before any of them is created."""
        combinations = 0
        for index, sweep in enumerate(self.sweep):
            combinations += sweep.size
            trials = combinations * self.seeds
            if trials > types.MOST_TRIALS:
                before = " and the sweeps before it" if index else ""
                raise fact(
                    f"this sweep{before} and {self.seeds} seeds make {trials} trials; "
                    f"a study has at most {types.MOST_TRIALS}",
                    *("sweep", index),
                )


_TABLES: Final[dict[tuple[str | int, ...], type[TableModel]]] = {
    (): StudyConfig,
    ("data",): DataConfig,
    ("model",): ModelConfig,
    ("train",): TrainConfig,
    ("sweep",): SweepConfig,
    ("sweep", "strength"): LogRange,
    ("sweep", "learning_rate"): LogRange,
}


def _keys(path: locate.Path) -> Iterable[str]:
    table = _TABLES[tuple(part for part in path if isinstance(part, str))]
    own = {field.alias or name for name, field in table.model_fields.items()}
    if table is not SweepConfig:
        return own
    return (own | set(types.PARAMETERS)) - {"parameters", "structure"}


def parse(text: str, file: str) -> StudyConfig:
    """Return the study in `text`; raise `StudyError` with `file` and line."""
    locate.check_size(text, file)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{file}{_syntax(text, str(error))}") from None
    except (RecursionError, ValueError) as error:  # what `check_size` did not find
        raise StudyError(f"{file}: not TOML: {error}.") from None
    if not document:
        raise StudyError(f"{file}: is empty.")
    try:
        return StudyConfig.model_validate(document)
    except ValidationError as error:
        raise study_error(error, document, file, locate.lines(text), _keys) from None


def load(file: Path) -> tuple[StudyConfig, str]:
    """Return the study in the file, and the file's text."""
    if "\0" in str(file):
        raise StudyError(f"{str(file)!r}: must be a path without the character NUL.")
    try:
        found = file.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise StudyError(f"{file}: is a device or a pipe, not a file.")
        if found.st_size > MOST_BYTES:
            raise StudyError(
                f"{file}: holds {found.st_size} bytes; a study file has at most "
                f"{MOST_BYTES}."
            )
        read = file.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"{file}: no such file.") from None
    except OSError as error:
        raise StudyError(f"{file}: cannot be read: {error.strerror}.") from None
    if read.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise StudyError(f"{file}: UTF-16 text; a study file is UTF-8.")
    try:
        text = read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(f"{file}: not UTF-8 text (byte {error.start + 1}).") from None
    return parse(text, str(file)), text


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a study file, for editors."""
    schema = StudyConfig.model_json_schema()
    properties = schema["$defs"]["SweepConfig"]["properties"]
    numbers, words = (
        properties.pop(name)["additionalProperties"]
        for name in ("parameters", "structure")
    )
    for name, rule in sorted(types.PARAMETERS.items()):
        properties[name] = words if isinstance(rule, Choice) else numbers
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _syntax(text: str, message: str) -> str:
    place = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if place is None:
        return f": not TOML: {message}."
    line, column = int(place[2]), int(place[3])
    if twice := locate.doubled(text, line, column):
        path, second, first = twice
        return f":{second}: {locate.shown(path)}: is given on line {first} already."
    return f":{line}: not TOML: {place[1]} (column {column})."
