"""A Wishbone B4 classic slave of 32 bits in front of a design's streams; each access takes two cycles, none waits."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..design import Design
from ..generated_core import GeneratedCore
from ..stream import Beats, beats_of
from . import registers as r
from .linked import numbered_borders
from .pins import lead_out
from .protocol import MAGIC, MOST_STREAMS, VERSION

WORD = 32
QUEUE = 512
"""Words that wait at an input or output: a block RAM."""

PORTS = {
    "wb_cyc": In(1), "wb_stb": In(1), "wb_we": In(1), "wb_sel": In(4), "wb_adr": In((r.WORDS - 1).bit_length()),
    "wb_dat_i": In(WORD), "wb_dat_o": Out(WORD), "wb_ack": Out(1),
}  # fmt: skip


class WordsIn(wiring.Component):
    """Beats of ``y`` from words, the lowest first: ``push`` adds ``word``; ``free`` words have room."""

    def __init__(self, beat: Beats):
        self._width = beat.lanes * beat.dtype.bits
        super().__init__({"word": In(WORD), "push": In(1), "free": Out(16), "y": Out(beats_of(*beat))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = SyncFIFOBuffered(width=WORD, depth=QUEUE)
        count = -(-self._width // WORD)
        beat, left = Signal(WORD * count, reset_less=True), Signal(range(count + 1), init=count)
        m.d.comb += [
            queue.w_data.eq(self.word), queue.w_en.eq(self.push), self.free.eq(QUEUE - queue.w_level),
            queue.r_en.eq(left != 0), self.y.payload.eq(beat), self.y.valid.eq(left == 0),
        ]  # fmt: skip
        with m.If(queue.r_en & queue.r_rdy):
            m.d.sync += [beat.eq(Cat(beat, queue.r_data)[WORD:]), left.eq(left - 1)]
        with m.If(self.y.valid & self.y.ready):
            m.d.sync += left.eq(count)
        return m


class WordsOut(wiring.Component):
    """Words of the beats of ``x``, the lowest first: ``word`` is there if ``count`` is not 0; ``pop`` takes it."""

    def __init__(self, beat: Beats):
        self._width = beat.lanes * beat.dtype.bits
        super().__init__({"word": Out(WORD), "pop": In(1), "count": Out(16), "x": In(beats_of(*beat))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = SyncFIFOBuffered(width=WORD, depth=QUEUE)
        count = -(-self._width // WORD)
        beat, left = Signal(WORD * count, reset_less=True), Signal(range(count + 1))
        m.d.comb += [
            self.x.ready.eq(left == 0), queue.w_data.eq(beat[:WORD]), queue.w_en.eq(left != 0),
            # What has been counted already may still be on its way to the queue's end.
            self.count.eq(Mux(queue.r_rdy, queue.r_level, 0)), self.word.eq(queue.r_data), queue.r_en.eq(self.pop),
        ]  # fmt: skip
        with m.If(self.x.valid & self.x.ready):
            m.d.sync += [beat.eq(self.x.payload), left.eq(count)]
        with m.Elif(queue.w_en & queue.w_rdy):
            m.d.sync += [beat.eq(beat >> WORD), left.eq(left - 1)]
        return m


class WishboneSlave(wiring.Component):
    """The registers of hw/link/registers.py. ``wb_adr`` counts words. Streams to the design are ``input_0`` and so on,
    those from it ``output_0``; ``restart`` resets it."""

    def __init__(self, inputs: Sequence[Beats], outputs: Sequence[Beats], digest: bytes):
        assert max(len(inputs), len(outputs)) <= MOST_STREAMS
        self._inputs, self._outputs, self._digest = inputs, outputs, digest
        super().__init__(
            PORTS
            | {"restart": Out(1)}
            | {f"input_{number}": Out(beats_of(*beat)) for number, beat in enumerate(inputs)}
            | {f"output_{number}": In(beats_of(*beat)) for number, beat in enumerate(outputs)}
        )

    def elaborate(self, platform):
        m = Module()
        reset = ResetInserter(self.restart)
        ways_in, ways_out = [WordsIn(beat) for beat in self._inputs], [WordsOut(beat) for beat in self._outputs]
        for number, way in enumerate(ways_in):
            m.submodules[f"input_{number}"] = reset(way)
            wiring.connect(m, way.y, wiring.flipped(getattr(self, f"input_{number}")))
        for number, way in enumerate(ways_out):
            m.submodules[f"output_{number}"] = reset(way)
            wiring.connect(m, wiring.flipped(getattr(self, f"output_{number}")), way.x)
        writes, reads, is_lost, is_early = Signal(), Signal(), Signal(), Signal()
        request = self.wb_cyc & self.wb_stb & ~self.wb_ack
        m.d.comb += [writes.eq(request & self.wb_we), reads.eq(request & ~self.wb_we)]
        m.d.sync += [self.wb_ack.eq(request), self.wb_dat_o.eq(0), self.restart.eq(0)]
        is_whole = self.wb_sel.all()
        with m.If(self.restart):
            m.d.sync += [is_lost.eq(0), is_early.eq(0)]
        with m.If(writes & (self.wb_adr == r.CONTROL.address) & self.wb_sel[0]):
            m.d.sync += self.restart.eq(self.wb_dat_i[0])
        for number, way in enumerate(ways_in):
            is_mine = writes & (self.wb_adr == r.IN_DATA.address + number)
            m.d.comb += [way.word.eq(self.wb_dat_i), way.push.eq(is_mine & is_whole & (way.free != 0))]
            with m.If(is_mine & ~way.push):
                m.d.sync += is_lost.eq(1)
        for number, way in enumerate(ways_out):
            is_mine = reads & (self.wb_adr == r.OUT_DATA.address + number)
            m.d.comb += way.pop.eq(is_mine & (way.count != 0))
            with m.If(is_mine & ~way.pop):
                m.d.sync += is_early.eq(1)
        with m.Switch(self.wb_adr):
            for address, value in self._values(ways_in, ways_out, Cat(is_lost, is_early)):
                with m.Case(address):
                    m.d.sync += self.wb_dat_o.eq(value)
        return m

    def _values(self, ways_in, ways_out, status):
        """What is read where."""
        constants = [
            int.from_bytes(MAGIC, "little"),
            VERSION | len(ways_in) << 8 | len(ways_out) << 16,
            *(int.from_bytes(self._digest[at : at + 4], "little") for at in range(0, len(self._digest), 4)),
        ]
        yield from ((register.address, value) for register, value in zip(r.IDENTITY, constants, strict=True))
        yield r.STATUS.address, status
        for number, way in enumerate(ways_in):
            yield r.IN_FREE.address + number, way.free
        for number, way in enumerate(ways_out):
            yield r.OUT_COUNT.address + number, way.count
            yield r.OUT_DATA.address + number, Mux(way.count != 0, way.word, 0)


class WishboneCore(wiring.Component):
    """The design, as it was generated, behind the slave, whose bus is its ports."""

    def __init__(self, design: Design, digest: bytes):
        self._design, self._sides = design, numbered_borders(design)
        beats = [[Beats(channel.lanes, channel.type.dtype) for channel in side] for side in self._sides]
        self._slave = WishboneSlave(beats[0], beats[1], digest)
        super().__init__(PORTS)

    def elaborate(self, platform):
        m = Module()
        m.submodules.slave, m.submodules.core = slave, core = self._slave, GeneratedCore(self._design)
        lead_out(m, slave, self, PORTS)
        m.d.comb += core.restart.eq(slave.restart)
        for number, channel in enumerate(self._sides[0]):
            wiring.connect(m, getattr(slave, f"input_{number}"), getattr(core, channel.port))
        for number, channel in enumerate(self._sides[1]):
            wiring.connect(m, getattr(core, channel.port), getattr(slave, f"output_{number}"))
        return m
