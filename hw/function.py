# amaranth: UnusedElaboratable=no
"""Functions of one channel at a time, applied lane by lane: thresholds, multiply-add-shift, tables."""

from collections.abc import Mapping, Sequence

import numpy as np
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..ir.graph import Ints, IntType
from .double_ram import DoubleRam
from .memory import Rom, choose_style


class LaneFunction(wiring.Component):
    """Takes a beat, one group of channels, a cycle in ``x``, and gives its results ``cycles`` later in ``y``.

    group: the number of the group, which must come ``lead`` cycles before its values. loaded: the memories whose words
    can be replaced.
    """

    cycles: int
    lead: int
    loaded: Mapping[str, DoubleRam] = {}

    def __init__(self, lanes: int, groups: int, x_type: IntType, y_type: IntType):
        self.lanes, self.groups, self.x_type, self.y_type = lanes, groups, x_type, y_type
        super().__init__(
            {
                "x": In(lanes * x_type.bits),
                "group": In(range(max(2, groups))),
                "y": Out(lanes * y_type.bits),
            }
        )


def by_group(rows: Ints, lanes: int, padding: Sequence[int]) -> Ints:
    """Rows (channels, n) as (groups, lanes, n): group g, lane l is channel g * lanes + l; the rest is ``padding``."""
    channels, width = rows.shape
    groups = -(-channels // lanes)
    full = np.tile(np.asarray(padding, np.int64), (groups * lanes, 1))
    full[:channels] = rows
    return full.reshape(groups, lanes, width)


def words_of(values: Ints, bits: int) -> list[int]:
    """Each row of ``values``, shape (words, fields), as one word: field 0 in the low bits, two's complement."""
    mask = (1 << bits) - 1
    return [sum((int(value) & mask) << bits * place for place, value in enumerate(row)) for row in values]


def table_ram(values: Ints, dtype: IntType, style: str = "auto") -> DoubleRam:
    """Like `table_rom`, but its words can be replaced."""
    return DoubleRam(words_of(values, dtype.bits), dtype.bits * values.shape[1], style)


def table_rom(values: Ints, dtype: IntType, style: str = "auto") -> Rom:
    """A memory of the rows of ``values``, shape (words, fields), field 0 in the low bits of a word."""
    words = words_of(values, dtype.bits)
    width = dtype.bits * values.shape[1]
    style = choose_style(len(words), width) if style == "auto" else style
    return Rom(words, width, style)
