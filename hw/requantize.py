# amaranth: UnusedElaboratable=no
"""Multiply, add, shift and clip, for many output levels, where thresholds would cost a memory each."""

from amaranth.hdl import Const, Module, Mux, Signal, Value

from ..ir.graph import IntType
from ..ir.requantize import Requantize
from .arithmetic import Bits, Term, add_up, as_value, delay, multiply_wide
from .function import LaneFunction, by_group, table_rom
from .stream import lane_shape, split

# The sum with the addend, the comparisons with the limits, the choice between them.
CYCLES_AFTER_PRODUCT = 3


class Requantizer(LaneFunction):
    """One multiplier for each lane, pipelined: product, sum, comparisons with the limits, result."""

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
        zeros = (Const(0, lane_shape(dtype)) for dtype in (x_type, self._m_type))
        _, self._multiplied = self._multiply(Module(), x_type, *zeros, name="product")
        self.cycles = self._multiplied + CYCLES_AFTER_PRODUCT
        super().__init__(lanes, groups, x_type, node.result)

    def elaborate(self, platform):
        m = Module()
        m.submodules.multipliers, m.submodules.addends = self._m_rom, self._a_rom
        m.d.comb += [self._m_rom.address.eq(self.group), self._a_rom.address.eq(self.group)]
        xs = split(self.x, self.lanes, self.x_type)
        multipliers = split(self._m_rom.word, self.lanes, self._m_type)
        addends = split(delay(m, self._a_rom.word, self._multiplied, "addends"), self.lanes, self._a_type)
        for lane in range(self.lanes):
            product, _ = self._multiply(m, self.x_type, xs[lane], multipliers[lane], f"product_{lane}")
            code = self._shift_and_clip(m, as_value(product), addends[lane], lane)
            m.d.comb += self.y.word_select(lane, self.y_type.bits).eq(code)
        return m

    def _multiply(self, m: Module, x_type: IntType, x: Bits, multiplier: Bits, name: str) -> tuple[Term, int]:
        """The product and its cycles."""
        terms, cycles = multiply_wide(m, Term(x, x_type.low, x_type.high), Term(multiplier, *self._m_limits), name)
        product, adding = add_up(m, terms, f"{name}_sum")
        return product, cycles + adding

    def _shift_and_clip(self, m: Module, product: Bits, addend: Bits, lane: int) -> Value:
        node = self._node
        total = Signal(lane_shape(self._sum_type), name=f"total_{lane}", reset_less=True)
        kept = Signal(lane_shape(self.y_type), name=f"kept_{lane}", reset_less=True)
        code = Signal.like(kept, name=f"code_{lane}")
        is_below, is_above = (Signal(name=f"{name}_{lane}", reset_less=True) for name in ("is_below", "is_above"))
        m.d.sync += [
            total.eq((product + addend) >> node.shift),
            kept.eq(total),
            is_below.eq(total < node.low),
            is_above.eq(total > node.high),
            code.eq(Mux(is_below, node.low, Mux(is_above, node.high, kept))),
        ]
        return code

    @property
    def _m_limits(self) -> tuple[int, int]:
        return self._m_type.low, self._m_type.high

    @property
    def _sum_type(self) -> IntType:
        """What the shifted sum can be."""
        corners = [x * w for x in (self.x_type.low, self.x_type.high) for w in self._m_limits]
        low, high = min(corners) + self._a_type.low, max(corners) + self._a_type.high
        return IntType.of_range(low >> self._node.shift, high >> self._node.shift)
