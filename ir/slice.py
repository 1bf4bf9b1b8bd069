"""Slice: a box cut out of a tensor."""

from dataclasses import dataclass

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType
from .windows import checked_integers


@dataclass(frozen=True, eq=False)
class Slice(Node):
    """What lies from ``start``, included, to ``stop``, not included; one entry for each axis of the input."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        for what in ("start", "stop"):
            values = getattr(self, what)
            axes = [f"axis {axis}" for axis in range(max(1, len(values)))]
            object.__setattr__(self, what, checked_integers(self.name, what, values, axes, 0))

    def shape(self, x: TensorType) -> tuple[int, ...]:
        fits = len(self.start) == len(self.stop) == len(x.shape)
        if not fits or any(
            not first < last <= size for first, last, size in zip(self.start, self.stop, x.shape, strict=True)
        ):
            raise GraphError(
                f"{self.name}: cuts {list(self.start)} to {list(self.stop)} out of {x}; "
                "give a start below a stop within the shape, for each axis"
            )
        return tuple(last - first for first, last in zip(self.start, self.stop))

    def evaluate(self, x: Ints) -> Ints:
        box = (slice(first, last) for first, last in zip(self.start, self.stop))
        return x[(slice(None), *box)]

    def bounds(self, x: Bounds) -> Bounds:
        channels = slice(self.start[-1], self.stop[-1])
        return Bounds(x.low[channels], x.high[channels])
