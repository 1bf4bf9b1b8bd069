"""Flatten: lays the pixels of a frame side by side as channels."""

from dataclasses import dataclass
from math import prod

from .graph import Bounds, Ints, Node, TensorType


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """(height, width, channels) becomes (height * width * channels,), the channels of the first pixel first."""

    def shape(self, x: TensorType) -> tuple[int, ...]:
        return (prod(x.shape),)

    def evaluate(self, x: Ints) -> Ints:
        return x.reshape(x.shape[0], prod(x.shape[1:]))

    def bounds(self, x: Bounds) -> Bounds:
        return x
