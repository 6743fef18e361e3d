"""Reports: a store becomes one page, its figures and its tables.

Everything in a report is computed from the store alone, so the same
store gives the same bytes: no clock, no path and no random id.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kregkit.report.report import Report

__all__ = ["check_out", "load", "make", "make_several"]


def check_out(out: Path) -> None:
    """Raise `StoreError` now when `make` could not write its report into `out`."""
    from kregkit.report.page import folder

    folder.check_replaceable(Path(out))


def load(store: Path | str, skip_unreadable: bool = False) -> "Report":
    """Return the report of a store: tables, figures, and a summary in a notebook.

    With `skip_unreadable`, parts of the store that cannot be read are left out, and
    named by the report. Raises `StoreError` when the store cannot be read, and
    `VersionError` when it mixes versions.
    """
    from kregkit.errors import StoreError
    from kregkit.report.data.tables import read, tables
    from kregkit.report.report import Report

    contents = read(Path(store), skip_unreadable)
    try:
        return Report(tables(contents), contents.left_out)
    except StoreError as error:
        raise StoreError(f"{store}: {error}") from None


def make(store: Path, out: Path) -> Path:
    """Write the report of a store into folder `out` and return its index.html.

    An earlier report in `out` is replaced; a folder that holds anything else is
    refused. Raises `StoreError` when the store cannot be read or `out` cannot be
    written, and `VersionError` when the store mixes versions.
    """
    check_out(out)
    return load(store).write(out)


def make_several(stores: Sequence[Path], out: Path) -> Path:
    """Write one report over several stores into `out` and return its index.html.

    Claims are judged in every study and pooled over data sets. Raises as `make` does,
    and `StoreError` when two stores share a trial or a study has no baseline.
    """
    from kregkit.report.data.tables import read
    from kregkit.report.page import folder
    from kregkit.report.several import files_of_several

    out = Path(out)
    folder.check_replaceable(out)
    named = {str(store): read(Path(store)) for store in stores}
    folder.write(files_of_several(named), out)
    return out / "index.html"
