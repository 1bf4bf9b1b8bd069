"""MaxPool2d: the largest value of each channel in each window."""

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
class MaxPool2d(Node):
    """(height, width, channels) becomes (rows, columns, channels); padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Sides = NO_PADDING

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", checked_pair(self.name, "kernel", self.kernel))
        object.__setattr__(self, "stride", checked_pair(self.name, "stride", self.stride))
        object.__setattr__(self, "padding", checked_sides(self.name, "padding", self.padding))

    def shape(self, x: TensorType) -> tuple[int, ...]:
        height, width, channels = image_shape(self.name, x)
        rows, columns = count_windows(self.name, (height, width), self.kernel, self.stride, (1, 1), self.padding)
        last = ((rows - 1) * self.stride[0], (columns - 1) * self.stride[1])
        top, left = self.padding[:2]
        if top >= self.kernel[0] or left >= self.kernel[1] or last[0] - top >= height or last[1] - left >= width:
            raise GraphError(
                f"{self.name}: padding {self.padding} leaves windows of {self.kernel[0]}x{self.kernel[1]} that "
                f"see no pixel of the {height}x{width} image; pad less than the kernel"
            )
        return (rows, columns, channels)

    def evaluate(self, x: Ints) -> Ints:
        padded = pad_image(x, self.padding, np.iinfo(np.int64).min)
        return reduce_windows(np.maximum, padded, self.kernel, self.stride)

    def bounds(self, x: Bounds) -> Bounds:
        return x
