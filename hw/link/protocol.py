"""What host and hardware say to each other: packets with kind, sequence number, length and CRC between flag bytes.

Framing is that of PPP in HDLC (RFC 1662): a packet stands between two flags, and flags and escapes inside it are
escaped, so that after any garbage the next flag starts afresh. The CRC is the 32-bit one of RFC 1662, too.

The hardware has no timers. The host repeats what was not acknowledged, and asks for what it misses. Each packet that
comes in whole is answered by a status, an identity, or not at all if another answer is due anyway.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
HEADER, CRC = 3, 4
"""Bytes: kind, sequence, length before the payload; the CRC after it."""

LONGEST = 255
"""Bytes of payload."""

SEQUENCES = 256
MOST_STREAMS = 16
"""Inputs, and outputs: their number has four bits."""

MAGIC = b"ESPL"
VERSION = 1
DIGEST = 16

TOLD = 3
"""Bytes at the end of a status, of a design with weights to load: images accepted, refused, and their state."""


class Kind(IntEnum):
    """The upper four bits of the first byte; the lower four are the number of an input or output."""

    DATA = 1
    POLL = 2
    ACKNOWLEDGE = 3
    IDENTIFY = 4
    RESET = 5
    RESULT = 9
    STATUS = 10
    IDENTITY = 11


@dataclass(frozen=True)
class Packet:
    """``port``: the number of a stream, 0 to 15. ``sequence``: 0 to 255."""

    kind: Kind
    port: int = 0
    sequence: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """Bytes for the line, flags included."""
        body = bytes([self.kind << 4 | self.port, self.sequence, len(self.payload)]) + self.payload
        body += zlib.crc32(body).to_bytes(CRC, "little")
        return bytes([FLAG, *_escape(body), FLAG])


def _escape(body: bytes) -> Iterator[int]:
    for byte in body:
        if byte in (FLAG, ESCAPE):
            yield ESCAPE
            yield byte ^ FLIP
        else:
            yield byte


class Decoder:
    """Finds packets in what a line brings; everything else is dropped and counted in ``dropped``."""

    def __init__(self):
        self._body, self._is_escaped, self.dropped = bytearray(), False, 0

    def feed(self, received: bytes) -> Iterator[Packet]:
        for byte in received:
            if byte == FLAG:
                yield from self._end()
            elif byte == ESCAPE and not self._is_escaped:
                self._is_escaped = True
            else:
                self._body.append(byte ^ FLIP if self._is_escaped else byte)
                self._is_escaped = False

    def _end(self) -> Iterator[Packet]:
        body, is_escaped = bytes(self._body), self._is_escaped
        self._body.clear()
        self._is_escaped = False
        if not body and not is_escaped:
            return
        packet = None if is_escaped else parse(body)
        if packet:
            yield packet
        else:
            self.dropped += 1


def parse(body: bytes) -> Packet | None:
    """The packet of an unescaped body, None if it is none."""
    if len(body) < HEADER + CRC or len(body) != HEADER + body[2] + CRC:
        return None
    if zlib.crc32(body[:-CRC]).to_bytes(CRC, "little") != body[-CRC:]:
        return None
    if body[0] >> 4 not in set(Kind):
        return None
    return Packet(Kind(body[0] >> 4), body[0] & 15, body[1], body[HEADER:-CRC])
