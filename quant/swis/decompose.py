"""Integers as sums of few powers of two, at positions that each group of them shares.

A magnitude becomes the nearest sum of some of the 2**position of its group, the lower one of two as near. Of all sets
of positions a group takes the one with the least MSE++: for errors e of M weights, signed as the weights are,
(alpha * (sum of e)**2 + sum of e**2) / M. The first part keeps errors from adding up in the sum of products.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Decomposed:
    """codes: (filters, groups, weights). supports: (filters, groups), the positions in use as bits of an integer."""

    codes: Ints
    supports: Ints


def decompose(
    weights: Ints, shifts: Ints, positions: int, *, alpha: float = 1.0, consecutive: bool = False, sharing: int = 1
) -> Decomposed:
    """The nearest integers to ``weights`` with ``shifts`` positions a group.

    weights: (filters, groups, weights of a group), of magnitudes below 2**positions. shifts: (filters,), equal for each
    ``sharing`` filters one after the other, whose groups take their positions together; from 1 to ``positions``.
    """
    supports = np.zeros(weights.shape[:2], np.int64)
    for count in np.unique(shifts):
        filters = np.flatnonzero(shifts == count)
        every = supports_of(positions, int(count), consecutive)
        supports[filters] = _choose(weights[filters], every, positions, alpha, sharing)
    codes = np.sign(weights) * _every_nearest(positions)[supports[:, :, None], np.abs(weights)]
    return Decomposed(codes, supports)


def filter_errors(
    weights: Ints, positions: int, *, alpha: float = 1.0, consecutive: bool = False, sharing: int = 1
) -> Reals:
    """The MSE++ of each filter, summed over its groups: (filters, positions); column n - 1 is that of n shifts."""
    every = (np.full(len(weights), count) for count in range(1, positions + 1))
    options: dict[str, Any] = {"alpha": alpha, "consecutive": consecutive, "sharing": sharing}
    found = [weights - decompose(weights, shifts, positions, **options).codes for shifts in every]
    return np.stack([_mse(np.moveaxis(errors, 2, 0), alpha).sum(axis=1) for errors in found], axis=1)


@lru_cache(maxsize=64)
def supports_of(positions: int, shifts: int, consecutive: bool) -> tuple[int, ...]:
    """All sets of ``shifts`` of the positions from 0 on, as bits of integers, ascending; or only those in a run."""
    every = (support for support in range(1 << positions) if support.bit_count() == shifts)
    return tuple(support for support in every if not consecutive or _is_run(support))


@lru_cache(maxsize=256)
def nearest_sums(support: int, positions: int) -> Ints:
    """(2**positions,): for each magnitude the nearest sum of powers of two out of ``support``."""
    levels = np.array([value for value in range(1 << positions) if not value & ~support])
    # Twice the values, so that the middle between two levels is an integer; the lower level has it.
    nearest = levels[np.searchsorted(levels[1:] + levels[:-1], 2 * np.arange(1 << positions))]
    nearest.setflags(write=False)
    return nearest


@lru_cache(maxsize=8)
def _every_nearest(positions: int) -> Ints:
    """(supports, magnitudes)."""
    return np.stack([nearest_sums(support, positions) for support in range(1 << positions)])


def _is_run(support: int) -> bool:
    lowest = support & -support
    return not support & (support + lowest)


def _choose(weights: Ints, supports: tuple[int, ...], positions: int, alpha: float, sharing: int) -> Ints:
    """Of ``supports`` the best ones, (filters, groups)."""
    filters, groups, _ = weights.shape
    shares = -(-filters // sharing)
    best, least = np.zeros((shares, groups), np.int64), np.full((shares, groups), np.inf)
    for support, costs in _costs(weights, supports, positions, alpha):
        costs = _sum_together(costs, sharing) if sharing > 1 else costs
        best[costs < least] = support
        np.minimum(least, costs, out=least)
    return best.repeat(sharing, axis=0)[:filters]


def _costs(weights: Ints, supports: tuple[int, ...], positions: int, alpha: float) -> Iterator[tuple[int, Reals]]:
    """MSE++ of every group, (filters, groups), for one support after the other."""
    # With the weights of a group first, sums over it run over whole arrays.
    places = np.ascontiguousarray(np.moveaxis(weights, 2, 0)) + (1 << positions)
    for support in supports:
        magnitudes = np.arange(1 << positions) - nearest_sums(support, positions)
        # Of the weights from -2**positions, which none is, to 2**positions - 1.
        table = np.concatenate([[0], -magnitudes[:0:-1], magnitudes]).astype(np.float64)
        yield support, _mse(table[places], alpha)


def _mse(errors: NDArray[Any], alpha: float) -> Reals:
    """MSE++ of groups, from (weights, ...)."""
    return (alpha * np.square(errors.sum(axis=0)) + np.square(errors).sum(axis=0)) / len(errors)


def _sum_together(costs: Reals, sharing: int) -> Reals:
    """(filters, groups) to (shares, groups)."""
    return np.add.reduceat(costs, np.arange(0, len(costs), sharing), axis=0)
