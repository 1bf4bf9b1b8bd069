"""Activation by evaluation: turns a per-channel function of integers into a Threshold, Requantize or Table node."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .graph import Bounds, Ints, IntType, Node
from .import_requantize import fit_requantize
from .table import Table
from .threshold import Threshold

MAX_POINTS = 1 << 22  # values of a function that are all looked at; beyond, a monotone one is bisected
MAX_TABLE_CODES = 1 << 14
MAX_THRESHOLDS = 1 << 12  # per channel
MAX_LEVELS = 1 << 16  # that a Requantize is sought for
REQUANTIZE_LEVELS = 127  # from 7 bits on one multiplication is cheaper than the thresholds


@dataclass(frozen=True, eq=False)
class CodeFunction:
    """A function from codes (points, channels) within ``bounds`` to float codes of the same shape.

    monotone: each channel is known to rise or to fall, whatever its values.
    """

    owner: str
    evaluate: Callable[[Ints], NDArray]
    bounds: Bounds
    monotone: bool

    def __call__(self, codes: Ints) -> Ints:
        values = self.evaluate(codes)
        wrong = np.argwhere(~np.isfinite(values))
        if wrong.size:
            point, channel = wrong[0]
            raise GraphError(
                f"{self.owner}: gives {values[point, channel]} in channel {channel} for the integer "
                f"{codes[point, channel]}; look for infinite, NaN or zero constants there"
            )
        return np.rint(values).astype(np.int64)

    @property
    def codes(self) -> int:
        """How many codes the channel with the widest range has."""
        return int((self.bounds.high - self.bounds.low).max()) + 1

    @property
    def is_small(self) -> bool:
        return self.codes * self.bounds.low.size <= MAX_POINTS

    def points(self) -> Ints:
        """All codes, (codes, channels); channels with fewer of them repeat their last."""
        rising = self.bounds.low + np.arange(self.codes, dtype=np.int64)[:, None]
        return np.minimum(rising, self.bounds.high)

    def negated(self, channels: NDArray) -> "CodeFunction":
        """The function of codes that are negated in the ``channels`` marked."""
        signs = np.where(channels, -1, 1)
        ends = self.bounds.low * signs, self.bounds.high * signs
        bounds = Bounds(np.minimum(*ends), np.maximum(*ends))
        return CodeFunction(self.owner, lambda codes: self.evaluate(codes * signs), bounds, self.monotone)


def falling_channels(function: CodeFunction) -> NDArray | None:
    """Which channels fall, as bools; None if one neither rises nor falls all the way."""
    if not function.is_small:
        if not function.monotone:
            raise GraphError(
                f"{function.owner}: is not monotone and has {function.codes} input codes per channel, more than a "
                f"table can hold ({MAX_TABLE_CODES}); quantize its input to fewer bits"
            )
        ends = function(np.stack([function.bounds.low, function.bounds.high]))
        return np.asarray(ends[1] < ends[0])
    slopes = np.diff(function(function.points()), axis=0)
    falls, rises = (slopes < 0).any(axis=0), (slopes > 0).any(axis=0)
    return None if (falls & rises).any() else np.asarray(falls)


def fit_rising(function: CodeFunction, name: str, source: str, inputs: IntType, declared: IntType | None) -> Node:
    """A Threshold, or a Requantize where that is exact and cheaper, equal to a function all of whose channels rise."""
    low, high = function(np.stack([function.bounds.low, function.bounds.high]))
    bottom, top = int(low.min()), int(high.max())
    if top - bottom > MAX_LEVELS:
        raise GraphError(
            f"{function.owner}: has {top - bottom + 1} output levels, at most {MAX_LEVELS + 1} are possible; "
            "quantize to fewer bits"
        )
    result = declared or IntType.of_range(bottom, top)
    edges = _edges(function, np.arange(bottom + 1, max(top, bottom + 1) + 1, dtype=np.int64))
    if top - bottom >= REQUANTIZE_LEVELS:
        node = fit_requantize(name, source, result, edges, function.bounds, low, high)
        if node is not None and _agrees(node, function):
            return node
    if edges.shape[1] > MAX_THRESHOLDS:
        raise GraphError(
            f"{function.owner}: needs {edges.shape[1]} thresholds per channel, at most {MAX_THRESHOLDS} are possible, "
            "and no multiply-add-shift equals it; quantize to fewer bits, or use power-of-two scales"
        )
    always, never = edges <= function.bounds.low[:, None], edges > function.bounds.high[:, None]
    thresholds = np.where(always, inputs.low, np.where(never, inputs.high + 1, edges))
    return Threshold(name, (source,), result, thresholds, bottom)


def fit_table(function: CodeFunction, name: str, source: str, declared: IntType | None) -> Table:
    """A Table of the function over its reachable codes, the last ones repeated up to a power of two."""
    first, last = int(function.bounds.low.min()), int(function.bounds.high.max())
    size = 1 << (last - first).bit_length()
    if size > MAX_TABLE_CODES:
        raise GraphError(
            f"{function.owner}: neither rises nor falls all the way over its {last - first + 1} input codes, and a "
            f"table holds at most {MAX_TABLE_CODES}; quantize its input to fewer bits"
        )
    codes = np.arange(first, first + size, dtype=np.int64)[:, None]
    values = function(np.clip(codes, function.bounds.low, function.bounds.high)).T
    result = declared or IntType.of_range(int(values.min()), int(values.max()))
    return Table(name, (source,), result, values, first)


def _edges(function: CodeFunction, levels: Ints) -> Ints:
    """(channels, levels): the lowest code at which each channel reaches each level, or one more than its highest."""
    if function.is_small:
        values = function(function.points())
        found = [np.searchsorted(column, levels) for column in values.T]
        counts = (function.bounds.high - function.bounds.low + 1)[:, None]
        return function.bounds.low[:, None] + np.minimum(np.stack(found), counts)
    blocks = np.array_split(levels, -(-levels.size * function.bounds.low.size // MAX_POINTS))
    return np.concatenate([_bisect(function, block) for block in blocks], axis=1)


def _bisect(function: CodeFunction, levels: Ints) -> Ints:
    shape = (levels.size, function.bounds.low.size)
    reached = np.broadcast_to(function.bounds.high + 1, shape)
    below = np.broadcast_to(function.bounds.low - 1, shape)
    while (reached - below > 1).any():
        middle = np.clip((reached + below) // 2, function.bounds.low, function.bounds.high)
        hit = function(middle) >= levels[:, None]
        open_ = reached - below > 1
        reached, below = np.where(open_ & hit, middle, reached), np.where(open_ & ~hit, middle, below)
    return reached.T


def _agrees(node: Node, function: CodeFunction) -> bool:
    """Where not all points can be looked at, the construction of the node from the edges is the proof."""
    return not function.is_small or bool((node.evaluate(function.points()) == function(function.points())).all())
