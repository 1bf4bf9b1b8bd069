"""ConvTranspose2d: every pixel adds a window of weights to the output; subpixel.py turns it into a Conv2d."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType, integer_array
from .products import exact_dtype, largest_magnitude, largest_sum, reach_of_products
from .windows import NO_PADDING, Pair, Sides, checked_pair, checked_sides, image_shape


@dataclass(frozen=True, eq=False)
class ConvTranspose2d(Node):
    """Pixel i adds weights[:, k] x to the output's pixel i * stride + k - padding, vertically and horizontally.

    ``weights`` (outputs, kernel rows, kernel columns, inputs). ``padding`` (top, left, bottom, right) crops the full
    result; ``output_padding`` (vertical, horizontal) adds pixels at the bottom and right again.
    """

    weights: Ints
    stride: Pair = (1, 1)
    padding: Sides = NO_PADDING
    output_padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        axes = ("outputs", "kernel rows", "kernel columns", "inputs")
        object.__setattr__(self, "weights", integer_array(self.name, "weights", self.weights, axes))
        object.__setattr__(self, "stride", checked_pair(self.name, "stride", self.stride))
        object.__setattr__(self, "padding", checked_sides(self.name, "padding", self.padding))
        object.__setattr__(
            self, "output_padding", checked_pair(self.name, "output_padding", self.output_padding, least=0)
        )

    @property
    def kernel(self) -> Pair:
        return self.weights.shape[1], self.weights.shape[2]

    def shape(self, x: TensorType) -> tuple[int, ...]:
        height, width, channels = image_shape(self.name, x)
        if channels != self.weights.shape[3]:
            raise GraphError(
                f"{self.name}: weights take {self.weights.shape[3]} channels, but the layer before it produces {x}; "
                "change the layer's in_channels"
            )
        size = self.output_size((height, width))
        if min(size) < 1:
            raise GraphError(f"{self.name}: its padding {self.padding} crops the whole result; pad less")
        return (*size, self.weights.shape[0])

    def output_size(self, size: Pair) -> Pair:
        rows, columns = (
            (size[axis] - 1) * self.stride[axis]
            + self.kernel[axis]
            - self.padding[axis]
            - self.padding[axis + 2]
            + self.output_padding[axis]
            for axis in (0, 1)
        )
        return rows, columns

    def evaluate(self, x: Ints) -> Ints:
        frames, height, width, _ = x.shape
        rows, columns = self.output_size((height, width))
        top, left = self.padding[:2]
        dtype = exact_dtype(largest_sum(self.weights, largest_magnitude(x)))
        weights, x = self.weights.astype(dtype), x.astype(dtype)
        full = [(x.shape[axis + 1] - 1) * self.stride[axis] + self.kernel[axis] for axis in (0, 1)]
        y = np.zeros((frames, max(full[0], top + rows), max(full[1], left + columns), len(weights)), dtype=np.int64)
        for i, j in product(*map(range, self.kernel)):
            pixels = y[:, i : i + full[0] - self.kernel[0] + 1 : self.stride[0]]
            pixels = pixels[:, :, j : j + full[1] - self.kernel[1] + 1 : self.stride[1]]
            pixels += (x @ weights[:, i, j].T).astype(np.int64)
        return y[:, top : top + rows, left : left + columns]

    def bounds(self, x: Bounds) -> Bounds:
        """Those of its Conv2d in subpixel.py: exact if no channel is above or below 0 throughout."""
        if largest_sum(self.weights, max(int(x.high.max()), -int(x.low.min()))) >= 2**62:
            raise GraphError(f"{self.name}: its sums need more than 62 bits; lower weight_bits or activation_bits")
        # Those of one tap, (outputs, *kernel); near the border some taps have no pixel and add 0.
        found = reach_of_products(self.weights, x.low, x.high)
        absent = np.logical_or.outer(*(self._absent(axis) for axis in (0, 1)))
        low = np.where(absent, np.minimum(found.low, 0), found.low)
        high = np.where(absent, np.maximum(found.high, 0), found.high)
        rows, columns = self.stride
        phases = [
            (slice(None), slice(i, None, rows), slice(j, None, columns)) for i in range(rows) for j in range(columns)
        ]
        return Bounds(
            np.min([low[phase].sum(axis=(1, 2)) for phase in phases], axis=0),
            np.max([high[phase].sum(axis=(1, 2)) for phase in phases], axis=0),
        )

    def _absent(self, axis: int) -> list[bool]:
        """By tap of one axis: whether it can lie outside of the image for some pixel in a block of the output."""
        size, stride = self.kernel[axis], self.stride[axis]
        first, last = self.padding[axis], size - 1 - self.padding[axis + 2] + self.output_padding[axis]
        return [tap // stride > first // stride or tap // stride < last // stride for tap in range(size)]
