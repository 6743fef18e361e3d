"""Reads the arrays of an .npz file, after checks of their sizes.

Pickled objects are rejected, so no code in a file is run. A header may contain any
shape, and a small archive may hold terabytes of zeros. The size in a header is
therefore compared with the size in the archive, and with the free memory.
"""

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy

from kregkit.errors import DataError
from kregkit.study.data.wording import cell, listed
from kregkit.study.memory import memory

_WHOLE: Final = ("x", "y")
_PARTS: Final = ("x_train", "y_train", "x_test", "y_test")
_SPARSE: Final = {"data", "format", "shape"}
_LONGEST_HEADER: Final = 10_000
"""The maximum bytes of a header: NumPy's limit for files that are not trusted."""

_DAMAGED: Final = (
    *(OSError, EOFError, ValueError, KeyError, NotImplementedError, TypeError),
    *(AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError),
)
"""The errors of NumPy and zipfile for damaged files; RuntimeError is for an encrypted
file, or a header that is nested too deeply."""


def read_npz(file: Path) -> list[Any]:
    """Return x and y, and x and y of the test part if the file has one."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {
                info.filename.removesuffix(".npy"): info for info in archive.infolist()
            }
            chosen = _chosen(file, members)
            needed = sum(_checked(file, archive, members[name]) for name in chosen)
            if needed > (left := memory()):
                raise DataError(
                    f"{file}: {' and '.join(chosen)} need {needed >> 20} MiB of "
                    f"memory; {left >> 20} MiB are left."
                )
        with np.load(file, allow_pickle=False) as arrays:
            return [np.asarray(arrays[name]) for name in chosen]
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{file}: no such file.") from None
    except MemoryError:
        raise DataError(f"{file}: needs more memory than there is.") from None
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{file}: cannot be read: {error.strerror}.") from None
        raise DataError(f"{file}: damaged, or not an .npz file.") from None


def shape_of_x(opened: IO[bytes]) -> tuple[tuple[int, ...], str]:
    """Return the shape and kind of x from its header; (), "" if it is not readable."""
    try:
        with zipfile.ZipFile(opened) as archive:
            own = {"x.npy", "x_train.npy"} & set(archive.namelist())
            with archive.open(min(own, default="x.npy")) as member:
                shape, dtype, _ = _header(member)
    except _DAMAGED:
        return (), ""
    return shape, dtype.kind


def _chosen(file: Path, names: Iterable[str]) -> tuple[str, ...]:
    own = set(names)
    for expected in (_PARTS, _WHOLE):
        # With x, y and x_test, the test part would be ambiguous.
        if own & {*_PARTS, *_WHOLE} == set(expected):
            return expected
    holds = listed([cell(name).strip("'\"") for name in sorted(own)]) or "nothing"
    if own >= _SPARSE:
        holds += " (a sparse matrix of SciPy: save x.toarray() and y by numpy.savez)"
    raise DataError(
        f"{file}: must hold x and y, or x_train, y_train, x_test and y_test; holds "
        f"{holds}."
    )


def _checked(file: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Return the size of an array from its header, if it equals the archive's."""
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as opened:
        shape, dtype, header = _header(opened)
    if dtype.hasobject:
        raise DataError(
            f"{file}: {name} holds Python objects, which are not loaded; save numbers, "
            "or words by astype(str); of a sparse matrix save toarray()."
        )
    size, held = math.prod(shape) * dtype.itemsize, info.file_size - header
    if min(shape, default=0) < 0 or size != held:
        raise DataError(
            f"{file}: damaged: {name} of shape {cell(shape)} and {dtype} takes "
            f"{cell(size)} bytes; the file holds {held}."
        )
    return size


def _header(opened: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape, the type, and the length of the header."""
    start = io.BytesIO(opened.read(_LONGEST_HEADER))
    first = npy.read_magic(start) == (1, 0)
    read = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
    shape, _, dtype = read(start)
    return shape, dtype, start.tell()
