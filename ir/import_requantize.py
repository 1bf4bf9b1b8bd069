"""Finds a multiply-add-shift that equals given steps exactly, or none."""

import numpy as np

from .graph import Bounds, Ints, IntType
from .requantize import Requantize

MAX_SHIFT = 40
MAX_MULTIPLIER_BITS = 32
PAIRED_EDGES = 256  # from each end of a channel's steps, to bound its slope


def fit_requantize(
    name: str, source: str, result: IntType, edges: Ints, bounds: Bounds, first: Ints, last: Ints
) -> Requantize | None:
    """The Requantize with the smallest shift that equals the rising steps everywhere between the bounds, if any.

    edges: (channels, levels), the lowest code that reaches level min(first) + 1, + 2, ...; first, last: the values at
    the bounds. With S = 2**shift, an edge t of level v asks for t * m + a >= v * S > (t - 1) * m + a.
    """
    low, high = int(first.min()), int(last.max())
    channels = [_Channel(edges[c], bounds, c, int(first[c]), int(last[c]), low, high) for c in range(len(edges))]
    for shift in range(MAX_SHIFT + 1):
        fits = []
        for channel in channels:
            fit = channel.fit(shift)
            if fit is None:
                break
            fits.append(fit)
        else:
            factors, terms = (np.array(values, dtype=np.int64) for values in zip(*fits, strict=True))
            return Requantize(name, (source,), result, factors, terms, shift, low, high)
    return None


class _Channel:
    """The conditions that one channel's steps put on its multiplier and addend."""

    def __init__(self, edges: Ints, bounds: Bounds, index: int, first: int, last: int, low: int, high: int) -> None:
        start, end = int(bounds.low[index]), int(bounds.high[index])
        levels = low + 1 + np.arange(edges.size, dtype=np.int64)
        inside = (edges > start) & (edges <= end)
        # points (x, v) at which the value is at least v, and those at which it is below v
        reach = np.stack([edges[inside], levels[inside]])
        miss = np.stack([edges[inside] - 1, levels[inside]])
        if first > low:
            reach = np.concatenate([[[start], [first]], reach], axis=1)
        if last < high:
            miss = np.concatenate([miss, [[end], [last + 1]]], axis=1)
        self.reach, self.miss, self.constant = reach, miss, first if first == last else None
        if self.constant is None:
            self.slopes = _slope_range(reach, miss)

    def fit(self, shift: int) -> tuple[int, int] | None:
        if self.constant is not None:
            return 0, self.constant << shift
        lowest, highest = (slope * 2.0**shift for slope in self.slopes)
        middle = (lowest + highest) / 2 if np.isfinite(highest) else lowest + 1
        for factor in sorted({int(np.floor(middle)), int(np.ceil(middle)), round(middle) + 1, round(middle) - 1}):
            if not 0 <= factor < 1 << MAX_MULTIPLIER_BITS:
                continue
            at_least = int((((self.reach[1]) << shift) - self.reach[0] * factor).max(initial=-(2**61)))
            at_most = int(((self.miss[1] << shift) - self.miss[0] * factor).min(initial=2**61)) - 1
            if at_least <= at_most:
                return factor, _roundest(at_least, at_most)
        return None


def _slope_range(reach: Ints, miss: Ints) -> tuple[float, float]:
    """Bounds of the slope that every pair of conditions leaves (a subset of pairs where there are very many)."""
    reach, miss = _ends(reach), _ends(miss)
    run = reach[0][:, None] - miss[0][None, :]
    rise = (reach[1][:, None] - miss[1][None, :]).astype(np.float64)
    with np.errstate(divide="ignore"):
        slope = rise / run
    return float(slope[run > 0].max(initial=0.0)), float(slope[run < 0].min(initial=np.inf))


def _ends(points: Ints) -> Ints:
    if points.shape[1] <= 2 * PAIRED_EDGES:
        return points
    return np.concatenate([points[:, :PAIRED_EDGES], points[:, -PAIRED_EDGES:]], axis=1)


def _roundest(low: int, high: int) -> int:
    """The number between the two that ends in most zero bits."""
    if low <= 0 <= high:
        return 0
    for bits in range(62, -1, -1):
        candidate = -(-low >> bits) << bits
        if candidate <= high:
            return candidate
    return low
