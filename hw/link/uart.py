"""An asynchronous serial line: 8 bits, least significant first, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ...errors import PlanError
from ..stream import BYTES

FASTEST = 8
"""Cycles that a bit takes at least: the middle of a bit is found to within one of them, and the CRC takes one a bit."""

CLOSE = 0.02
"""By so much of itself a bit may be shorter or longer than the rate says: ten of them are then off by a fifth of one,
which leaves as much to the other end."""


def cycles_per_bit(clock_mhz: float, baud: int) -> int:
    """Cycles of a bit; raises PlanError where no whole number comes close, or where there are too few."""
    exact = clock_mhz * 1e6 / baud
    cycles = round(exact)
    if cycles < FASTEST or abs(cycles / exact - 1) > CLOSE:
        found = f"{exact:.2f} cycles of {clock_mhz:g} MHz"
        raise PlanError(
            f"--baud {baud}: a bit takes {found}, needed are at least {FASTEST} and a whole number to within "
            f"{CLOSE:.0%}; choose {_suggest(clock_mhz)}another clock"
        )
    return cycles


def _suggest(clock_mhz: float) -> str:
    """The fastest usual rate that this clock can have, if there is one."""
    usual = (3_000_000, 2_000_000, 1_000_000, 921_600, 460_800, 230_400, 115_200, 57_600, 9_600)
    exact = ((rate, clock_mhz * 1e6 / rate) for rate in usual)
    fits = (f"{rate} or " for rate, cycles in exact if cycles >= FASTEST and abs(round(cycles) / cycles - 1) <= CLOSE)
    return next(fits, "")


class UartReceiver(wiring.Component):
    """``strobe`` for one cycle with each byte; one without a stop bit is dropped. cycles: of a bit."""

    line: In(1, init=1)
    byte: Out(8)
    strobe: Out(1)

    def __init__(self, cycles: int):
        self._cycles = cycles
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        level = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.line, level, init=1)
        timer, left = Signal(range(self._cycles)), Signal(range(11))
        m.d.sync += self.strobe.eq(0)
        with m.If(left == 0), m.If(~level):
            m.d.sync += [left.eq(10), timer.eq(self._cycles // 2 - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self._cycles - 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.d.sync += self.strobe.eq(level)
            with m.Else():
                m.d.sync += self.byte.eq(Cat(self.byte[1:], level))
            with m.If((left == 10) & level):  # a glitch, no start bit
                m.d.sync += left.eq(0)
        return m


class UartTransmitter(wiring.Component):
    """Sends the bytes of ``x``. cycles: of a bit."""

    x: In(BYTES)
    line: Out(1, init=1)

    def __init__(self, cycles: int):
        self._cycles = cycles
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        timer, left, bits = Signal(range(self._cycles)), Signal(range(11)), Signal(9)
        m.d.comb += self.x.ready.eq(left == 0)
        with m.If(self.x.valid & self.x.ready):
            m.d.sync += [bits.eq(Cat(self.x.payload, 1)), self.line.eq(0), left.eq(10), timer.eq(self._cycles - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [Cat(self.line, bits).eq(Cat(bits, 1)), left.eq(left - 1), timer.eq(self._cycles - 1)]
        return m


class Uart(wiring.Component):
    """Both ways of a line, as a transport (hw/link/linked.py). cycles: of a bit."""

    def __init__(self, cycles: int):
        self._cycles = cycles
        self.pins = {"rx": In(1, init=1), "tx": Out(1, init=1)}
        super().__init__({**self.pins, "byte": Out(8), "strobe": Out(1), "x": In(BYTES)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self._cycles)
        m.submodules.transmitter = transmitter = UartTransmitter(self._cycles)
        m.d.comb += [receiver.line.eq(self.rx), self.byte.eq(receiver.byte), self.strobe.eq(receiver.strobe)]
        m.d.comb += self.tx.eq(transmitter.line)
        wiring.connect(m, wiring.flipped(self.x), transmitter.x)
        return m
