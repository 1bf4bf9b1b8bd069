"""Multiply, add, shift and clip, for many output levels, where thresholds would cost a memory each."""

from amaranth.hdl import Module, Mux, Signal

from ..ir.graph import IntType
from ..ir.requantize import Requantize
from .function import LaneFunction, by_group, table_rom
from .stream import lane_shape, split


class Requantizer(LaneFunction):
    """One multiplier for each lane; three cycles: product, sum, clipped result."""

    cycles = 3

    def __init__(self, node: Requantize, lanes: int, x_type: IntType):
        self._node = node
        multipliers = by_group(node.multiplier.reshape(-1, 1), lanes, [0])
        addends = by_group(node.addend.reshape(-1, 1), lanes, [0])
        self._m_type = IntType.of_range(int(multipliers.min()), int(multipliers.max()))
        self._a_type = IntType.of_range(int(addends.min()), int(addends.max()))
        groups = len(multipliers)
        self._m_rom = table_rom(multipliers.reshape(groups, -1), self._m_type, "lut")
        self._a_rom = table_rom(addends.reshape(groups, -1), self._a_type, "lut")
        self.lead = self._m_rom.latency
        super().__init__(lanes, groups, x_type, node.result)

    def elaborate(self, platform):
        m = Module()
        node = self._node
        m.submodules.multipliers, m.submodules.addends = self._m_rom, self._a_rom
        m.d.comb += [self._m_rom.address.eq(self.group), self._a_rom.address.eq(self.group)]
        xs, ys = split(self.x, self.lanes, self.x_type), split(self.y, self.lanes, self.y_type)
        multipliers = split(self._m_rom.word, self.lanes, self._m_type)
        addends = Signal.like(self._a_rom.word, name="addends_1", reset_less=True)
        m.d.sync += addends.eq(self._a_rom.word)
        offsets = split(addends, self.lanes, self._a_type)
        low, high = self._range()
        for lane in range(self.lanes):
            product = Signal.like(xs[lane] * multipliers[lane], name=f"product_{lane}", reset_less=True)
            total = Signal(lane_shape(IntType.of_range(low, high)), name=f"total_{lane}", reset_less=True)
            code = Signal.like(ys[lane], name=f"code_{lane}", reset_less=True)
            m.d.sync += product.eq(xs[lane] * multipliers[lane])
            m.d.sync += total.eq((product + offsets[lane]) >> node.shift)
            m.d.sync += code.eq(Mux(total < node.low, node.low, Mux(total > node.high, node.high, total)))
            m.d.comb += self.y.word_select(lane, self.y_type.bits).eq(code)
        return m

    def _range(self) -> tuple[int, int]:
        """What the shifted sum can be."""
        corners = [x * w for x in (self.x_type.low, self.x_type.high) for w in (self._m_type.low, self._m_type.high)]
        return (min(corners) + self._a_type.low) >> self._node.shift, (
            max(corners) + self._a_type.high
        ) >> self._node.shift
