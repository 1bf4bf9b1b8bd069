"""A session with an accelerator: sends bytes to its inputs, collects its packets, and repeats what gets lost.

The hardware keeps the order of packets and has no timers, so that one question settles everything: when an answer to a
poll is here, all that was sent before has arrived or is lost, and the answer says how far it came.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...errors import LinkError
from ...hw.link.protocol import DIGEST, LONGEST, MAGIC, SEQUENCES, VERSION, Decoder, Kind, Packet

PATIENCE_S = 0.5
"""Without any progress, until the hardware is asked."""

TRIES = 20
"""Questions without an answer, until the session gives up."""

SHORTEST = 16
"""Bytes that packets are not made shorter than; around them are eleven."""


class Line(Protocol):
    """A port: bytes out, and in what has come within ``timeout_s``, at least one byte if there is one."""

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes: ...


@dataclass(frozen=True)
class Identity:
    """What the hardware says of itself. buffer: bytes that wait at an input; slots: packets kept at an output, of up to
    ``slot`` - 1 bytes."""

    digest: bytes
    inputs: int
    outputs: int
    buffer: int
    slots: int
    slot: int

    @classmethod
    def parse(cls, payload: bytes) -> "Identity":
        size = len(MAGIC) + 1 + DIGEST
        if payload[: len(MAGIC)] != MAGIC or len(payload) != size + 5:
            raise LinkError("the device answers, but is no accelerator of Espalier; check the port and the bitstream")
        if payload[len(MAGIC)] != VERSION:
            raise LinkError(
                f"the device speaks version {payload[len(MAGIC)]} of the link, this is version {VERSION}; generate and "
                "load its bitstream again"
            )
        inputs, outputs, *sizes = payload[size:]
        return cls(payload[len(MAGIC) + 1 : size], inputs, outputs, *(1 << size for size in sizes))


@dataclass
class Counts:
    """What a session saw. repeated: packets sent again; dropped: packets that came damaged; polls: questions."""

    sent: int = 0
    repeated: int = 0
    dropped: int = 0
    polls: int = 0


@dataclass
class _Outgoing:
    """The bytes of an input. arrived, first: those that the hardware has, in bytes and in packets; under_way: lengths
    of the packets sent since; furthest: where the bytes end that were ever sent."""

    data: bytes
    arrived: int = 0
    first: int = 0
    under_way: list[int] = field(default_factory=list)
    furthest: int = 0

    def next(self, size: int) -> bytes:
        """The next packet of up to ``size`` bytes; it counts as sent."""
        at = self.arrived + sum(self.under_way)
        packet = self.data[at : at + size]
        self.under_way.append(len(packet))
        return packet

    def confirm(self, packets: int) -> None:
        """So many packets have arrived."""
        self.arrived += sum(self.under_way[:packets])
        self.first += packets
        del self.under_way[:packets]

    @property
    def is_all_sent(self) -> bool:
        return self.arrived + sum(self.under_way) == len(self.data)

    @property
    def has_arrived(self) -> bool:
        return self.arrived == len(self.data)


AHEAD = 4
"""Packets under way at once."""


class _Size:
    """Bytes of a packet: less where much gets lost, so that short ones come through."""

    def __init__(self, most: int):
        self._most, self.now = most, most

    def grow(self) -> None:
        self.now = min(self._most, self.now + 1)

    def shrink(self) -> None:
        self.now = max(min(SHORTEST, self._most), self.now // 2)


@dataclass
class _Incoming:
    """The packets of an output, and how many of them were acknowledged."""

    wanted: int
    packets: list[bytes] = field(default_factory=list)
    acknowledged: int = 0

    @property
    def is_complete(self) -> bool:
        return len(self.packets) == self.wanted


class Session:
    """Of one link; ``connect`` comes first. patience_s: without progress, until the hardware is asked."""

    def __init__(self, line: Line, *, patience_s: float = PATIENCE_S, tries: int = TRIES):
        self._line, self._patience_s, self._tries = line, patience_s, tries
        self._decoder = Decoder()
        self._sequence, self._refused = 0, 0
        self._sent: list[int] = []
        self._received: list[int] = []
        self.counts = Counts()

    def connect(self) -> Identity:
        """Reset the hardware, and learn what it is."""
        for _ in range(self._tries):
            asked = self._send(Kind.RESET)
            for packet in self._wait(Kind.IDENTITY, asked):
                self.identity = Identity.parse(packet.payload)
                self._refused = 0
                self._sent, self._received = [0] * self.identity.inputs, [0] * self.identity.outputs
                return self.identity
        raise LinkError(
            f"no answer from the device after {self._tries} tries; check the port, its rate, and that the bitstream is "
            "loaded"
        )

    def exchange(
        self, inputs: Sequence[bytes], packets: Sequence[int], progress: Callable[[int], None] = lambda count: None
    ) -> list[list[bytes]]:
        """Send ``inputs``, one for each input, and return for each output as many packets as ``packets`` says, once all
        has arrived.

        progress: called with the number of packets that have come.
        """
        ways, results = [_Outgoing(data) for data in inputs], [_Incoming(count) for count in packets]
        size = _Size(min(LONGEST, self.identity.buffer // (2 * AHEAD)))
        last, tries, asked = time.monotonic(), 0, None
        while not (all(way.has_arrived for way in ways) and all(result.is_complete for result in results)):
            if asked is None:
                self._send_some(ways, size.now)
            is_lost = False
            for packet in self._decoder.feed(self._line.read(self._patience_s / 4)):
                before = self._state(ways, results)
                is_lost |= self._take(packet, ways, results, asked, size)
                if asked is not None and packet.kind == Kind.STATUS and packet.sequence == asked:
                    asked, tries = None, 0
                if self._state(ways, results) != before:
                    last = time.monotonic()
                    progress(sum(len(result.packets) for result in results))
            self.counts.dropped = self._decoder.dropped
            self._acknowledge(results)
            is_late = time.monotonic() - last > self._patience_s
            if (is_lost and asked is None) or is_late:
                if tries == self._tries:
                    raise LinkError(
                        f"the device stopped answering after {sum(len(result.packets) for result in results)} of "
                        f"{sum(packets)} packets; check the cable and load the bitstream again"
                    )
                asked, tries, last = self._ask(Kind.POLL, results), tries + 1, time.monotonic()
                self.counts.polls += 1
                size.shrink()
        for port, way in enumerate(ways):
            self._sent[port] += way.first
        for port, result in enumerate(results):
            self._received[port] += result.wanted
        self._ask(Kind.ACKNOWLEDGE, [_Incoming(0) for _ in results])
        return [result.packets for result in results]

    def ask_told(self) -> bytes:
        """What the design tells at the end of a status."""
        for _ in range(self._tries):
            asked = self._ask(Kind.ACKNOWLEDGE, [_Incoming(0) for _ in self._received])
            for packet in self._wait(Kind.STATUS, asked):
                return packet.payload[1 + self.identity.inputs + self.identity.outputs :]
        raise LinkError(
            f"the device did not answer {self._tries} questions; check the cable and load the bitstream again"
        )

    def _state(self, ways: Sequence[_Outgoing], results: Sequence[_Incoming]) -> int:
        return sum(way.first for way in ways) + sum(len(result.packets) for result in results)

    def _send_some(self, ways: Sequence[_Outgoing], size: int) -> None:
        """A few packets ahead: what follows a lost one is repeated with it."""
        for port, way in enumerate(ways):
            while not way.is_all_sent and len(way.under_way) < AHEAD:
                sequence = (self._sent[port] + way.first + len(way.under_way)) % SEQUENCES
                self._write(Packet(Kind.DATA, port, sequence, way.next(size)))
                end = way.arrived + sum(way.under_way)
                self.counts.repeated += end <= way.furthest
                way.furthest = max(way.furthest, end)

    def _take(
        self,
        packet: Packet,
        ways: Sequence[_Outgoing],
        results: Sequence[_Incoming],
        asked: int | None,
        size: _Size,
    ) -> bool:
        """Whether something is lost."""
        if packet.kind == Kind.RESULT and packet.port < len(results):
            result = results[packet.port]
            ahead = (packet.sequence - self._received[packet.port] - len(result.packets)) % SEQUENCES
            if ahead == 0 and len(result.packets) < result.wanted:
                result.packets.append(packet.payload)
            return 0 < ahead < SEQUENCES // 2
        if packet.kind != Kind.STATUS or len(packet.payload) < 1 + len(ways):
            return False
        is_lost, self._refused = packet.payload[0] != self._refused, packet.payload[0]
        for port, way in enumerate(ways):
            arrived = (packet.payload[1 + port] - self._sent[port] - way.first) % SEQUENCES
            if arrived <= len(way.under_way):
                way.confirm(arrived)
                size.grow()
            if packet.sequence == asked:
                way.under_way.clear()
        return is_lost and packet.sequence != asked

    def _acknowledge(self, results: Sequence[_Incoming]) -> None:
        if any(len(result.packets) - result.acknowledged >= self.identity.slots // 2 for result in results):
            self._ask(Kind.ACKNOWLEDGE, results)

    def _ask(self, kind: Kind, results: Sequence[_Incoming]) -> int:
        """Send how many packets have come of each output."""
        counts = []
        for received, result in zip(self._received, results, strict=True):
            counts.append((received + len(result.packets)) % SEQUENCES)
            result.acknowledged = len(result.packets)
        return self._send(kind, bytes(counts))

    def _send(self, kind: Kind, payload: bytes = b"") -> int:
        self._sequence = (self._sequence + 1) % SEQUENCES
        self._write(Packet(kind, 0, self._sequence, payload))
        return self._sequence

    def _write(self, packet: Packet) -> None:
        self._line.write(packet.encode())
        self.counts.sent += 1

    def _wait(self, kind: Kind, sequence: int) -> list[Packet]:
        """The first such packet, or none if it does not come in time."""
        end = time.monotonic() + self._patience_s
        while (left := end - time.monotonic()) > 0:
            for packet in self._decoder.feed(self._line.read(left)):
                if (packet.kind, packet.sequence) == (kind, sequence):
                    return [packet]
        return []
