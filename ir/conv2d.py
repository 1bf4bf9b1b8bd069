"""Conv2d: a matrix of integer weights times each window of an image."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType, integer_array
from .products import exact_dtype, largest_magnitude, largest_sum, reach_of_products
from .windows import (
    NO_PADDING,
    Pair,
    Sides,
    checked_pair,
    checked_sides,
    count_windows,
    image_shape,
    pad_image,
    padded_taps,
    view_windows,
)

CHUNK_BYTES = 1 << 26  # of windows laid out side by side


@dataclass(frozen=True, eq=False)
class Conv2d(Node):
    """(height, width, inputs) becomes (rows, columns, outputs): weights times window, summed over all its pixels.

    ``weights`` (outputs, kernel rows, kernel columns, inputs // groups); output o takes the inputs of group
    o // (outputs // groups) alone. Pairs are (vertical, horizontal), ``padding`` is (top, left, bottom, right), and
    every channel of a padded pixel is ``pad_value``.
    """

    weights: Ints
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Sides = NO_PADDING
    pad_value: int = 0
    groups: int = 1

    def __post_init__(self) -> None:
        axes = ("outputs", "kernel rows", "kernel columns", "inputs of a group")
        object.__setattr__(self, "weights", integer_array(self.name, "weights", self.weights, axes))
        object.__setattr__(self, "stride", checked_pair(self.name, "stride", self.stride))
        object.__setattr__(self, "dilation", checked_pair(self.name, "dilation", self.dilation))
        object.__setattr__(self, "padding", checked_sides(self.name, "padding", self.padding))
        if self.groups < 1 or self.outputs % self.groups:
            raise GraphError(
                f"{self.name}: its {self.outputs} outputs do not divide into {self.groups} groups; "
                "make out_channels a multiple of groups"
            )

    @property
    def outputs(self) -> int:
        return self.weights.shape[0]

    @property
    def channels(self) -> int:
        """The channels of its input."""
        return self.weights.shape[3] * self.groups

    @property
    def kernel(self) -> Pair:
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel goes alone, none together with another."""
        return self.groups > 1 and self.groups == self.channels == self.outputs

    def shape(self, x: TensorType) -> tuple[int, ...]:
        height, width, channels = image_shape(self.name, x)
        if channels != self.channels:
            raise GraphError(
                f"{self.name}: weights take {self.channels} channels, but the layer before it produces {x}; "
                "change the layer's in_channels or groups"
            )
        size = count_windows(self.name, (height, width), self.kernel, self.stride, self.dilation, self.padding)
        return (*size, self.outputs)

    def evaluate(self, x: Ints) -> Ints:
        largest = max(largest_magnitude(x), abs(self.pad_value) if any(self.padding) else 0)
        dtype = exact_dtype(largest_sum(self.weights, largest))
        size = count_windows(self.name, x.shape[1:3], self.kernel, self.stride, self.dilation, self.padding)
        y = np.empty((len(x), *size, self.outputs), dtype=np.int64)
        # (groups, weights of one output, outputs of a group)
        weights = self.weights.reshape(self.groups, self.outputs // self.groups, -1).transpose(0, 2, 1).astype(dtype)
        frame_bytes = size[0] * size[1] * self.groups * weights.shape[1] * weights.itemsize
        frames = max(1, CHUNK_BYTES // frame_bytes)
        for first in range(0, len(x), frames):
            chunk = pad_image(x[first : first + frames].astype(dtype), self.padding, self.pad_value)
            y[first : first + frames] = self._multiply(chunk, weights, y.shape[1:])
        return y

    def _multiply(self, x: np.ndarray, weights: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        windows = view_windows(x, self.kernel, self.stride, self.dilation)
        grouped = windows.reshape(*windows.shape[:-1], self.groups, -1) if self.groups > 1 else windows[..., None, :]
        columns = grouped.transpose(5, 0, 1, 2, 3, 4, 6).reshape(self.groups, -1, weights.shape[1])
        products = columns @ weights  # (groups, windows, outputs of a group)
        return products.transpose(1, 0, 2).reshape(-1, *shape)

    def bounds(self, x: Bounds) -> Bounds:
        """Exact if the image is larger than its windows and pad_value is one of the values that every input has."""
        largest = max(int(x.high.max()), -int(x.low.min()), abs(self.pad_value) if any(self.padding) else 0)
        if largest_sum(self.weights, largest) >= 2**62:
            raise GraphError(f"{self.name}: its sums need more than 62 bits; lower weight_bits or activation_bits")
        # Of each tap, (outputs, *kernel): its inputs lie all in the image or all in the padding.
        found = reach_of_products(self.weights, self._of_outputs(x.low), self._of_outputs(x.high))
        padded, outside = (
            padded_taps(self.kernel, self.dilation, self.padding),
            self.weights.sum(axis=-1) * self.pad_value,
        )
        low = np.where(padded, np.minimum(found.low, outside), found.low)
        high = np.where(padded, np.maximum(found.high, outside), found.high)
        return Bounds(low.sum(axis=(1, 2)), high.sum(axis=(1, 2)))

    def _of_outputs(self, values: Ints) -> Ints:
        """(outputs, 1, 1, inputs of a group) of what each channel of the input has."""
        return values.reshape(self.groups, 1, 1, -1).repeat(self.outputs // self.groups, axis=0)
