"""A store: a folder of Parquet files, written by studies and loggers, read by reports.

    DIR/study.toml                     the study file as it was read (studies only)
    DIR/parts/<name>/rows.parquet      a part holds whole trials;
    DIR/parts/<name>/finals.parquet    its columns are `schema.ROWS`,
    DIR/parts/<name>/tensors.parquet   `schema.FINALS` and `schema.TENSORS`

A report needs nothing but its store. Each part is written under a temporary name and
then renamed, so a part is complete or absent. The finished trials are those in the
parts.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kregkit.errors import PartError, StoreError, VersionError
from kregkit.schema import ADDED, FINALS, ROWS, SCHEMA_VERSION, TENSORS

if TYPE_CHECKING:
    import polars as pl

TABLES = {"rows": ROWS, "finals": FINALS, "tensors": TENSORS}
VERSIONS = ("kregkit_version", "keras_version", "backend", "backend_version")
"""The columns of `finals` that must be equal throughout one store."""

_TEMPORARY = ".writing-"
_UNSTABLE = {"wall_seconds", "engine"}


def frame(rows: Iterable[Mapping[str, Any]], schema: Mapping[str, str]) -> Any:
    """Return a polars frame with the columns of `schema`; missing values are null."""
    import polars as pl

    types = {
        "str": pl.String(),
        "int": pl.Int64(),
        "float": pl.Float64(),
        "bool": pl.Boolean(),
        "ints": pl.List(pl.Int64()),
        "floats": pl.List(pl.Float32()),
        "doubles": pl.List(pl.Float64()),
        "strs": pl.List(pl.String()),
    }
    rows = list(rows)
    unknown = {key for row in rows for key in row} - set(schema)
    if unknown:
        raise StoreError(f"columns that the schema does not declare: {sorted(unknown)}")
    columns = {name: [row.get(name) for row in rows] for name in schema}
    return pl.DataFrame(
        columns, schema={name: types[kind] for name, kind in schema.items()}
    )


@dataclass(frozen=True)
class Contents:
    """The contents of a store: the study file's text and the three tables."""

    study: str | None
    rows: "pl.DataFrame"
    finals: "pl.DataFrame"
    tensors: "pl.DataFrame"
    left_out: tuple[str, ...] = ()
    """The names of the unreadable parts that were skipped."""


@dataclass(frozen=True)
class Store:
    """The store in folder `path`.

    Raises:
        StoreError: a file cannot be read or written; for a file of a part, a
            `PartError`.
        VersionError: different versions trained the trials.
    """

    path: Path

    def begin(self, study: str | None = None) -> None:
        """Make the folder, and write the study file.

        A study removes the temporary files of a killed run. A logger does not, since
        several processes may write to its store.
        """
        try:
            (self.path / "parts").mkdir(parents=True, exist_ok=True)
            if study is not None:
                for left in self.path.glob(f"**/{_TEMPORARY}*"):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            if study is not None:
                temporary = self.path / f"{_TEMPORARY}{uuid.uuid4().hex}"
                temporary.write_text(study, encoding="utf-8")
                temporary.replace(self.path / "study.toml")
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {_why(error)}") from None

    def clear(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.path / "parts", ignore_errors=True)

    def write(
        self,
        rows: Iterable[Mapping[str, Any]],
        finals: Iterable[Mapping[str, Any]],
        tensors: Iterable[Mapping[str, Any]],
    ) -> None:
        """Write whole trials as one part: all three tables, or none of them."""
        finals = list(finals)
        trials = "\n".join(sorted(final["trial"] for final in finals))
        name = hashlib.sha256(trials.encode()).hexdigest()[:16]
        parts = self.path / "parts"
        temporary = parts / f"{_TEMPORARY}{uuid.uuid4().hex}"
        try:
            temporary.mkdir()
            tables = zip(TABLES.items(), (rows, finals, tensors), strict=True)
            for (table, schema), content in tables:
                frame(content, schema).write_parquet(temporary / f"{table}.parquet")
            os.replace(temporary, parts / name)
        except OSError as error:
            if (parts / name).exists():
                raise StoreError(f"{parts / name}: these trials are stored") from None
            raise StoreError(f"{self.path}: cannot be written: {_why(error)}") from None

    def finished(self) -> frozenset[str]:
        """Return the ids of the trials in complete parts."""
        return frozenset(self._table("finals")["trial"])

    def failed(self) -> int:
        """Return the number of failed trials."""
        return int((self._table("finals")["status"] == "failed").sum())

    def compares(self) -> bool:
        """Return whether any finished trial has a regularizer."""
        return bool(self._table("finals")["regularizer"].is_not_null().any())

    def check_resumable(self, environment: Mapping[str, Any]) -> None:
        """Raise `VersionError` if other versions than these wrote the store."""
        finals = self._table("finals")
        now = frame([{**environment, "trial": "now"}], FINALS)
        check_versions(finals.vstack(now), str(self.path))

    def study(self) -> str | None:
        """Return the text of the stored study file, or None."""
        file = self.path / "study.toml"
        try:
            return file.read_text(encoding="utf-8") if file.exists() else None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{file}: cannot be read: {_why(error)}") from None

    def read(
        self,
        skip_unreadable: bool = False,
        condense: "Callable[[pl.DataFrame], pl.DataFrame] | None" = None,
    ) -> Contents:
        """Return the contents, in an order that does not depend on how they were made.

        Args:
            skip_unreadable: leave out all three tables of a part with an unreadable
                file, and name the part in `left_out`.
            condense: a function of the rows of one part; the rows of all parts are then
                never in memory together.
        """
        if not (self.path / "parts").is_dir():
            raise StoreError(f"{self.path}: not a store (it has no folder 'parts')")
        parts, left_out = [], []
        for part in self._parts():
            try:
                read = {name: _read(part, name) for name in TABLES}
                if condense is not None:
                    read["rows"] = condense(read["rows"])
                parts.append((part, read))
            except PartError:
                if not skip_unreadable:
                    raise
                left_out.append(part.name)
        made = {  # `pop`, so that a large store is in memory once
            name: _together(name, ((part, read.pop(name)) for part, read in parts))
            for name in TABLES
        }
        if made["finals"].is_empty():
            unreadable = f"; parts that cannot be read: {len(left_out)}"
            raise StoreError(
                f"{self.path}: holds no finished trial{unreadable if left_out else ''}"
            )
        check_versions(made["finals"], str(self.path))
        return Contents(self.study(), **made, left_out=tuple(left_out))

    def _parts(self) -> list[Path]:
        return sorted((self.path / "parts").glob("[!.]*"))

    def _table(self, table: str) -> "pl.DataFrame":
        return _together(table, ((part, _read(part, table)) for part in self._parts()))


