"""What comes over a link's line, as a bench understands it, apart from the hardware: bytes, packets and their CRC."""

import zlib
from dataclasses import dataclass

from amaranth.hdl import Assume, Const, Module, Mux, Signal, Value

from espalier.hw.link.framing import CYCLES
from espalier.hw.link.protocol import ESCAPE, FLAG, FLIP

POLYNOMIAL, START = 0xEDB88320, 0xFFFFFFFF
# Inverted, as zlib gives it, of any bytes that their own CRC follows.
RESIDUE = ~zlib.crc32(zlib.crc32(b"").to_bytes(4, "little")) & START


def add_bits(m, crc, bits, count, most: int):
    """The CRC after the lowest ``count`` of ``bits``, ``most`` at the highest."""
    for place in range(most):
        following = Signal(32, name=f"crc_{place}")
        shifted = crc[1:] ^ Mux(crc[0] ^ bits[place], POLYNOMIAL, 0)
        m.d.comb += following.eq(Mux(place < count, shifted, crc))
        crc = following
    return crc


def add_byte(m, crc, byte):
    return add_bits(m, crc, byte, Const(8), 8)


def fold_ones(count: int) -> int:
    """The CRC, begun at 0, of ``count`` bytes of ones."""
    crc = 0
    for _ in range(8 * count):
        crc = crc >> 1 ^ POLYNOMIAL * (~crc & 1)
    return crc


def settle(m, inside, place: int):
    """The CRC that the ``place``-th SerialCrc comes to when it is no longer busy."""
    found = inside.of("SerialCrc", place)
    return add_bits(m, found["self"].crc ^ START, found["bits"], found["left"], 8)


@dataclass(frozen=True)
class Line:
    """A line whose bytes come ``CYCLES`` apart or more; a cycle after each, ``push`` says that ``byte`` belongs to a
    packet, and ``end`` that it ended one, ``is_whole`` if what it had is right.

    since: cycles since a byte, ``CYCLES`` if more. crc, is_escaped: of what has come of a packet; then_crc,
    then_escaped: when the byte on the line has come, too.
    """

    since: Signal
    push: Signal
    byte: Signal
    end: Signal
    is_whole: Signal
    crc: Signal
    is_escaped: Signal
    then_crc: Value
    then_escaped: Value
    decoded: Value


def listen(m: Module, line: Value, strobe: Value) -> Line:
    since, is_escaped, crc = Signal(4, name="since", init=CYCLES), Signal(name="is_escaped"), Signal(32, init=START)
    push, end, is_whole, byte = Signal(name="push"), Signal(name="end"), Signal(name="is_whole"), Signal(8)
    is_flag, is_escape = line == FLAG, (line == ESCAPE) & ~is_escaped
    decoded = line ^ Mux(is_escaped, FLIP, 0)
    then_crc = Mux(is_flag, START, Mux(is_escape, crc, add_byte(m, crc, decoded)))
    m.d.comb += Assume(~strobe | (since == CYCLES))
    m.d.sync += [
        since.eq(Mux(strobe, 1, Mux(since == CYCLES, since, since + 1))),
        push.eq(strobe & ~is_flag & ~is_escape),
        end.eq(strobe & is_flag),
        is_whole.eq((crc == RESIDUE) & ~is_escaped),
        byte.eq(decoded),
    ]
    with m.If(strobe):
        m.d.sync += [is_escaped.eq(is_escape), crc.eq(then_crc)]
    return Line(since, push, byte, end, is_whole, crc, is_escaped, then_crc, is_escape, decoded)
