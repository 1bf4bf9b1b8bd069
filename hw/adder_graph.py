"""A matrix of constants as a graph of two-operand sums, each of which serves all outputs that contain it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..ir.graph import Bounds, Ints

# How much less a cell counts that leaves no bit less, in quarters, the one that is best most often first.
IDLENESS = (4, 3, 5)

# Signed digits of a matrix for which all of these are tried.
MOST_DIGITS_TRIED = 10_000


@dataclass(frozen=True, eq=False)
class AdderGraph:
    """Nodes are numbered: first the inputs, then the sums, ``first[i] + sign[i] * (second[i] << shift[i])``.

    low, high: what each node can be, exactly. node, output_shift, output_sign: what each output is made of; node -1: it
    is ``constants`` alone, which is added to each of them (inputs that cannot change stand in it). depth: of each node.
    """

    inputs: int
    first: Ints
    second: Ints
    shift: Ints
    sign: Ints
    depth: Ints
    low: Ints
    high: Ints
    node: Ints
    output_shift: Ints
    output_sign: Ints
    constants: Ints

    @cached_property
    def cells(self) -> Ints:
        """One-bit adders of each sum: none below its second operand, none at all where operands do not overlap."""
        reach = self.high - self.low
        bits = np.array([int(value).bit_length() for value in reach])
        cells = bits[self.inputs :] - self.shift
        return np.where(self.shift >= bits[self.first], 0, cells)

    def evaluate(self, x: Ints) -> Ints:
        """(frames, inputs) becomes (frames, outputs)."""
        nodes = np.zeros((len(self.depth), len(x)), np.int64)
        nodes[: self.inputs] = x.T
        sums = zip(self.first, self.second, self.shift, self.sign)
        for place, (first, second, shift, sign) in enumerate(sums, self.inputs):
            nodes[place] = nodes[first] + sign * (nodes[second] << shift)
        made = nodes[self.node] * self.output_sign[:, None] << self.output_shift[:, None]
        return (np.where(self.node[:, None] < 0, 0, made) + self.constants[:, None]).T


def build_adder_graph(weights: Ints, reach: Bounds, levels: int = 1, after: int = 0) -> AdderGraph:
    """The graph of ``weights`` (outputs, inputs) for inputs within ``reach``.

    Its depth, the sums on the longest way, and ``after`` are together the least multiple of ``levels`` that the longest
    row allows. Several ways to choose what is shared are tried where that takes no time, and the graph of fewest cells
    is kept.
    """
    digits = sum(int((part >> place & 1).sum()) for part in signed_digits(weights) for place in range(63))
    tries = IDLENESS if digits <= MOST_DIGITS_TRIED else IDLENESS[:1]
    graphs = [_build(weights, reach, levels, after, idleness) for idleness in tries]
    return min(graphs, key=lambda graph: int(graph.cells.sum()))


def _build(weights: Ints, reach: Bounds, levels: int, after: int, idleness: int) -> AdderGraph:
    from .share_sums import share, sum_row  # loads numba

    fixed, span = reach.low == reach.high, reach.high - reach.low
    constants = (weights[:, fixed] * reach.low[fixed]).sum(axis=1)
    unlike, row_of, shift, sign = _find_unlike_rows(np.where(fixed, 0, weights))
    rows, sums, coefficients = _begin(unlike, span)
    needed = max((int(weight - 1).bit_length() for weight in rows.weight), default=0)
    most = 1 << levels * -(-(needed + after) // levels) - after
    coefficients = share(rows, sums, coefficients, span, most, idleness)
    ending = int(np.maximum(rows.length - 1, 0).sum())
    coefficients = np.concatenate([coefficients[: sums.count[0]], np.zeros((ending, len(span)), np.int64)])
    for row in range(len(unlike)):
        sum_row(rows, sums, coefficients, span, row, most)
    return _finish(rows, sums, coefficients, reach, row_of, shift, sign, constants)


def signed_digits(weights: Ints) -> tuple[Ints, Ints]:
    """Bits to be added and bits to be subtracted: the canonical signed digits, no two of which are neighbours."""
    half = weights >> 1
    total = weights + half
    changed = half ^ total
    return total & changed, half & changed


def _find_unlike_rows(weights: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Rows that no other is a shifted or negated copy of; and of each row: which of them, shift and sign. -1: zero."""
    together = np.bitwise_or.reduce(weights, axis=1) if weights.size else np.zeros(len(weights), np.int64)
    shift = np.array([(int(bits) & -int(bits)).bit_length() - 1 if bits else 0 for bits in together], np.int64)
    leading = weights[np.arange(len(weights)), (weights != 0).argmax(axis=1)]
    sign = np.where(leading < 0, -1, 1)
    bare = (weights >> shift[:, None]) * sign[:, None]
    used = np.flatnonzero(together)
    row_of = np.full(len(weights), -1)
    unlike, found = np.unique(bare[used], axis=0, return_inverse=True)
    row_of[used] = found.reshape(-1)
    return unlike, row_of, shift, sign


def _begin(weights: Ints, span: Ints):
    """Digits as the rows to be summed, the inputs as nodes, and what each node makes of each input."""
    from .share_sums import Rows, Sums

    plus, minus = signed_digits(weights)
    places = np.arange(max(1, int(np.maximum(plus, minus).max(initial=0)).bit_length()))
    digits = ((plus[:, :, None] >> places) & 1) - ((minus[:, :, None] >> places) & 1)
    # One row more, without a term, for outputs that are zero.
    length = np.append((digits != 0).sum(axis=(1, 2)), 0)
    inputs, most = len(span), int(length.max(initial=1))
    node, shift, sign = np.zeros((3, len(length), most), np.int64)
    rows = Rows(node, shift, sign, length.copy(), length.copy())
    for row, table in enumerate(digits):
        at, place = np.nonzero(table)
        for array, values in zip((node, shift, sign), (at, place, table[at, place]), strict=True):
            array[row, : len(at)] = values
    # Each sum takes two terms out of some row and puts one back.
    nodes = inputs + int(length.sum())
    first, second, apart, way, depth, reach = np.zeros((6, nodes), np.int64)
    sums = Sums(first, second, apart, way, depth, reach, np.array([inputs]))
    sums.reach[:inputs] = span
    coefficients = np.zeros((2 * inputs, inputs), np.int64)
    coefficients[:inputs] = np.eye(inputs, dtype=np.int64)
    return rows, sums, coefficients


def _finish(rows, sums, coefficients, reach: Bounds, row_of: Ints, shift: Ints, sign: Ints, constants: Ints):
    count, inputs = int(sums.count[0]), len(reach.low)
    factors = coefficients[:count]
    ends = factors * reach.low, factors * reach.high
    low, high = np.minimum(*ends).sum(axis=1), np.maximum(*ends).sum(axis=1)
    is_used = row_of >= 0
    return AdderGraph(
        inputs, sums.first[inputs:count], sums.second[inputs:count], sums.shift[inputs:count], sums.sign[inputs:count],
        sums.depth[:count], low, high,
        np.where(is_used, rows.node[row_of, 0], -1),
        shift + np.where(is_used, rows.shift[row_of, 0], 0),
        sign * np.where(is_used, rows.sign[row_of, 0], 1),
        constants,
    )  # fmt: skip
