"""Converts the data that `fit` accepts to arrays, and takes batches of rows."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit.errors import ParameterError, must
from kregkit.numerics import Tensor

_ARRAYS = "an array, or a list or dictionary of arrays"


def arrays(owner: str, name: str, data: Any) -> Any:
    """Return data as arrays in the same structure.

    As in `fit`, a pandas `Series` is a column. SciPy sparse matrices stay sparse.

    Raises:
        ParameterError: the data have no rows or no numbers; they are a dataset, a
            generator, or something that `fit` rejects, such as a list of numbers.
    """
    if isinstance(data, list | tuple):
        found = [arrays(owner, f"{name}[{i}]", own) for i, own in enumerate(data)]
        return found if isinstance(data, list) else tuple(found)
    if isinstance(data, dict):
        return {key: arrays(owner, f"{name}[{key!r}]", d) for key, d in data.items()}
    return None if data is None else _array(owner, name, data)


def count(owner: str, **data: Any) -> int:
    """Return the number of rows, which must be the same for all data.

    Raises:
        ParameterError: the numbers of rows differ, or are zero.
    """
    first, *others = data
    counts = {len_of(leaf) for leaf in _leaves(data[first])}
    for name in (first, *others):
        counts |= {len_of(leaf) for leaf in _leaves(data[name])}
        if len(counts) != 1 or counts == {0}:
            name = others[0] if name == first and others else name
            rule = f"of as many rows as `{first}`, at least one"
            raise ParameterError(must(owner, name, rule, sorted(counts)))
    return counts.pop()


def len_of(leaf: Any) -> int:
    """Return the number of rows of a dense or sparse array."""
    return int(leaf.shape[0])


def take(data: Any, rows: Any) -> Any:
    """Return these rows of data as dense tensors."""
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else tensor(leaf[rows]), data
    )


def tensor(leaf: Any) -> Tensor:
    """Return an array as a tensor, as in `fit`: floats become floatx."""
    leaf = leaf.toarray() if _is_sparse(leaf) else np.asarray(leaf)
    floats = np.issubdtype(leaf.dtype, np.floating)
    return ops.convert_to_tensor(leaf, keras.config.floatx() if floats else None)


def of_classes(owner: str, y: Any, weights: dict[int, float]) -> Any:
    """Return the weight of each row by its class, as `fit` does; 1 for other classes.

    Raises:
        ParameterError: the targets are not one array of classes or of one-hot rows.
    """
    y = arrays(owner, "y", y)
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "biuf" or y.ndim > 2:
        rule = "one array of classes or of one-hot rows, for `class_weight`"
        raise ParameterError(must(owner, "y", rule, y))
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
    return np.array([weights.get(int(own), 1.0) for own in np.round(y)])


def _leaves(data: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(data) if leaf is not None]


def _is_sparse(leaf: Any) -> bool:
    return type(leaf).__module__.startswith("scipy.sparse")


def _array(owner: str, name: str, data: Any) -> Any:
    if _is_sparse(data):
        return data.tocsr()
    kind = f"{type(data).__module__}.{type(data).__qualname__}"
    if isinstance(data, int | float | np.generic):
        outer = name.partition("[")[0]
        received = "a list of numbers: convert it with np.array"
        raise _refused(owner, outer, _ARRAYS, received)
    if kind.endswith("SparseTensor") or not hasattr(data, "__array__"):
        raise _refused(owner, name, _ARRAYS, kind)
    pandas = type(data).__module__.partition(".")[0] == "pandas"
    if pandas and data.ndim == 2:
        for column, own in data.items():
            if own.dtype.kind not in "biuf":
                where = f"column {column!r} of {own.dtype}"
                raise _refused(owner, name, "numbers", where)
    if hasattr(data, "detach"):  # a PyTorch tensor
        data = data.detach().cpu()
    found = np.asarray(data)
    if found.dtype.name == "bfloat16":
        found = found.astype("float32")
    words = found.dtype.kind in "US" or (
        found.dtype.kind == "O" and all(isinstance(v, str | bytes) for v in found.flat)
    )
    if found.dtype.kind not in "biuf" and not words:
        raise _refused(owner, name, "numbers", f"{kind} of {found.dtype}")
    if not found.ndim:
        raise _refused(owner, name, _ARRAYS, repr(data))
    return found[:, None] if pandas and found.ndim == 1 else found


def _refused(owner: str, name: str, rule: str, received: str) -> ParameterError:
    return ParameterError(f"{owner}: `{name}` must be {rule}; received {received}.")
