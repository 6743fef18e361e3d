"""Two-dimensional convolutions of many models at once, on TensorFlow.

`tf.vectorized_map` cannot convert convolutions with a different kernel for each model,
and would run one model after another. This module has two other forms:

* grouped, if TensorFlow has oneDNN: the trials become groups of channels of one
  convolution;
* gathered, otherwise: one gather with constant indices collects the patches, and a
  batched matrix product, which can be converted, multiplies them with the kernels.

A step of 32 small networks on 8x8 images with 2 cores took 27 ms one after another, 13
ms gathered and 9 ms grouped. Patches by slices, sums over the filter's taps and XLA
were slower.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from kregkit._keras import register_converter, stacked
from kregkit.numerics import Tensor

Pair = tuple[int, int]


Form = Callable[[Tensor, Tensor], Tensor]


def convolution_forms(layers: Iterable[keras.layers.Layer]) -> list[tuple[Any, Form]]:
    """Return the layers with a form that is fast for many models, and that form.

    Only plain `Conv2D` with channels last and one group has such a form. Backends other
    than TensorFlow convert all convolutions. Do not call this during a trace.
    """
    own = [layer for layer in layers if _has_form(layer)]
    convolve = _ungrouped if own and grouped_works() else gathered
    return [
        (
            layer,
            functools.partial(
                convolve,
                strides=layer.strides,
                dilation=layer.dilation_rate,
                padding=layer.padding,
            ),
        )
        for layer in own
    ]


@contextlib.contextmanager
def batched_convolutions(found: list[tuple[Any, Form]]) -> Iterator[None]:
    """Use these forms for these layers in traces inside."""
    for layer, form in found:
        layer.convolution_op = form
    try:
        yield
    finally:
        for layer, _ in found:
            del layer.convolution_op


def gathered(
    x: Tensor, kernel: Tensor, strides: Pair, dilation: Pair, padding: str
) -> Tensor:
    """Return the convolution of one model as a product of its patches with a kernel.

    `x` is `(rows, height, width, channels)`, `kernel` `(h, w, channels, filters)`.
    """
    import tensorflow as tf

    height, width, channels = x.shape[1:]
    tall, wide, _, filters = kernel.shape
    rows = _taps(height, tall, strides[0], dilation[0], padding)
    columns = _taps(width, wide, strides[1], dilation[1], padding)
    row, column = rows[:, None, :, None], columns[None, :, None, :]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    # Taps in the padding read the zeros after the last pixel.
    index = np.where(inside, row * width + column, height * width)
    pixels = tf.reshape(x, (-1, height * width, channels))
    if not inside.all():
        pixels = tf.concat([pixels, tf.zeros_like(pixels[:, :1])], axis=1)
    patches = tf.gather(pixels, index.astype("int32").reshape(-1), axis=1)
    product = tf.matmul(
        tf.reshape(patches, (-1, tall * wide * channels)),
        tf.reshape(kernel, (-1, filters)),
    )
    return tf.reshape(product, (-1, len(rows), len(columns), filters))


@functools.cache
def grouped_works() -> bool:
    """Return whether this TensorFlow has gradients of grouped convolutions.

    They need oneDNN.
    """
    import tensorflow as tf

    if not register_converter("Conv", _grouped):
        return False

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]  # untyped
    def probe(x: Tensor, kernel: Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.vectorized_map(
                lambda own: _ungrouped(own[0], own[1], (1, 1), (1, 1), "same"),
                (x, kernel),
                fallback_to_while_loop=False,
            )
        return tape.gradient(y, [x, kernel])

    try:
        dx, dkernel = probe(tf.ones((2, 1, 3, 3, 2)), tf.ones((2, 3, 3, 2, 4)))
    except (ValueError, LookupError, tf.errors.OpError):
        return False
    return bool(dx[1, 0, 1, 1, 0] == 36.0 and dkernel[1, 1, 1, 0, 0] == 9.0)


def _has_form(layer: keras.layers.Layer) -> bool:
    return (
        keras.backend.backend() == "tensorflow"
        and type(layer) is keras.layers.Conv2D
        and layer.data_format == "channels_last"
        and layer.groups == 1
    )


def _ungrouped(
    x: Tensor, kernel: Tensor, strides: Pair, dilation: Pair, padding: str
) -> Tensor:
    """Return an operation without a kernel, which `_grouped` converts."""
    import tensorflow as tf

    return tf.raw_ops.Conv(
        input=x,
        filter=kernel,
        strides=[1, *strides, 1],
        dilations=[1, *dilation, 1],
        padding=padding.upper(),
    )


def _grouped(operation: Any) -> Any:
    """Convert `Conv` for `tf.vectorized_map`, with stacked inputs, kernels, or both."""
    import tensorflow as tf

    (x, many_inputs, _), (kernel, many_kernels, _) = map(operation.input, (0, 1))
    how = {
        "strides": [int(n) for n in operation.get_attr("strides")],
        "dilations": [int(n) for n in operation.get_attr("dilations")],
        "padding": operation.get_attr("padding").decode(),
    }
    if not many_kernels:  # the trials go into the rows
        y = tf.nn.conv2d(tf.reshape(x, (-1, *x.shape[2:])), kernel, **how)
        return stacked(tf.reshape(y, (tf.shape(x)[0], -1, *y.shape[1:])))
    trials, tall, wide, channels, filters = kernel.shape
    kernel = tf.transpose(kernel, (1, 2, 3, 0, 4))
    kernel = tf.reshape(kernel, (tall, wide, channels, trials * filters))
    if many_inputs:
        x = tf.transpose(x, (1, 2, 3, 0, 4))
        x = tf.reshape(x, (-1, *x.shape[1:3], trials * x.shape[4]))
    y = tf.nn.conv2d(x, kernel, **how)
    y = tf.reshape(y, (-1, *y.shape[1:3], trials, filters))
    return stacked(tf.transpose(y, (3, 0, 1, 2, 4)))


def _taps(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Any:
    """Return the position of each tap of each output along one axis."""
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        outputs, before = (size - reach) // stride + 1, 0
    else:
        outputs = -(-size // stride)
        before = max((outputs - 1) * stride + reach - size, 0) // 2
    first = np.arange(outputs) * stride - before
    return first[:, None] + np.arange(kernel) * dilation
