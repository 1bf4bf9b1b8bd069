"""SumPool2d: the sum of each channel in each window; average pooling once the divisor is in the next function."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType
from .windows import (
    NO_PADDING,
    Pair,
    Sides,
    checked_pair,
    checked_sides,
    count_windows,
    image_shape,
    pad_image,
    reduce_windows,
)


@dataclass(frozen=True, eq=False)
class SumPool2d(Node):
    """(height, width, channels) becomes (rows, columns, channels); padding counts 0."""

    kernel: Pair
    stride: Pair
    padding: Sides = NO_PADDING

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", checked_pair(self.name, "kernel", self.kernel))
        object.__setattr__(self, "stride", checked_pair(self.name, "stride", self.stride))
        object.__setattr__(self, "padding", checked_sides(self.name, "padding", self.padding))

    def shape(self, x: TensorType) -> tuple[int, ...]:
        height, width, channels = image_shape(self.name, x)
        size = count_windows(self.name, (height, width), self.kernel, self.stride, (1, 1), self.padding)
        return (*size, channels)

    def evaluate(self, x: Ints) -> Ints:
        return reduce_windows(np.add, pad_image(x, self.padding, 0), self.kernel, self.stride)

    def bounds(self, x: Bounds) -> Bounds:
        rows, columns = self.kernel
        top, left, bottom, right = self.padding
        if max(int(x.high.max()), -int(x.low.min())) * rows * columns >= 2**62:
            raise GraphError(f"{self.name}: its sums need more than 62 bits; lower activation_bits or kernel_size")
        fewest = max(0, rows - top - bottom) * max(0, columns - left - right)
        most = rows * columns
        return Bounds(np.minimum(x.low * fewest, x.low * most), np.maximum(x.high * fewest, x.high * most))
