"""The CRC of a link's packets as a bench computes it, apart from the hardware's own."""

import zlib

from amaranth.hdl import Const, Mux, Signal

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
