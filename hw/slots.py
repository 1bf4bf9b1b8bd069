"""The slots of a product whose weights are bit planes: which planes of which tile are summed up in what order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..ir.graph import Ints
from .timing import Bools
from .weight_planes import NOTHING

Order = Literal["group-major", "plane-major"]


@dataclass(frozen=True, eq=False)
class Slots:
    """One after the other, of one product; every array but ``planes`` is (slots,).

    group, beat: the tile; planes: (slots, shifts_per_slot), NOTHING where there are fewer. takes: whether the beat
    comes off the stream, else it was kept; starts: whether the group is complete.
    doubles: plane-major, whether what is summed up so far counts 2**shifts_per_slot times as much from here on: then
    the place of a plane in ``planes`` says what it counts. lowest: the plane that counts as 1 in the end.
    """

    group: Ints
    beat: Ints
    planes: Ints
    takes: Bools
    starts: Bools
    doubles: Bools
    lowest: int

    def __len__(self) -> int:
        return len(self.group)

    @property
    def is_new(self) -> Bools:
        """Whether a slot needs another beat than the one before it."""
        return self.takes | (self.beat != np.roll(self.beat, 1))


def find_takers(groups: int, blocks: int, every: bool) -> Bools:
    """(groups,), which of them take their beats off a stream: the first of each block, or every one, if it brings them
    again."""
    return np.asarray(np.arange(groups) % (groups // blocks) == 0) | every


def order_slots(used: Ints, takes: Bools, order: Order, shifts: int) -> Slots:
    """The slots for planes in use ``used``, (groups, beats), as bits; takes: (groups,), whether the first scan of a
    group's beats takes them off the stream; shifts: planes of a tile in a slot.

    Planes that no weight of a tile has are left out. A beat that is taken needs a slot even if nothing is summed up
    in it, and so does each group, and each doubling.
    """
    return _ORDERS[order](used, takes, shifts)


def count_slots(used: Ints, takes: Bools, order: Order, shifts: int) -> int:
    """How many slots these are."""
    return int(_COUNTS[order](used, takes, shifts))


def _order_by_group(used: Ints, takes: Bools, shifts: int) -> Slots:
    """All planes of a tile, from the lowest on, then the next tile."""
    lowest = _lowest(used)
    has = _planes_of(used)
    rank = np.cumsum(has, axis=2) - 1
    steps = max(1, -(-int(rank.max() + 1) // shifts))
    planes = np.full((*used.shape, steps * shifts), NOTHING)
    where = np.nonzero(has)
    planes[*where[:2], rank[where]] = where[2]
    planes = planes.reshape(*used.shape, steps, shifts)
    exists = planes[..., 0] != NOTHING
    exists[takes, :, 0] = True
    exists[~exists.any(axis=2).any(axis=1), 0, 0] = True
    group, beat, step = np.nonzero(exists)
    none = np.zeros(len(group), np.bool_)
    return Slots(group, beat, planes[group, beat, step], takes[group] & (step == 0), _ends(group), none, lowest)


def _order_by_plane(used: Ints, takes: Bools, shifts: int) -> Slots:
    """All tiles at the highest planes of a group first; what is summed up is doubled from planes to planes."""
    lowest = _lowest(used)
    digits = _digits_of(used, shifts)[:, :, ::-1].transpose(0, 2, 1)  # (groups, digits, beats), the highest first
    exists, first = _scans(digits, takes)
    group, row, beat = np.nonzero(exists)
    is_top = row == first[group]
    digit = digits.shape[1] - 1 - row
    planes = lowest + digit[:, None] * shifts + np.arange(shifts)
    has = used[group, beat][:, None] >> np.minimum(planes, 62) & 1 == 1
    starts_scan = np.concatenate([[True], (np.diff(row) != 0) | (np.diff(group) != 0)])
    return Slots(
        group, beat, np.where(has, planes, NOTHING),
        takes[group] & is_top, _ends(group), starts_scan & ~is_top, lowest,
    )  # fmt: skip


def _scans(digits: Bools, takes: Bools) -> tuple[Bools, Ints]:
    """(groups, digits, beats), which slots there are, and (groups,), the row with which each group begins."""
    exists = digits.copy()
    in_use = np.asarray(exists.any(axis=2))
    first = np.where(in_use.any(axis=1), in_use.argmax(axis=1), exists.shape[1] - 1)
    follows = np.arange(exists.shape[1]) >= first[:, None]
    exists[:, :, 0] |= follows & ~in_use
    exists[takes, first[takes]] = True
    return exists, first


def _count_by_group(used: Ints, takes: Bools, shifts: int) -> int:
    steps = -(-np.bitwise_count(used).astype(np.int64) // shifts)
    steps[takes] = np.maximum(steps[takes], 1)
    return int(np.maximum(steps.sum(axis=1), 1).sum())


def _count_by_plane(used: Ints, takes: Bools, shifts: int) -> int:
    per_scan = _digits_of(used, shifts).sum(axis=1)[:, ::-1]  # (groups, digits)
    in_use = per_scan > 0
    first = np.where(in_use.any(axis=1), in_use.argmax(axis=1), per_scan.shape[1] - 1)
    follows = np.arange(per_scan.shape[1]) >= first[:, None]
    slots = np.where(follows, np.maximum(per_scan, 1), 0)
    slots[takes, first[takes]] = used.shape[1]
    return int(slots.sum())


def _lowest(used: Ints) -> int:
    """The lowest plane that any tile has."""
    every = int(np.bitwise_or.reduce(used, axis=None))
    return (every & -every).bit_length() - 1 if every else 0


def _planes_of(used: Ints) -> Bools:
    """(..., planes), whether each is in use."""
    count = max(1, int(used.max()).bit_length())
    return (used[..., None] >> np.arange(count) & 1).astype(np.bool_)


def _digits_of(used: Ints, shifts: int) -> Bools:
    """(groups, beats, digits), from the lowest plane of all on, ``shifts`` planes a digit: whether any is in use."""
    has = _planes_of(used >> _lowest(used))
    padded = np.pad(has, ((0, 0), (0, 0), (0, -has.shape[2] % shifts)))
    return np.asarray(padded.reshape(*used.shape, -1, shifts).any(axis=3))


def _ends(group: Ints) -> Bools:
    return np.concatenate([np.diff(group) != 0, [True]])


_ORDERS: Mapping[Order, Callable[[Ints, Bools, int], Slots]] = {
    "group-major": _order_by_group,
    "plane-major": _order_by_plane,
}
_COUNTS: Mapping[Order, Callable[[Ints, Bools, int], int]] = {
    "group-major": _count_by_group,
    "plane-major": _count_by_plane,
}
