"""The store of a design's weights: takes images, writes the bank not in use, and changes banks between two frames."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .double_ram import COLUMN_BYTES
from .image import CRC, MAGIC, Layout
from .link.framing import SerialCrc
from .stream import BYTES


class WeightStore(wiring.Component):
    """Takes the bytes of images from ``x``, one in nine cycles at most.

    Bytes that do not continue the header of ``layout`` are passed over. An image of another layout counts as
    ``refused``, as does one whose CRC is wrong. A right one changes the ``bank`` once ``is_drained``, which ``hold``
    asks for, and counts as ``accepted``. ``write`` puts ``data`` to ``address`` of a column. A reset forgets an image
    under way, but not which bank is in use. ``is_filled``: there are contents without any image.
    """

    def __init__(self, layout: Layout):
        self._layout = layout
        longest = max(column.words for column in layout.columns)
        super().__init__(
            {
                "x": In(BYTES),
                "address": Out(range(max(2, longest))),
                "data": Out(8 * COLUMN_BYTES),
                "write": Out(len(layout.columns)),
                "bank": Out(1),
                "hold": Out(1),
                "is_drained": In(1),
                "is_filled": In(1),
                "is_loaded": Out(1),
                "is_replaced": Out(1),
                "accepted": Out(8),
                "refused": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = SerialCrc()
        taken, starts, is_waiting = Signal(), Signal(), Signal()
        bank, is_replaced = Signal(reset_less=True), Signal(reset_less=True)
        left = Signal(range(CRC + 1))
        m.d.comb += [
            self.bank.eq(bank),
            self.is_loaded.eq(is_replaced | self.is_filled),
            self.is_replaced.eq(is_replaced),
            self.x.ready.eq(~crc.busy & ~is_waiting),
            taken.eq(self.x.valid & self.x.ready),
            crc.byte.eq(self.x.payload),
            crc.push.eq(taken),
            crc.start.eq(starts),
        ]
        with m.FSM():
            with m.State("find"), m.If(self._find(m, taken, starts)):
                m.next = "fill"
            with m.State("fill"), m.If(self._fill(m, taken)):
                m.d.sync += left.eq(CRC)
                m.next = "check"
            with m.State("check"):
                m.d.comb += is_waiting.eq(left == 0)
                m.d.sync += left.eq(left - taken)
                with m.If(is_waiting & ~crc.busy):
                    m.d.sync += self.refused.eq(self.refused + ~crc.is_whole)
                    m.next = "find"
                    with m.If(crc.is_whole):
                        m.next = "drain"
            with m.State("drain"):
                m.d.comb += [self.hold.eq(1), is_waiting.eq(1)]
                with m.If(self.is_drained):
                    m.d.sync += [bank.eq(~bank), is_replaced.eq(1), self.accepted.eq(self.accepted + 1)]
                    m.next = "find"
        return m

    def _find(self, m: Module, taken: Signal, starts: Signal) -> Signal:
        """Compare the bytes that come with the header; the bit that it is complete."""
        header, ends = self._layout.header, Signal()
        place = Signal(range(len(header)))
        is_next = self.x.payload == Array(header)[place]
        m.d.comb += [
            starts.eq(taken & (~is_next | (place == 0))),
            ends.eq(taken & is_next & (place == len(header) - 1)),
        ]
        with m.If(taken):
            # No byte of the magic number comes twice in it.
            m.d.sync += place.eq(Mux(is_next & ~ends, place + 1, ~is_next & (self.x.payload == MAGIC[0])))
            m.d.sync += self.refused.eq(self.refused + (~is_next & (place >= len(MAGIC))))
        return ends

    def _fill(self, m: Module, taken: Signal) -> Signal:
        """Put bytes together to words, and write them one after the other; the bit that all have come."""
        columns, ends = self._layout.columns, Signal()
        column, word, byte = Signal(range(max(2, len(columns)))), Signal.like(self.address), Signal(range(COLUMN_BYTES))
        is_last_byte = byte == Array([one.bytes_each - 1 for one in columns])[column]
        is_last_word = word == Array([one.words - 1 for one in columns])[column]
        is_last_column = column == len(columns) - 1
        m.d.comb += ends.eq(taken & is_last_byte & is_last_word & is_last_column)
        m.d.sync += [self.address.eq(word), self.write.eq(0)]
        with m.If(taken):
            m.d.sync += [self.data.eq(Cat(self.data[8:], self.x.payload)), byte.eq(byte + 1)]
            with m.If(is_last_byte):
                m.d.sync += [byte.eq(0), word.eq(word + 1), self.write.eq(1 << column)]
                with m.If(is_last_word):
                    m.d.sync += [word.eq(0), column.eq(Mux(is_last_column, 0, column + 1))]
        return ends
