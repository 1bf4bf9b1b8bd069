"""Brings an image of weights out of the flash that the bitstream came from, once after configuration."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...hw.stream import BYTES

WAKE, READ = 0xAB, 0x03
"""Commands of every serial flash. iCE40 sends it to sleep when it has read its bitstream."""

WAKE_US = 50
"""Longer than a flash takes to wake up: data sheets say 3 to 35."""

CYCLES = 4
"""Of a bit: what the flash says is looked at two of them after its clock has fallen."""

PINS: dict[str, Any] = {
    "flash_cs_n": Out(1, init=1), "flash_clk": Out(1), "flash_copi": Out(1), "flash_cipo": In(1)
}  # fmt: skip


class FlashReader(wiring.Component):
    """Wakes the flash, reads ``length`` bytes from ``offset`` on, and offers them in ``y``; then it is ``done``.

    A reset before that starts from the beginning, one after it does nothing.
    """

    def __init__(self, offset: int, length: int, clock_mhz: float):
        self._offset, self._length, self._wait = offset, length, round(WAKE_US * clock_mhz)
        self.pins = PINS
        super().__init__({"y": Out(BYTES), "done": Out(1), **PINS})

    def elaborate(self, platform):
        m = Module()
        done, count = Signal(reset_less=True), Signal(range(self._length), init=self._length - 1)
        waited, is_selected = Signal(range(self._wait)), Signal()
        self._shift, self._left, self._tick = Signal(32), Signal(range(33)), Signal(range(CYCLES))
        m.d.comb += [
            self.done.eq(done),
            self.flash_cs_n.eq(~is_selected),
            self.flash_clk.eq(self._tick[-1]),
            self.flash_copi.eq(self._shift[-1]),
            self.y.payload.eq(self._shift[:8]),
        ]
        is_over = self._move(m)
        with m.FSM():
            with m.State("start"), m.If(~done):
                m.d.sync += [is_selected.eq(1), self._shift.eq(WAKE << 24), self._left.eq(8)]
                m.next = "wake"
            with m.State("wake"), m.If(is_over):
                m.d.sync += is_selected.eq(0)
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == self._wait - 1):
                    m.d.sync += [is_selected.eq(1), self._shift.eq(READ << 24 | self._offset), self._left.eq(32)]
                    m.next = "ask"
            with m.State("ask"), m.If(is_over):
                m.d.sync += self._left.eq(8)
                m.next = "read"
            with m.State("read"), m.If(is_over):
                m.d.comb += self.y.valid.eq(1)
                with m.If(self.y.ready):
                    m.d.sync += [count.eq(count - 1), self._left.eq(8)]
                    with m.If(count == 0):
                        m.d.sync += [done.eq(1), is_selected.eq(0), self._left.eq(0)]
                        m.next = "start"
        return m

    def _move(self, m: Module) -> Value:
        """Bits out and in while some are left, most significant first; whether none are."""
        bit = Signal()
        with m.If(self._left != 0):
            m.d.sync += self._tick.eq(self._tick + 1)
            with m.If(self._tick == CYCLES // 2 - 1):
                m.d.sync += bit.eq(self.flash_cipo)
            with m.If(self._tick == CYCLES - 1):
                m.d.sync += [self._shift.eq(Cat(bit, self._shift)), self._left.eq(self._left - 1)]
        return self._left == 0
