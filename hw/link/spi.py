"""A slave on an SPI bus, mode 0, most significant bit first: each byte of the host brings one back."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ..stream import BYTES
from .protocol import FLAG

CYCLES_PER_BIT = 8
"""Cycles of the clock that a period of sck takes at least: an edge of it is seen, and cipo changed, within three, and
the host reads half a period later. A byte then takes 64."""


class Spi(wiring.Component):
    """A transport (hw/link/linked.py). Where there is nothing to send, flags go, which stand between packets.

    Pins: sck, cs (selected while it is low), copi and cipo, which is driven always. ``cs`` falls a cycle of the clock
    before the first edge of ``sck`` at the latest. A byte that ``cs`` cuts off is lost, either way.
    """

    def __init__(self):
        self.pins = {"sck": In(1), "cs": In(1, init=1), "copi": In(1), "cipo": Out(1)}
        super().__init__({**self.pins, "byte": Out(8), "strobe": Out(1), "x": In(BYTES)})

    def elaborate(self, platform):
        m = Module()
        clock, before, idle, data = Signal(), Signal(), Signal(init=1), Signal()
        for name, pin, level in (("sck", self.sck, clock), ("cs", self.cs, idle), ("copi", self.copi, data)):
            m.submodules[name] = FFSynchronizer(pin, level, init=level.init)
        bits, place, is_ours = Signal(8, init=FLAG), Signal(3), Signal()
        rises, falls = Signal(), Signal()
        m.d.sync += before.eq(clock)
        m.d.comb += [rises.eq(~idle & clock & ~before), falls.eq(~idle & ~clock & before), self.cipo.eq(bits[7])]
        # The byte to send is taken when its first bit is read: one that is never clocked out is kept.
        m.d.comb += self.x.ready.eq(rises & (place == 0) & is_ours)
        m.d.sync += self.strobe.eq(rises & (place == 7))
        with m.If(rises):
            m.d.sync += [self.byte.eq(Cat(data, self.byte[:7])), place.eq(place + 1)]
        with m.If(idle):
            m.d.sync += place.eq(0)
        with m.If(idle | (falls & (place == 0))):
            m.d.sync += [is_ours.eq(self.x.valid), bits.eq(Mux(self.x.valid, self.x.payload, FLAG))]
        with m.Elif(falls):
            m.d.sync += bits.eq(bits << 1)
        return m
