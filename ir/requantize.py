"""Requantize: multiply, add, shift and clip, per channel."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType, integer_array


@dataclass(frozen=True, eq=False)
class Requantize(Node):
    """y = clip((x * multiplier + addend) >> shift, low, high), rounding down; one multiplier and addend per channel."""

    multiplier: Ints
    addend: Ints
    shift: int
    low: int
    high: int

    def __post_init__(self) -> None:
        for what in ("multiplier", "addend"):
            array = integer_array(self.name, f"{what} values", getattr(self, what), ("channels",))
            object.__setattr__(self, what, array)
        if self.multiplier.shape != self.addend.shape:
            raise GraphError(
                f"{self.name}: has {self.multiplier.size} multipliers, but {self.addend.size} addends; "
                "give one of each per channel"
            )
        if not 0 <= self.shift <= 62:
            raise GraphError(f"{self.name}: shifts right by {self.shift} bits; 0 to 62 are possible")
        if self.low > self.high:
            raise GraphError(f"{self.name}: clips to {self.low}..{self.high}; swap the two limits")

    def shape(self, x: TensorType) -> tuple[int, ...]:
        if x.channels != self.multiplier.size:
            raise GraphError(
                f"{self.name}: has multipliers for {self.multiplier.size} channels, but the layer before it produces "
                f"{x}; give it one per channel"
            )
        return x.shape

    def evaluate(self, x: Ints) -> Ints:
        return np.clip((x * self.multiplier + self.addend) >> self.shift, self.low, self.high)

    def bounds(self, x: Bounds) -> Bounds:
        for low, high, factor, term in zip(x.low, x.high, self.multiplier, self.addend, strict=True):
            if max(abs(int(low) * int(factor)), abs(int(high) * int(factor))) + abs(int(term)) >= 2**62:
                raise GraphError(f"{self.name}: its products need more than 62 bits; lower multiplier and shift")
        ends = self.evaluate(x.low), self.evaluate(x.high)
        return Bounds(np.minimum(*ends), np.maximum(*ends))
