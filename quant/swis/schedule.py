"""Shifts for each filter of a layer, many where few would cost much, so that their average is what was asked for."""

from dataclasses import dataclass
from heapq import heapify, heapreplace
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .decompose import Ints, Reals

ROUNDING = 1e-9  # of an average such as 2.1 times the filters


def sort_filters(errors: Reals, average: float) -> Ints:
    """The filters, (filters,), so that those with equally many shifts are neighbours, fewest first.

    errors: (filters, positions), of 1 shift on. From all positions on, the filter that it costs least loses a shift,
    until the average is met.
    """
    filters, positions = errors.shape
    shifts = np.full(filters, positions)
    falls = [(_fall(errors, index, positions), index) for index in range(filters)]
    heapify(falls)
    for _ in range(filters * positions - floor(average * filters + ROUNDING)):
        index = falls[0][1]
        shifts[index] -= 1
        heapreplace(falls, (_fall(errors, index, int(shifts[index])), index))
    return np.argsort(shifts, kind="stable")


def _fall(errors: Reals, index: int, shifts: int) -> float:
    """What one shift less costs the filter."""
    return float(errors[index, shifts - 2] - errors[index, shifts - 1]) if shifts > 1 else np.inf


def share_shifts(errors: Reals, average: float, step: int = 1) -> Ints:
    """The shifts of each tile, (tiles,), multiples of ``step``, with the least error in all.

    errors: (tiles, positions), of 1 shift on. The average over the tiles is ``average`` exactly, or where no shifts
    give it, the next one below.
    """
    tiles, positions = errors.shape
    total = floor(average * tiles / step + ROUNDING) * step
    choices = range(step, min(positions, total) + 1, step)
    least, chosen = np.full(total + 1, np.inf), np.zeros((tiles, total + 1), np.int64)
    least[0] = 0
    for tile in range(tiles):
        sums = np.full((len(choices), total + 1), np.inf)
        for row, count in zip(sums, choices):
            row[count:] = least[: total + 1 - count] + errors[tile, count - 1]
        picked = sums.argmin(axis=0)
        least, chosen[tile] = sums[picked, np.arange(total + 1)], np.asarray(choices)[picked]
    shifts = np.zeros(tiles, np.int64)
    for tile in range(tiles - 1, -1, -1):
        shifts[tile] = chosen[tile, total]
        total -= int(shifts[tile])
    return shifts


@dataclass(frozen=True, eq=False)
class Tiles:
    """Filters side by side: ``count`` in all, ``size`` at once, the last ones maybe fewer."""

    count: int
    size: int

    @property
    def whole(self) -> int:
        """Tiles with all their filters."""
        return self.count // self.size

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """(filters, ...) to (tiles, ...)."""
        return np.add.reduceat(values, np.arange(0, self.count, self.size), axis=0)

    def sort(self, shifts: Ints) -> Ints:
        """Whole tiles, (tiles,), by their ``shifts``, fewest first; what is left over stays last."""
        return np.concatenate([np.argsort(shifts[: self.whole], kind="stable"), np.arange(self.whole, len(shifts))])

    def filters(self, tiles: Ints) -> Ints:
        """The filters of ``tiles``, one tile after the other."""
        every = [np.arange(tile * self.size, min((tile + 1) * self.size, self.count)) for tile in tiles]
        return np.concatenate(every)

    def repeat(self, shifts: Ints) -> Ints:
        """(tiles,) to (filters,)."""
        return shifts.repeat(self.size)[: self.count]
