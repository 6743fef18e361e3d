"""The output folder of a report.

A report is written beside its place and renamed into it, whole or not
at all, and only files that an earlier report lists as its own are ever removed.

index.html is the manifest: `<meta name="kregkit-files" content="report.md ...">`
lists, separated by blanks, every other file of the report.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from kregkit.errors import StoreError

INDEX = "index.html"

_MANIFEST = re.compile(r'<meta name="kregkit-files" content="([^"]*)">')


def check_replaceable(out: Path) -> None:
    """Raise `StoreError` when `out` holds something that no report of ours wrote."""
    try:
        if not out.exists():
            _check_writable(out)
            return
        if not out.is_dir():
            raise StoreError(f"{out}: is not a folder")
        own = _own(out)
        for found in sorted(out.rglob("*")):
            name = found.relative_to(out).as_posix()
            folder = found.is_dir() and not found.is_symlink()
            if not folder and name not in own:
                raise StoreError(
                    f"{out}: holds {name!r}, which is not part of a kregkit report; "
                    "choose another folder"
                )
    except OSError as error:
        raise _unwritable(out, error) from None


def write(files: Mapping[str, bytes], out: Path) -> None:
    """Write all files (path inside `out` -> bytes), or leave `out` as it was."""
    check_replaceable(out)
    try:
        out = out.resolve()
        new = out.with_name(f".{out.name}.kregkit-new")
        shutil.rmtree(new, ignore_errors=True)
        try:
            for name, content in files.items():
                file = new / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            _swap(new, out)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise _unwritable(out, error) from None


def _swap(new: Path, out: Path) -> None:
    old = out.with_name(f".{out.name}.kregkit-old")  # left there by a killed run
    if old.exists():
        _remove(old)
    if not out.exists():
        new.rename(out)
        return
    out.rename(old)
    try:
        new.rename(out)
    except OSError:
        old.rename(out)
        raise
    _remove(old)


def _remove(old: Path) -> None:
    for name in _own(old):
        (old / name).unlink(missing_ok=True)
    folders = [path for path in old.rglob("*") if path.is_dir()]
    for folder in [*sorted(folders, reverse=True), old]:
        folder.rmdir()


def _check_writable(out: Path) -> None:
    """Raise `StoreError` when `out` cannot be made where it would stand."""
    above = next(path for path in out.absolute().parents if path.exists())
    if not above.is_dir():
        raise StoreError(f"{out}: cannot be written: {above} is not a folder")
    if not os.access(above, os.W_OK):
        raise StoreError(f"{out}: cannot be written: no permission in {above}")


def _own(folder: Path) -> frozenset[str]:
    """Return the files of the report in `folder`; none when there is no report."""
    index = folder / INDEX
    if not index.is_file():
        return frozenset()
    listed = _MANIFEST.search(index.read_text(encoding="utf-8", errors="replace"))
    return frozenset([INDEX, *listed[1].split()]) if listed else frozenset()


def _unwritable(out: Path, error: OSError) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(f"{out}: cannot be written: {error.strerror or error}")
