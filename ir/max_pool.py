"""MaxPool2d: the largest value of each channel in each window."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, TensorType
from .pool import Pool2d
from .windows import pad_image, reduce_windows


@dataclass(frozen=True, eq=False)
class MaxPool2d(Pool2d):
    """The largest value of each channel in each window; padding never wins."""

    def shape(self, x: TensorType) -> tuple[int, ...]:
        rows, columns, channels = super().shape(x)
        height, width = x.shape[:2]
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
