"""Shifts for each filter of a layer, and an order of filters, so that those computed at once have equally many."""

from dataclasses import dataclass

import numpy as np

from .decompose import Ints, filter_errors
from .options import Swis
from .schedule import Tiles, share_shifts, sort_filters


@dataclass(frozen=True, eq=False)
class Assigned:
    """shifts: (filters,), in their new order. order: which of the old filters each one is."""

    shifts: Ints
    order: Ints


def assign_filters(weights: Ints, positions: int, swis: Swis, *, may_sort: bool) -> Assigned:
    """The shifts of a layer's filters, whose integers are ``weights``, (filters, groups, weights of a group).

    may_sort: the filters may change their order. Those that are zero throughout count for nothing.
    """
    average = min(swis.shifts, swis.most(positions))
    if not swis.scheduled:
        order = _living_first(weights) if may_sort else np.arange(len(weights))
        return Assigned(np.full(len(weights), int(average)), order)
    if not may_sort:
        tiles = Tiles(len(weights), swis.filters_at_once)
        return Assigned(tiles.repeat(_tile_shifts(weights, tiles, positions, swis, average)), np.arange(len(weights)))
    living = np.flatnonzero(weights.any(axis=(1, 2)))
    rest = np.setdiff1d(np.arange(len(weights)), living)
    if len(living):
        errors = filter_errors(weights[living], positions, alpha=swis.alpha, consecutive=swis.consecutive)
        living = living[sort_filters(errors, average)]
    tiles = Tiles(len(living), swis.filters_at_once)
    shifts = _tile_shifts(weights[living], tiles, positions, swis, average)
    order = tiles.sort(shifts)
    sorted_shifts = tiles.repeat(shifts[order])
    return Assigned(
        np.concatenate([sorted_shifts, np.full(len(rest), swis.step)]),
        np.concatenate([living[tiles.filters(order)], rest]),
    )


def _living_first(weights: Ints) -> Ints:
    return np.argsort(~weights.any(axis=(1, 2)), kind="stable")


def _tile_shifts(weights: Ints, tiles: Tiles, positions: int, swis: Swis, average: float) -> Ints:
    """(tiles,); those whose filters are all zero have the fewest, and do not count for the average."""
    shifts = np.full(-(-tiles.count // tiles.size), swis.step)
    if not weights.any():
        return shifts
    options = {"alpha": swis.alpha, "consecutive": swis.consecutive}
    errors = filter_errors(weights, positions, sharing=swis.sharing, **options)
    errors = errors if swis.joint else tiles.sum(errors)
    used = tiles.sum(np.any(weights, axis=(1, 2)).astype(int)) > 0
    shifts[used] = share_shifts(errors[used], average, swis.step)
    return shifts
