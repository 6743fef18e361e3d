"""Private parts of TensorFlow: functions of graphs, converters of `vectorized_map`."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


def functions_of(graph: Any) -> Iterator[Any]:
    """Yield the graphs of the functions that a TensorFlow graph calls.

    The public `graph.as_graph_def()` has them as messages without shapes.
    """
    for name in graph._functions:
        inner = getattr(graph._get_function(name), "graph", None)
        if inner is not None:
            yield inner


def register_converter(operation: str, convert: Callable[[Any], Any]) -> bool:
    """Register the vectorized form of an operation; return False if it fails.

    The registry of converters is not public. The first registration is kept.
    """
    try:
        from tensorflow.python.ops.parallel_for.pfor import RegisterPFor
    except ImportError:
        return False
    with contextlib.suppress(AssertionError):  # registered before
        RegisterPFor(operation)(convert)
    return True


def stacked(tensor: Any) -> Any:
    """Return a stacked tensor in the form that a converter must return."""
    from tensorflow.python.ops.parallel_for.pfor import wrap

    return wrap(tensor, True)
