"""Threshold: counts, per channel, how many thresholds a value has reached; every monotone activation is one."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType, integer_array


@dataclass(frozen=True, eq=False)
class Threshold(Node):
    """y = base + number of j with x >= thresholds[channel, j]; ``thresholds`` (channels, steps), each row ascending."""

    thresholds: Ints
    base: int = 0

    def __post_init__(self) -> None:
        thresholds = integer_array(self.name, "thresholds", self.thresholds, ("channels", "steps"))
        unsorted = np.flatnonzero((thresholds[:, 1:] < thresholds[:, :-1]).any(axis=1))
        if unsorted.size:
            raise GraphError(f"{self.name}: thresholds of channel {unsorted[0]} are not ascending; sort them")
        object.__setattr__(self, "thresholds", thresholds)

    def shape(self, x: TensorType) -> tuple[int, ...]:
        channels = self.thresholds.shape[0]
        if x.channels != channels:
            raise GraphError(
                f"{self.name}: has thresholds for {channels} channels, but the layer before it produces {x}; "
                "give it one row per channel"
            )
        return x.shape

    def evaluate(self, x: Ints) -> Ints:
        low, high = (int(x.min()), int(x.max())) if x.size else (0, 0)
        # Looking every code up is several times faster than searching, once the table costs less than the data.
        if x.size >= 4 * len(self.thresholds) * (high - low + 1):
            codes = np.arange(low, high + 1)[:, None]
            offsets = np.arange(len(self.thresholds)) * codes.size - low
            return self._search(np.broadcast_to(codes, (codes.size, len(self.thresholds)))).T.take(x + offsets)
        return self._search(x)

    def _search(self, x: Ints) -> Ints:
        y = np.empty(x.shape, dtype=np.int64)
        for channel, row in enumerate(self.thresholds):
            y[..., channel] = np.searchsorted(row, x[..., channel], side="right")
        return y + self.base

    def bounds(self, x: Bounds) -> Bounds:
        return Bounds(self.evaluate(x.low), self.evaluate(x.high))
