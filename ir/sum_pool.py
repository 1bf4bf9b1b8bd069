"""SumPool2d: the sum of each channel in each window; average pooling once the divisor is in the next function."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints
from .pool import Pool2d
from .windows import pad_image, reduce_windows


@dataclass(frozen=True, eq=False)
class SumPool2d(Pool2d):
    """The sum of each channel in each window; padding counts 0."""

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
