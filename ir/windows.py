"""Windows that slide over the pixels of a frame: their sizes, padding, and functions over each of them."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import index

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .graph import TensorType

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
NO_PADDING: Sides = (0, 0, 0, 0)


def checked_integers(owner: str, what: str, values: Sequence[int], meaning: Sequence[str], least: int) -> tuple:
    """``values`` as a tuple of Python ints; raises GraphError unless they are one each of ``meaning``, >= least."""
    try:
        found = tuple(index(value) for value in values)
    except TypeError:
        found = ()
    if len(found) != len(meaning) or min(found) < least:
        raise GraphError(f"{owner}: {what} is {values}, need ({', '.join(meaning)}), integers of at least {least}")
    return found


def checked_pair(owner: str, what: str, values: Sequence[int], least: int = 1) -> Pair:
    return checked_integers(owner, what, values, ("vertical", "horizontal"), least)


def checked_sides(owner: str, what: str, values: Sequence[int]) -> Sides:
    return checked_integers(owner, what, values, ("top", "left", "bottom", "right"), 0)


def image_shape(owner: str, x: TensorType) -> tuple[int, int, int]:
    """(height, width, channels); raises GraphError where ``x`` has no pixels."""
    if len(x.shape) != 3:
        raise GraphError(
            f"{owner}: takes an image (height, width, channels), but the layer before it produces {x}; "
            "move it before the layer that flattens"
        )
    return x.shape


def count_windows(owner: str, size: Pair, kernel: Pair, stride: Pair, dilation: Pair, padding: Sides) -> Pair:
    """(rows, columns) of windows on an image of ``size``; raises GraphError if not even one fits."""
    padded = (size[0] + padding[0] + padding[2], size[1] + padding[1] + padding[3])
    spans = tuple((kernel[axis] - 1) * dilation[axis] + 1 for axis in (0, 1))
    if spans[0] > padded[0] or spans[1] > padded[1]:
        raise GraphError(
            f"{owner}: windows of {spans[0]}x{spans[1]} pixels do not fit the padded image of {padded[0]}x{padded[1]}; "
            "lower kernel_size or dilation, or pad more"
        )
    return (padded[0] - spans[0]) // stride[0] + 1, (padded[1] - spans[1]) // stride[1] + 1


def pad_image(x: NDArray, padding: Sides, value: int) -> NDArray:
    """``x`` (frames, height, width, channels) with ``value`` around it."""
    if padding == NO_PADDING:
        return x
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def view_windows(x: NDArray, kernel: Pair, stride: Pair, dilation: Pair) -> NDArray:
    """A view (frames, rows, columns, *kernel, channels) of ``x`` (frames, height, width, channels)."""
    spans = tuple((kernel[axis] - 1) * dilation[axis] + 1 for axis in (0, 1))
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(1, 2))
    strided = windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return strided.transpose(0, 1, 2, 4, 5, 3)


def reduce_windows(function: Callable[..., NDArray], x: NDArray, kernel: Pair, stride: Pair) -> NDArray:
    """An associative ``function`` of two arrays over all pixels of each window: first the rows, then the columns."""
    for axis in (1, 2):
        size, step = kernel[axis - 1], stride[axis - 1]
        span = (x.shape[axis] - size) // step * step + 1
        before = (slice(None),) * axis
        x = reduce(function, (x[(*before, slice(first, first + span, step))] for first in range(size)))
    return x


def padded_taps(kernel: Pair, dilation: Pair, padding: Sides) -> NDArray[np.bool_]:
    """Which pixels of a window, shape ``kernel``, can lie in the padding of some image."""
    rows, columns = (
        [
            position * dilation[axis] < padding[axis] or (size - 1 - position) * dilation[axis] < padding[axis + 2]
            for position in range(size)
        ]
        for axis, size in enumerate(kernel)
    )
    return np.logical_or.outer(rows, columns)
