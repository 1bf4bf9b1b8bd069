"""Packets between flags in hardware: what `protocol.py` does in Python. The CRC takes eight cycles for a byte."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from ..stream import BYTES
from .protocol import CRC, ESCAPE, FLAG, FLIP

CYCLES = 10
"""From one byte to the next, at least."""

BODY = data.StructLayout({"byte": 8, "last": 1})


class SerialCrc(wiring.Component):
    """The CRC of the bytes that came with ``push`` since ``start``, ``busy`` for eight cycles after each."""

    start: In(1)
    push: In(1)
    byte: In(8)
    busy: Out(1)
    crc: Out(32)
    is_whole: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.processor = processor = CRC32_ISO_HDLC(data_width=1).create()
        bits, left = Signal(8), Signal(4)
        with m.If(self.push):
            m.d.sync += [bits.eq(self.byte), left.eq(8)]
        with m.Elif(self.busy):
            m.d.sync += [bits.eq(bits >> 1), left.eq(left - 1)]
        m.d.comb += [
            self.busy.eq(left != 0),
            processor.start.eq(self.start),
            processor.valid.eq(self.busy),
            processor.data.eq(bits[0]),
            self.crc.eq(processor.crc),
            self.is_whole.eq(processor.match_detected),
        ]
        return m


class Unframer(wiring.Component):
    """Takes bytes of a line, ``CYCLES`` apart or more.

    ``push``: ``byte`` belongs to a packet. ``end``: its end, ``is_whole`` if its CRC, which is pushed too, is right.
    """

    line: In(8)
    strobe: In(1)
    byte: Out(8)
    push: Out(1)
    end: Out(1)
    is_whole: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = SerialCrc()
        is_escaped = Signal()
        is_flag, is_escape = self.line == FLAG, (self.line == ESCAPE) & ~is_escaped
        m.d.sync += [self.push.eq(0), self.end.eq(0)]
        with m.If(self.strobe):
            m.d.sync += [
                is_escaped.eq(is_escape),
                self.byte.eq(Mux(is_escaped, self.line ^ FLIP, self.line)),
                self.push.eq(~is_flag & ~is_escape),
                self.end.eq(is_flag),
                self.is_whole.eq(crc.is_whole & ~is_escaped),
            ]
        m.d.comb += [crc.start.eq(self.end), crc.push.eq(self.push), crc.byte.eq(self.byte)]
        return m


class Framer(wiring.Component):
    """Sends each packet of ``x``, up to ``last``, with its CRC and flags; ``y`` takes a byte in ``CYCLES`` or more."""

    x: In(stream.Signature(BODY))  # pyright: ignore[reportArgumentType]
    y: Out(BYTES)

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = SerialCrc()
        byte, is_free, is_escaping = Signal(8), Signal(), Signal()
        trailer, left = Signal(32), Signal(range(CRC + 1))
        special = Signal()
        m.d.comb += [
            is_free.eq(~self.y.valid | self.y.ready),
            byte.eq(Mux(left == 0, self.x.payload.byte, trailer[:8])),
            special.eq((byte == FLAG) | (byte == ESCAPE)),
        ]
        with m.If(is_free):
            m.d.sync += self.y.valid.eq(0)
        with m.FSM():
            with m.State("open"):
                m.d.comb += crc.start.eq(1)
                with m.If(self.x.valid & is_free):
                    m.d.sync += [self.y.payload.eq(FLAG), self.y.valid.eq(1)]
                    m.next = "send"
            with m.State("send"), m.If(is_free & ~crc.busy):
                m.d.sync += [
                    self.y.payload.eq(Mux(special & ~is_escaping, ESCAPE, Mux(is_escaping, byte ^ FLIP, byte))),
                    self.y.valid.eq(self.x.valid | (left != 0)),
                    is_escaping.eq(special & ~is_escaping & (self.x.valid | (left != 0))),
                ]
                with m.If((self.x.valid | (left != 0)) & (~special | is_escaping)):
                    with m.If(left == 0):
                        m.d.comb += [self.x.ready.eq(1), crc.push.eq(1), crc.byte.eq(byte)]
                        with m.If(self.x.payload.last):
                            m.next = "sum"
                    with m.Else():
                        m.d.sync += [trailer.eq(trailer >> 8), left.eq(left - 1)]
                        with m.If(left == 1):
                            m.next = "close"
            with m.State("sum"), m.If(~crc.busy):
                m.d.sync += [trailer.eq(crc.crc), left.eq(CRC)]
                m.next = "send"
            with m.State("close"), m.If(is_free):
                m.d.sync += [self.y.payload.eq(FLAG), self.y.valid.eq(1)]
                m.next = "open"
        return m
