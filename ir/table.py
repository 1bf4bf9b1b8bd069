"""Table: looks the result up, per channel; any function of few codes is one."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType, integer_array


@dataclass(frozen=True, eq=False)
class Table(Node):
    """y = values[channel, x - first]; ``values`` (channels, codes), ``first`` the lowest code the table covers."""

    values: Ints
    first: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", integer_array(self.name, "values", self.values, ("channels", "codes")))

    @property
    def last(self) -> int:
        """The highest code the table covers."""
        return self.first + self.values.shape[1] - 1

    def shape(self, x: TensorType) -> tuple[int, ...]:
        channels = self.values.shape[0]
        if x.channels != channels:
            raise GraphError(
                f"{self.name}: has tables for {channels} channels, but the layer before it produces {x}; "
                "give it one row per channel"
            )
        return x.shape

    def evaluate(self, x: Ints) -> Ints:
        self._covers(x)
        return self.values[np.arange(self.values.shape[0]), x - self.first]

    def bounds(self, x: Bounds) -> Bounds:
        self._covers(x.low)
        self._covers(x.high)
        rows = [row[low - self.first : high - self.first + 1] for row, low, high in zip(self.values, x.low, x.high)]
        return Bounds(np.array([row.min() for row in rows]), np.array([row.max() for row in rows]))

    def _covers(self, x: Ints) -> None:
        if x.size and (x.min() < self.first or x.max() > self.last):
            found = f"{x.min()}..{x.max()}"
            raise GraphError(f"{self.name}: covers {self.first}..{self.last}, but {found} come in; extend the table")
