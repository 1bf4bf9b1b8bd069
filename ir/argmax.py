"""ArgMax: the index of the largest channel."""

from dataclasses import dataclass

import numpy as np

from .graph import Bounds, Ints, Node, TensorType


@dataclass(frozen=True, eq=False)
class ArgMax(Node):
    """(..., channels) becomes (..., 1): the index of the largest channel of each pixel, the first one on a tie."""

    def shape(self, x: TensorType) -> tuple[int, ...]:
        return (*x.shape[:-1], 1)

    def evaluate(self, x: Ints) -> Ints:
        return x.argmax(axis=-1, keepdims=True).astype(np.int64)

    def bounds(self, x: Bounds) -> Bounds:
        # A channel wins if it can reach what all others reach at least, and pass those before it.
        earlier = np.maximum.accumulate(np.concatenate(([x.low[0] - 1], x.low[:-1])))
        wins = np.flatnonzero((x.high >= x.low.max()) & (x.high > earlier))
        return Bounds(wins[:1], wins[-1:])
