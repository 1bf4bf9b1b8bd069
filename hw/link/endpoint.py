"""The hardware's end of the link: takes packets, feeds the streams of a design, and answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..stream import BYTES, Beats, beats_of
from .framing import Framer, Unframer
from .inputs import InputPort
from .outputs import OutputPort
from .protocol import CRC, DIGEST, HEADER, MAGIC, MOST_STREAMS, VERSION, Kind

FETCH = 3
"""Cycles from the place of a byte to the byte: two to read it, one to choose whose it is."""


@dataclass(frozen=True)
class LinkOptions:
    """Sizes, powers of two. buffer: bytes that wait at an input; slots, slot: packets kept at an output, and the bytes
    of each, its length among them."""

    buffer: int = 512
    slots: int = 8
    slot: int = 64


@dataclass(frozen=True)
class Border:
    """A stream of the design: a frame takes ``beats`` beats."""

    beat: Beats
    beats: int


class Endpoint(wiring.Component):
    """``line`` brings bytes with ``strobe``, ten cycles apart or more, and ``y`` takes them away. Streams to the design
    are ``input_0`` and so on, those from it ``output_0``; ``restart`` resets it. Each status ends with the ``told``
    bytes of the design."""

    def __init__(
        self, inputs: Sequence[Border], outputs: Sequence[Border], digest: bytes, options: LinkOptions, told: int = 0
    ):
        assert len(digest) == DIGEST and max(len(inputs), len(outputs)) <= MOST_STREAMS
        self._inputs, self._outputs, self._options = list(inputs), list(outputs), options
        sizes = (options.buffer, options.slots, options.slot)
        self.identity = bytes(
            [*MAGIC, VERSION, *digest, len(inputs), len(outputs), *(size.bit_length() - 1 for size in sizes)]
        )
        super().__init__(
            {
                "line": In(8),
                "strobe": In(1),
                "y": Out(BYTES),
                "restart": Out(1),
                "told": In(8 * told),
                **{f"input_{number}": Out(beats_of(*one.beat)) for number, one in enumerate(inputs)},
                **{f"output_{number}": In(beats_of(*one.beat)) for number, one in enumerate(outputs)},
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.unframer, m.submodules.framer = unframer, framer = Unframer(), Framer()
        options = self._options
        reset = ResetInserter(self.restart)
        self._ways_in = [InputPort(options.buffer, one.beat) for one in self._inputs]
        self._ways_out = [OutputPort(options.slots, options.slot, one.beat, one.beats) for one in self._outputs]
        for number, port in enumerate(self._ways_in):
            m.submodules[f"input_{number}"] = reset(port)
            wiring.connect(m, port.y, wiring.flipped(getattr(self, f"input_{number}")))
        for number, port in enumerate(self._ways_out):
            m.submodules[f"output_{number}"] = reset(port)
            wiring.connect(m, wiring.flipped(getattr(self, f"output_{number}")), port.x)
        m.d.comb += [unframer.line.eq(self.line), unframer.strobe.eq(self.strobe)]
        wiring.connect(m, framer.y, wiring.flipped(self.y))
        self._take(m, unframer)
        self._answer(m, framer)
        return m

    def _take(self, m: Module, unframer: Unframer) -> None:
        """Packets that come: header, payload, and what they ask for."""
        self._expected = [Signal(8, name=f"expected_{number}") for number in range(len(self._ways_in))]
        self._refused, accepted = Signal(8), Signal()
        self._sequence, self._wants_status, self._wants_identity = Signal(8), Signal(), Signal()
        kind, port, sequence = Signal(4), Signal(4), Signal(8)
        position, left = Signal(range(HEADER + 1)), Signal(9)
        ended, is_payload, is_packet = Signal(), Signal(), Signal()
        is_long, has_counts = Signal(), Signal()
        counts = Signal(8 * len(self._ways_out))
        m.d.comb += is_payload.eq(unframer.push & (position == HEADER) & (left > CRC))
        m.d.comb += is_packet.eq(unframer.end & unframer.is_whole & (position == HEADER) & (left == 0) & ~is_long)
        with m.If(unframer.push):
            with m.Switch(position):
                with m.Case(0):
                    m.d.sync += Cat(port, kind).eq(unframer.byte)
                with m.Case(1):
                    m.d.sync += sequence.eq(unframer.byte)
                with m.Case(2):
                    m.d.sync += [left.eq(unframer.byte + CRC), has_counts.eq(unframer.byte == len(self._ways_out))]
            with m.If(position != HEADER):
                m.d.sync += position.eq(position + 1)
            with m.Elif(left == 0):
                m.d.sync += is_long.eq(1)
            with m.Else():
                m.d.sync += left.eq(left - 1)
        with m.If(is_payload):
            m.d.sync += counts.eq(Cat(counts[8:], unframer.byte))
        m.d.sync += ended.eq(unframer.end)
        with m.If(unframer.end):
            m.d.sync += [position.eq(0), is_long.eq(0)]
        commits = [way.commit for way in self._ways_in]
        is_about_outputs = (kind == Kind.POLL) | (kind == Kind.ACKNOWLEDGE)
        is_good = Mux(kind == Kind.DATA, Cat(*commits).any(), has_counts | ~is_about_outputs)
        m.d.comb += accepted.eq(is_packet & is_good)
        with m.If(self.restart):
            m.d.sync += self._refused.eq(0)
        with m.Elif(unframer.end & (position != 0) & ~accepted):
            m.d.sync += self._refused.eq(self._refused + 1)
        m.d.sync += self.restart.eq(is_packet & (kind == Kind.RESET))
        for number, way in enumerate(self._ways_in):
            is_next = (kind == Kind.DATA) & (port == number) & (sequence == self._expected[number]) & ~way.is_full
            m.d.comb += [
                way.begin.eq(ended),
                way.byte.eq(unframer.byte),
                way.push.eq(is_payload),
                way.commit.eq(is_packet & is_next),
            ]
            with m.If(self.restart):
                m.d.sync += self._expected[number].eq(0)
            with m.Elif(way.commit):
                m.d.sync += self._expected[number].eq(self._expected[number] + 1)
        for number, way in enumerate(self._ways_out):
            m.d.comb += [
                way.count.eq(counts.word_select(number, 8)),
                way.rewind.eq(kind == Kind.POLL),
                way.acknowledge.eq(accepted & is_about_outputs),
            ]
        with m.If(is_packet):
            is_about = (kind == Kind.RESET) | (kind == Kind.IDENTIFY)
            m.d.sync += [self._wants_identity.eq(is_about), self._wants_status.eq(~is_about)]
            with m.If(kind != Kind.DATA):
                m.d.sync += self._sequence.eq(sequence)

    def _answer(self, m: Module, framer: Framer) -> None:
        """Packets that go: an identity, a status, or a result, one after the other; head, sequence, then what starts
        with its length."""
        told = [self.told.word_select(place, 8) for place in range(len(self.told) // 8)]
        status = [self._refused, *self._expected, *(way.written for way in self._ways_out), *told]
        known = [[len(status), *status], [len(self.identity), *self.identity]]
        head, sequence, length, body = (Signal(8, name=name) for name in ("head", "sequence", "length", "body"))
        position, place, wait = Signal(range(HEADER)), Signal(8), Signal(range(FETCH + 1))
        is_sending, source = Signal(), Signal(range(2 + len(self._ways_out)))
        m.d.sync += body.eq(
            Array([*(Array(words)[place] for words in known), *(way.byte for way in self._ways_out)])[source]
        )
        for way in self._ways_out:
            m.d.comb += [way.slot.eq(sequence), way.place.eq(place)]
        is_body = position == HEADER - 1
        m.d.comb += [
            framer.x.valid.eq(is_sending & (wait == 0)),
            framer.x.payload.byte.eq(Array([head, sequence, body])[position]),
            framer.x.payload.last.eq(is_body & (place != 0) & (place == length)),
        ]
        start = [is_sending.eq(1), position.eq(0), place.eq(0), wait.eq(FETCH)]
        with m.If(is_sending):
            with m.If(wait != 0):
                m.d.sync += wait.eq(wait - 1)
            with m.If(framer.x.valid & framer.x.ready):
                m.d.sync += [is_sending.eq(~framer.x.payload.last), wait.eq(FETCH)]
                with m.If(~is_body):
                    m.d.sync += position.eq(position + 1)
                with m.Else():
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == 0):
                        m.d.sync += length.eq(body)
        with m.Elif(self._wants_identity):
            m.d.sync += [self._wants_identity.eq(0), source.eq(1), *start]
            m.d.sync += [head.eq(Kind.IDENTITY << 4), sequence.eq(self._sequence)]
        with m.Elif(self._wants_status):
            m.d.sync += [self._wants_status.eq(0), source.eq(0), *start]
            m.d.sync += [head.eq(Kind.STATUS << 4), sequence.eq(self._sequence)]
        for number, way in enumerate(self._ways_out):
            with m.Elif(way.pending):
                m.d.comb += way.take.eq(1)
                m.d.sync += [source.eq(2 + number), *start]
                m.d.sync += [head.eq(Kind.RESULT << 4 | number), sequence.eq(way.sequence)]
