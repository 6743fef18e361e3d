"""What TensorFlow does not tell in public of graphs and of `vectorized_map`."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


def functions_of(graph: Any) -> Iterator[Any]:
    """Yield the graphs of the functions that a TensorFlow graph calls.

    `graph.as_graph_def()` is public and has them as messages, without their shapes.
    """
    for name in graph._functions:
        inner = getattr(graph._get_function(name), "graph", None)
        if inner is not None:
            yield inner


def register_converter(operation: str, convert: Callable[[Any], Any]) -> bool:
    """Tell `tf.vectorized_map` how an operation is done for many; return if it could.

    The registry of converters is not public. What is registered first stays.
    """
    try:
        from tensorflow.python.ops.parallel_for.pfor import RegisterPFor
    except ImportError:
        return False
    with contextlib.suppress(AssertionError):  # registered before
        RegisterPFor(operation)(convert)
    return True


def stacked(tensor: Any) -> Any:
    """Return a tensor as what a converter returns for many: one for each of them."""
    from tensorflow.python.ops.parallel_for.pfor import wrap

    return wrap(tensor, True)
