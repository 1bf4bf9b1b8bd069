"""Pad: a frame of constant pixels around an image."""

from dataclasses import dataclass

import numpy as np

from .graph import Bounds, Ints, Node, TensorType
from .windows import Sides, checked_sides, image_shape, pad_image


@dataclass(frozen=True, eq=False)
class Pad(Node):
    """``padding`` (top, left, bottom, right) pixels more, ``value`` in each of their channels."""

    padding: Sides
    value: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "padding", checked_sides(self.name, "padding", self.padding))

    def shape(self, x: TensorType) -> tuple[int, ...]:
        height, width, channels = image_shape(self.name, x)
        top, left, bottom, right = self.padding
        return (height + top + bottom, width + left + right, channels)

    def evaluate(self, x: Ints) -> Ints:
        return pad_image(x, self.padding, self.value)

    def bounds(self, x: Bounds) -> Bounds:
        if not any(self.padding):
            return x
        return Bounds(np.minimum(x.low, self.value), np.maximum(x.high, self.value))
