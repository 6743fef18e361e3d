"""Reports: a store becomes one page, its figures and its tables.

The one rule: everything in a report is computed from the store alone, so the same
store gives the same bytes: no clock, no path and no random id.
"""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["check_out", "make", "make_several"]


def check_out(out: Path) -> None:
    """Raise `StoreError` now when `make` could not write its report into `out`."""
    from kregkit.report import folder

    folder.check_replaceable(Path(out))


def make(store: Path, out: Path) -> Path:
    """Write the report of a store into folder `out` and return its index.html.

    An earlier report in `out` is replaced; a folder that holds anything else is
    refused. Raises `StoreError` when the store cannot be read or `out` cannot be
    written, and `VersionError` when the store mixes versions.
    """
    from kregkit.errors import StoreError
    from kregkit.report import folder
    from kregkit.report.build import files
    from kregkit.store import Store

    store, out = Path(store), Path(out)
    folder.check_replaceable(out)
    contents = Store(store).read()
    try:
        made = files(contents)
    except StoreError as error:
        raise StoreError(f"{store}: {error}") from None
    folder.write(made, out)
    return out / "index.html"


def make_several(stores: Sequence[Path], out: Path) -> Path:
    """Write one report over several stores into `out` and return its index.html.

    Claims are judged in every study and pooled over data sets. Raises as `make` does,
    and `StoreError` when two stores share a trial or a study has no baseline.
    """
    from kregkit.report import folder
    from kregkit.report.build import files_of_several
    from kregkit.store import Store

    out = Path(out)
    folder.check_replaceable(out)
    named = {str(store): Store(Path(store)).read() for store in stores}
    folder.write(files_of_several(named), out)
    return out / "index.html"
