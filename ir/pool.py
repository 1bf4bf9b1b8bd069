"""What pools have in common: windows over each channel of an image by itself."""

from dataclasses import dataclass

from .graph import Node, TensorType
from .windows import NO_PADDING, Pair, Sides, checked_pair, checked_sides, count_windows, image_shape


@dataclass(frozen=True, eq=False)
class Pool2d(Node):
    """(height, width, channels) becomes (rows, columns, channels).

    Pairs are (vertical, horizontal), ``padding`` is (top, left, bottom, right).
    """

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
