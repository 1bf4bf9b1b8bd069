"""Upsample2d: every pixel repeated, to the nearest neighbour's value."""

from dataclasses import dataclass

from .graph import Bounds, Ints, Node, TensorType
from .windows import Pair, checked_pair, image_shape


@dataclass(frozen=True, eq=False)
class Upsample2d(Node):
    """y[i, j] = x[i // factor[0], j // factor[1]]."""

    factor: Pair

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", checked_pair(self.name, "factor", self.factor))

    def shape(self, x: TensorType) -> tuple[int, ...]:
        height, width, channels = image_shape(self.name, x)
        return (height * self.factor[0], width * self.factor[1], channels)

    def evaluate(self, x: Ints) -> Ints:
        return x.repeat(self.factor[0], axis=1).repeat(self.factor[1], axis=2)

    def bounds(self, x: Bounds) -> Bounds:
        return x
