"""What a model makes of every pair of codes of two tensors that it adds, and whether an integer sum tells as much."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .chain import Chain
from .graph import Ints
from .import_builder import Builder, result_grid
from .import_functions import MAX_POINTS
from .import_values import Grid, Value

Pairs = tuple[tuple[int, int], ...]  # coefficients for each channel


class AllPairs:
    """What the model gives for every pair of codes, for each kind of channel."""

    def __init__(self, builder: Builder, first: Value, second: Value, factor: int, steps: Value) -> None:
        self._factor, self._steps = factor, steps
        self._grids = first.grid, second.grid
        self._bounds = [builder.bounds[value.tensor] for value in (first, second)]
        self._signs = [builder.signs[value.tensor] for value in (first, second)]
        self._kinds = self._find_kinds()

    @property
    def count(self) -> int:
        """How many there are to look at."""
        sizes = [(bounds.high - bounds.low + 1).astype(object) for bounds in self._bounds]
        return sum(sizes[0][channel] * sizes[1][channel] for channel in set(self._kinds.values()))

    @cached_property
    def _results(self) -> dict[int, Ints]:
        return {channel: self._of_channel(channel) for channel in set(self._kinds.values())}

    def _find_kinds(self) -> dict[int, int]:
        """For each channel the first one that is like it."""
        seen: dict[tuple, int] = {}
        constants = [np.ravel(c) for step in self._steps.steps for c in step.every_constant]
        kinds = {}
        for channel in range(self._signs[0].size):
            parts = [(g.base[channel], g.scale[channel], g.offset[channel]) for g in self._grids if g is not None]
            limits = [(b.low[channel], b.high[channel]) for b in self._bounds]
            own = [float(c[channel]) for c in constants if c.size > 1]
            key = (*parts, *limits, *own, *(int(s[channel]) for s in self._signs))
            kinds[channel] = seen.setdefault(key, channel)
        return kinds

    def _channel(self, channel: int) -> Value:
        """The steps for data (points, 1) of one channel."""
        kept = self._steps.channel_steps()
        steps = tuple(s.with_constants(lambda c: c if c.ndim == 0 else c[channel : channel + 1]) for s in kept)
        return replace(self._steps, steps=steps)

    def _codes(self, channel: int) -> tuple[Ints, Ints]:
        """All pairs, each (first codes, second codes)."""
        ranges = [np.arange(b.low[channel], b.high[channel] + 1) for b in self._bounds]
        first, second = np.meshgrid(*ranges, indexing="ij")
        return first.ravel(), second.ravel()

    def _of_channel(self, channel: int) -> Ints:
        one = np.array([channel])
        grids = [grid.take(one) for grid in self._grids if grid is not None]
        signs = [s[one] for s in self._signs]
        parts = [g.dequantize(s)(c[:, None]) for g, s, c in zip(grids, signs, self._codes(channel), strict=True)]
        with np.errstate(all="ignore"):
            reals = parts[0] + parts[1] if self._factor == 1 else parts[0] - parts[1]
        return self._rounded(channel, reals)

    def _rounded(self, channel: int, reals: NDArray) -> Ints:
        """The codes of the result for the model's float32 sums (points, 1)."""
        steps = self._channel(channel).steps
        result = self._result.take(np.array([channel]))
        return np.rint(Chain((*steps, result.codes()))(reals))[:, 0].astype(np.int64)

    @property
    def _result(self) -> Grid:
        grid = self._grids[0]
        assert grid is not None
        return result_grid(grid, self._steps.channel_steps(), self._steps.names)[0]

    def agree_with_sum(self, coefficients: Pairs, total: Grid) -> bool:
        """Whether rounding the exact sum once, whose grid is ``total``, gives the same."""
        for channel, wanted in self._results.items():
            p, q = coefficients[channel]
            first, second = self._codes(channel)
            reals = total.take(np.array([channel])).dequantize()((p * first + q * second)[:, None])
            if not np.array_equal(self._rounded(channel, reals), wanted):
                return False
        return True

    def by_sum(self, coefficients: Pairs) -> "SumTable | None":
        """The results as a function of the integer sum; None where they are none."""
        tables = {}
        for channel, wanted in self._results.items():
            table = _table(*self._codes(channel), wanted, *coefficients[channel])
            if table is None:
                return None
            tables[channel] = table
        return SumTable([tables[self._kinds[channel]] for channel in range(len(self._kinds))])


def _table(first: Ints, second: Ints, wanted: Ints, p: int, q: int) -> tuple[int, Ints] | None:
    """The lowest sum and the result for it and all sums above; those that no pair gives repeat the one below."""
    sums = p * first + q * second
    low, size = int(sums.min()), int(sums.max() - sums.min()) + 1
    if size > MAX_POINTS:
        return None
    order = np.argsort(sums, kind="stable")
    ordered, results = sums[order] - low, wanted[order]
    if ((np.diff(ordered) == 0) & (np.diff(results) != 0)).any():
        return None
    last = np.full(size, -1, dtype=np.int64)
    last[ordered] = np.arange(len(ordered))
    return low, results[np.maximum.accumulate(last)]


class SumTable:
    """A function from sums (points, channels) to codes."""

    def __init__(self, tables: list[tuple[int, Ints]]) -> None:
        self._tables = tables

    @property
    def is_monotone(self) -> bool:
        """Whether each channel rises or falls all the way."""
        steps = [np.diff(table) for _, table in self._tables]
        return all(bool((step >= 0).all() or (step <= 0).all()) for step in steps)

    @property
    def size(self) -> int:
        """How many sums the channel with most of them has."""
        return max(len(table) for _, table in self._tables)

    def __call__(self, codes: Ints) -> NDArray:
        columns = [
            table[np.clip(codes[:, channel] - low, 0, len(table) - 1)]
            for channel, (low, table) in enumerate(self._tables)
        ]
        return np.stack(columns, axis=1).astype(np.float64)
