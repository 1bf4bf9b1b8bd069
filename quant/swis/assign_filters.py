"""Shifts for each filter of a layer, and an order of filters, so that those computed at once have equally many."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .decompose import Ints, Reals, filter_errors
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
    average, filters = min(swis.shifts, swis.most(positions)), np.arange(len(weights))
    if not swis.scheduled:
        return Assigned(np.full(len(weights), int(average)), _living_first(weights) if may_sort else filters)
    options: dict[str, Any] = {"alpha": swis.alpha, "consecutive": swis.consecutive}
    if not may_sort:
        errors = filter_errors(weights, positions, sharing=swis.sharing, **options)
        shifts, tiles = _tile_shifts(weights, errors, swis, average)
        return Assigned(tiles.repeat(shifts), filters)
    living = np.flatnonzero(weights.any(axis=(1, 2)))
    rest = np.setdiff1d(filters, living)
    if not len(living):
        return Assigned(np.full(len(weights), swis.step), filters)
    errors = filter_errors(weights[living], positions, **options)
    living = living[sort_filters(errors, average)]
    errors = filter_errors(weights[living], positions, sharing=swis.sharing, **options)
    shifts, tiles = _tile_shifts(weights[living], errors, swis, average)
    order = tiles.sort(shifts)
    return Assigned(
        np.concatenate([tiles.repeat(shifts[order]), np.full(len(rest), swis.step)]),
        np.concatenate([living[tiles.filters(order)], rest]),
    )


def _living_first(weights: Ints) -> Ints:
    return np.argsort(~weights.any(axis=(1, 2)), kind="stable")


def _tile_shifts(weights: Ints, errors: Reals, swis: Swis, average: float) -> tuple[Ints, Tiles]:
    """(tiles,); those whose filters are all zero have the fewest, and do not count for the average."""
    tiles = Tiles(len(weights), swis.filters_at_once)
    used = tiles.sum(np.any(weights, axis=(1, 2)).astype(int)) > 0
    shifts = np.full(len(used), swis.step)
    if used.any():
        shifts[used] = share_shifts(tiles.sum(errors)[used], average, swis.step)
    return shifts, tiles
