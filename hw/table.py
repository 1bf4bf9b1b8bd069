"""Any function of few input codes, as a memory."""

import numpy as np
from amaranth.hdl import Cat, Module

from ..ir.graph import IntType
from ..ir.table import Table
from .function import LaneFunction, by_group, table_rom
from .memory import choose_style, read_cycles


class TableLookup(LaneFunction):
    """One memory for each lane; its address is the input code beside the number of the group."""

    lead = 0

    def __init__(self, node: Table, lanes: int, x_type: IntType):
        self._node = node
        rows = self._rows(node, x_type)
        if (rows == rows[0]).all():
            grouped = np.repeat(rows[:1, None], lanes, axis=1)
        else:
            grouped = by_group(rows, lanes, [0] * rows.shape[1])
        self._values = grouped
        depth = len(grouped) << x_type.bits
        self._style = choose_style(depth, node.result.bits)
        self.cycles = read_cycles(depth, self._style)
        super().__init__(lanes, len(grouped), x_type, node.result)

    @staticmethod
    def _rows(node: Table, x_type: IntType):
        """Values by bit pattern of the input; codes that the table does not cover cannot come."""
        codes = np.arange(1 << x_type.bits)
        if x_type.signed:
            codes = np.where(codes > x_type.high, codes - (1 << x_type.bits), codes)
        places = np.clip(codes - node.first, 0, node.values.shape[1] - 1)
        return node.values[:, places]

    def elaborate(self, platform):
        m = Module()
        for lane in range(self.lanes):
            rom = table_rom(self._values[:, lane].reshape(-1, 1), self._node.result, self._style)
            m.submodules[f"values_{lane}"] = rom
            pattern = self.x.word_select(lane, self.x_type.bits)
            address = Cat(pattern, self.group) if self.groups > 1 else pattern
            m.d.comb += [rom.address.eq(address), self.y.word_select(lane, self.y_type.bits).eq(rom.word)]
        return m
