"""Windows that slide over an image: where they lie, and what they hold."""

from dataclasses import dataclass, replace

import numpy as np

from ..ir.conv2d import Conv2d
from ..ir.graph import Ints, IntType, Node, TensorType
from ..ir.pool import Pool2d
from ..ir.windows import NO_PADDING, Pair, Sides, pad_image, view_windows


@dataclass(frozen=True)
class Sliding:
    """Windows of ``rows`` x ``columns`` places on an image (height, width, channels)."""

    image: TensorType
    rows: int
    columns: int
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Sides
    pad_value: int

    @property
    def dtype(self) -> IntType:
        """Holds the padding too."""
        dtype, value = self.image.dtype, self.pad_value if any(self.padding) else 0
        return IntType.of_range(min(dtype.low, value), max(dtype.high, value))

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def places(self) -> int:
        return self.rows * self.columns

    @property
    def ends(self) -> Ints:
        """(windows,), the number of each window's last pixel, as if lines went on into the next ones."""
        spans = [(size - 1) * apart for size, apart in zip(self.kernel, self.dilation, strict=True)]
        rows = np.arange(self.rows) * self.stride[0] - self.padding[0] + spans[0]
        columns = np.arange(self.columns) * self.stride[1] - self.padding[1] + spans[1]
        return np.add.outer(rows * self.image.shape[1], columns).ravel()

    @property
    def is_in_order(self) -> bool:
        """Whether windows start within the image, or at most one frame before it, and none ends before it."""
        (height, width, _), (top, left, _, _) = self.image.shape, self.padding
        last_row, last_column = (self.rows - 1) * self.stride[0], (self.columns - 1) * self.stride[1]
        starts = last_row < height and last_column < width and top * width + left < height * width
        return starts and int(self.ends[0]) >= 0

    def cut(self, codes: Ints) -> Ints:
        """(frames, height, width, channels) becomes (frames, rows, columns, *kernel, channels)."""
        return view_windows(pad_image(codes, self.padding, self.pad_value), self.kernel, self.stride, self.dilation)

    def pad(self) -> "Sliding":
        """The same windows over the padded image."""
        height, width, channels = self.image.shape
        top, left, bottom, right = self.padding
        image = TensorType((height + top + bottom, width + left + right, channels), self.dtype)
        return replace(self, image=image, padding=NO_PADDING)


def sliding_of(node: Node, source: TensorType) -> Sliding:
    """The windows that an operator sees, as its stages do: over the padded image where its own are out of order."""
    assert isinstance(node, Conv2d | Pool2d)
    rows, columns, _ = node.shape(source)
    dilation = node.dilation if isinstance(node, Conv2d) else (1, 1)
    sliding = Sliding(source, rows, columns, node.kernel, node.stride, dilation, node.padding, 0)
    return sliding if sliding.is_in_order else sliding.pad()
