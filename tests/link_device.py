"""The hardware's end of the link in Python, and a line to it that loses, changes and repeats bytes."""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence

from espalier.hw.link.endpoint import LinkOptions
from espalier.hw.link.protocol import ESCAPE, FLAG, FLIP, MAGIC, VERSION, Kind, Packet

DIGEST = bytes(range(16))


class Device:
    """Inputs take frames of so many bytes, and ``work`` makes the bytes of each output of them."""

    def __init__(
        self,
        frames: Sequence[int],
        work: Callable[[list[bytes]], list[bytes]],
        options: LinkOptions,
        outputs: int = 1,
    ):
        self.frames, self.work, self.options, self.outputs = frames, work, options, outputs
        self.body, self.is_escaped, self.answers = bytearray(), False, []
        self.sequence = 0
        self.reset()

    def reset(self):
        self.refused, self.expected = 0, [0 for _ in self.frames]
        self.waiting = [bytearray() for _ in self.frames]
        self.kept: list[list[bytes]] = [[] for _ in range(self.outputs)]
        self.acknowledged, self.sent = [0] * self.outputs, [0] * self.outputs

    def feed(self, line: bytes) -> list[Packet]:
        """What it answers to bytes of the line."""
        self.answers = []
        for byte in line:
            if byte == FLAG:
                self.end(bytes(self.body))
                self.body.clear()
                self.is_escaped = False
            elif byte == ESCAPE and not self.is_escaped:
                self.is_escaped = True
            else:
                self.body.append(byte ^ FLIP if self.is_escaped else byte)
                self.is_escaped = False
        return self.answers

    def end(self, body: bytes):
        is_whole = len(body) >= 7 and len(body) == body[2] + 7 and not self.is_escaped
        if is_whole and zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little"):
            self.take(body[0] >> 4, body[0] & 15, body[1], body[3:-4])
        elif body:
            self.refused = (self.refused + 1) % 256

    def take(self, kind: int, port: int, sequence: int, payload: bytes):
        if kind == Kind.DATA:
            is_accepted = self.take_data(port, sequence, payload)
        elif kind in (Kind.POLL, Kind.ACKNOWLEDGE):
            is_accepted = self.take_counts(payload, is_poll=kind == Kind.POLL)
        else:
            is_accepted = True
        self.refused = (self.refused + (not is_accepted)) % 256
        if kind != Kind.DATA:
            self.sequence = sequence
        if kind == Kind.RESET:
            self.reset()
        if kind in (Kind.RESET, Kind.IDENTIFY):
            sizes = (self.options.buffer, self.options.slots, self.options.slot)
            counts = [len(self.frames), self.outputs, *(size.bit_length() - 1 for size in sizes)]
            self.answers.append(Packet(Kind.IDENTITY, 0, sequence, bytes([*MAGIC, VERSION, *DIGEST, *counts])))
        else:
            self.answers.append(Packet(Kind.STATUS, 0, self.sequence, self.status()))
        self.send()

    def status(self) -> bytes:
        written = [count + len(kept) for count, kept in zip(self.acknowledged, self.kept)]
        return bytes(count % 256 for count in (self.refused, *self.expected, *written))

    def take_data(self, port: int, sequence: int, payload: bytes) -> bool:
        if port >= len(self.frames) or sequence != self.expected[port] % 256:
            return False
        if len(self.waiting[port]) + len(payload) > self.options.buffer:
            return False
        self.waiting[port] += payload
        self.expected[port] += 1
        return True

    def take_counts(self, payload: bytes, *, is_poll: bool) -> bool:
        if len(payload) != self.outputs:
            return False
        for port, count in enumerate(payload):
            new = (count - self.acknowledged[port]) % 256
            if new <= len(self.kept[port]):
                del self.kept[port][:new]
                self.acknowledged[port] += new
                if is_poll or self.sent[port] < self.acknowledged[port]:
                    self.sent[port] = self.acknowledged[port]
        return True

    def send(self):
        """Compute as far as there is room, and send what was not sent."""
        most, is_moving = self.options.slot - 1, True
        while is_moving:
            is_moving = all(len(waiting) >= size for waiting, size in zip(self.waiting, self.frames))
            if is_moving:
                results = self.work([bytes(waiting[:size]) for waiting, size in zip(self.waiting, self.frames)])
                packets = [[result[at : at + most] for at in range(0, len(result), most)] for result in results]
                is_moving = all(len(kept) + len(more) <= self.options.slots for kept, more in zip(self.kept, packets))
            if is_moving:
                for waiting, size in zip(self.waiting, self.frames):
                    del waiting[:size]
                for kept, more in zip(self.kept, packets):
                    kept += more
        self.send_kept()

    def send_kept(self):
        for port, kept in enumerate(self.kept):
            for sequence in range(self.sent[port], self.acknowledged[port] + len(kept)):
                packet = kept[sequence - self.acknowledged[port]]
                self.answers.append(Packet(Kind.RESULT, port, sequence % 256, packet))
            self.sent[port] = self.acknowledged[port] + len(kept)


def damaged(data: bytes, damage: float, chance: random.Random) -> Iterator[int]:
    """``data``, each byte lost, changed or repeated with a third of the probability ``damage``."""
    for byte in data:
        kind = int(3 * chance.random() / damage) if damage else 3
        if kind == 1:
            yield byte ^ chance.randrange(1, 256)
        elif kind:
            yield byte
        if kind == 2:
            yield byte


class DeviceLine:
    """A line to ``device``, damaged both ways, that hands over a few bytes at a time."""

    def __init__(self, device: Device, damage: float = 0.0, seed: int = 0):
        self.device, self.damage, self.chance = device, damage, random.Random(seed)
        self.waiting = bytearray()

    def write(self, data: bytes) -> None:
        answers = self.device.feed(bytes(damaged(data, self.damage, self.chance)))
        for answer in answers:
            self.waiting += bytes(damaged(answer.encode(), self.damage, self.chance))

    def read(self, timeout_s: float) -> bytes:
        found = bytes(self.waiting[:40])
        del self.waiting[:40]
        return found