def _together(
    table: str, parts: Iterable[tuple[Path, "pl.DataFrame"]]
) -> "pl.DataFrame":
    """Return the table with each trial once, sorted by trial id."""
    import polars as pl

    frames, first = [frame((), TABLES[table])], dict[str, pl.DataFrame]()
    for part, read in parts:
        trials = read["trial"].unique().to_list()
        again = [trial for trial in trials if trial in first]
        for trial in again:
            one, other = (_stable(own, trial) for own in (first[trial], read))
            if not one.equals(other):
                raise StoreError(
                    f"{part}: trial {trial} is stored twice with different results"
                )
        first |= dict.fromkeys((trial for trial in trials if trial not in first), read)
        frames.append(read.filter(~pl.col("trial").is_in(again)) if again else read)
    together: pl.DataFrame = pl.concat(frames)
    if together["trial"].is_sorted():
        return together
    frames.clear()
    first.clear()
    ids = together.select("trial").with_row_index("at")
    order = ids.sort("trial", maintain_order=True)["at"]
    # One column at a time: `sort` keeps two more copies of the table in memory.
    names = together.columns
    return pl.DataFrame([together.drop_in_place(n).gather(order) for n in names])


def _stable(read: "pl.DataFrame", trial: str) -> "pl.DataFrame":
    """Return a trial's rows without the columns that vary between equal trainings."""
    own = read.filter(read["trial"] == trial)
    return own.drop(_UNSTABLE & set(own.columns))


def check_versions(finals: "pl.DataFrame", where: str) -> None:
    """Raise `VersionError` if different versions trained the trials of one store."""
    newer = [v for v in finals["schema_version"].unique() if v != SCHEMA_VERSION]
    if newer:
        raise VersionError(
            f"{where}: written with store format {newer[0]}; this kregkit reads "
            f"format {SCHEMA_VERSION}"
        )
    for column in VERSIONS:
        found = sorted(finals[column].drop_nulls().unique())
        if len(found) > 1:
            raise VersionError(
                f"{where}: trials of different versions cannot be compared: "
                f"{column} is {' and '.join(map(repr, found))}"
            )


def _read(part: Path, table: str) -> "pl.DataFrame":
    import polars as pl

    file, schema = part / f"{table}.parquet", TABLES[table]
    if not file.exists():
        raise PartError(f"{file}: damaged or missing: no such file")
    try:
        read = pl.read_parquet(file, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise PartError(f"{file}: damaged or missing: {_why(error)}") from None
    expected = frame((), schema).schema
    lacking = [name for name in ADDED if name in schema and name not in read.columns]
    read = read.with_columns(
        pl.lit(None, expected[name]).alias(name) for name in lacking
    )
    if {*read.columns} == {*expected}:
        read = read.select(*expected)
    if read.schema != expected:
        raise PartError(f"{file}: its columns differ from this kregkit's store format")
    return read


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
