"""The hardware's end of the link against one in Python, packet for packet."""

import random
from dataclasses import replace

import pytest

from espalier.hw.link.protocol import ESCAPE, FLAG, MAGIC, VERSION, Decoder, Kind, Packet
from link_device import DIGEST
from link_loops import LARGE, LOOPS, NARROW, TWO, WIDE, LoopDevice, compile_endpoints, feed

pytestmark = pytest.mark.verilator

RANDOM_BYTES = 1_000_000


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compile_endpoints(tmp_path_factory.mktemp("endpoints"))


@pytest.fixture
def answers(program, tmp_path):
    """What an endpoint answers to parts, packets or bytes, with a pause after each; all of it must be whole packets."""

    def ask(loop, parts, gap=10):
        settle = gap * 4 * (loop.options.slots * loop.options.slot + 200)
        lines = [part.encode() if isinstance(part, Packet) else part for part in parts]
        got = feed(program, tmp_path / "run", loop, [one for line in lines for one in (line, settle)], gap)
        decoder = Decoder()
        found = list(decoder.feed(got))
        assert decoder.dropped == 0
        return found

    return ask


def expected(loop, parts):
    device = LoopDevice(loop)
    return [packet for part in parts for packet in device.feed(part.encode() if isinstance(part, Packet) else part)]


def alike(packets, loop):
    """Without what outputs have written so far: that is still on its way while a status is sent."""
    known = 1 + len(loop.streams)
    return [replace(one, payload=one.payload[:known]) if one.kind == Kind.STATUS else one for one in packets]


def data(sequence, payload, port=0):
    return Packet(Kind.DATA, port, sequence % 256, payload)


def poll(sequence, *counts):
    return Packet(Kind.POLL, 0, sequence % 256, bytes(count % 256 for count in counts))


def frame_of(loop, port, seed):
    return random.Random(seed).randbytes(loop.sizes[port] * loop.streams[port][2])


def session(loop, frames, seed=0):
    """Packets of a host that sends some frames to each input and acknowledges as it likes."""
    chance, sent, parts = random.Random(seed), [0] * len(loop.streams), [Packet(Kind.RESET, 0, 1)]
    device = LoopDevice(loop)
    for _ in range(frames):
        for port in range(len(loop.streams)):
            frame, at = frame_of(loop, port, chance.random()), 0
            while at < len(frame):
                size = chance.randrange(1, min(256, loop.options.buffer))
                parts.append(data(sent[port], frame[at : at + size], port))
                at, sent[port] = at + size, sent[port] + 1
        for part in parts:
            device.feed(part.encode())
        kinds = [Kind.POLL, Kind.ACKNOWLEDGE, Kind.ACKNOWLEDGE]
        for count in range(3):
            counts = bytes(
                (device.acknowledged[port] + chance.randrange(loop.options.slots + 1)) % 256
                for port in range(device.outputs)
            )
            parts.append(Packet(chance.choice(kinds), 0, count, counts))
    return parts


def spoiled(line, chance):
    """A packet's bytes with a bit flipped, a part cut out, a part repeated, or something inserted."""
    at, end = sorted(chance.sample(range(len(line) + 1), 2))
    kind = chance.randrange(4)
    if kind == 0:
        return line[:at] + bytes([line[at] ^ 1 << chance.randrange(8)]) + line[at + 1 :]
    if kind == 1:
        return line[:at] + line[end:]
    if kind == 2:
        return line[:end] + line[at:]
    return line[:at] + chance.choice([bytes([ESCAPE]), bytes([FLAG]), chance.randbytes(3)]) + line[at:]


def by_packets(line):
    """``line`` cut behind each flag, so that every packet is answered before the next."""
    return [part + bytes([FLAG]) for part in line.split(bytes([FLAG]))]


@pytest.mark.parametrize("loop", LOOPS, ids=["narrow", "wide", "large", "two"])
def test_packets_are_answered_as_in_python(answers, loop):
    parts = session(loop, 12)
    assert alike(answers(loop, parts), loop) == alike(expected(loop, parts), loop)


@pytest.mark.parametrize("loop", [NARROW, TWO], ids=["narrow", "two"])
def test_of_spoiled_packets_only_whole_ones_have_an_effect(answers, loop):
    chance = random.Random(0)
    parts = [
        cut
        for part in session(loop, 8)
        for line in (spoiled(part.encode(), chance), part.encode())
        for cut in by_packets(line)
    ]
    assert alike(answers(loop, parts), loop) == alike(expected(loop, parts), loop)


def check_fuzz(answers, seed, count=RANDOM_BYTES):
    """Random bytes, then a correct frame, which is answered correctly; everything else is the same as in Python."""
    garbage = random.Random(seed).randbytes(count)
    frame = frame_of(NARROW, 0, 0)
    asked = [Packet(Kind.IDENTIFY, 0, 7), Packet(Kind.RESET, 0, 8), data(0, frame)]
    found = answers(NARROW, [garbage, bytes([FLAG]), *asked])
    identity, again, status, result = found[-4:]
    assert (identity.kind, identity.sequence, identity.payload[5:21]) == (Kind.IDENTITY, 7, DIGEST)
    assert again == Packet(Kind.IDENTITY, 0, 8, identity.payload)
    assert (status.kind, status.sequence, status.payload[:2]) == (Kind.STATUS, 8, bytes([0, 1]))
    assert result == Packet(Kind.RESULT, 0, 0, NARROW.come_back(0, frame))
    assert alike(found, NARROW) == alike(expected(NARROW, [garbage, bytes([FLAG]), *asked]), NARROW)


def test_a_frame_after_a_million_random_bytes_is_answered_correctly(answers):
    check_fuzz(answers, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_a_frame_after_other_random_bytes_is_answered_correctly(answers, seed):
    check_fuzz(answers, seed)


def test_the_identity_holds_digest_and_sizes(answers):
    (found,) = answers(WIDE, [Packet(Kind.IDENTIFY, 0, 3)])
    assert found == Packet(Kind.IDENTITY, 0, 3, bytes([*MAGIC, VERSION, *DIGEST, 1, 1, 5, 2, 3]))


def test_reset_in_the_middle_of_a_frame_starts_afresh(answers):
    half, frame = bytes([1, 2, 3]), frame_of(NARROW, 0, 1)
    parts = [data(0, half), Packet(Kind.RESET, 0, 5), data(0, frame)]
    assert answers(NARROW, parts)[-1] == Packet(Kind.RESULT, 0, 0, NARROW.come_back(0, frame))


def test_reset_while_a_result_is_sent_starts_afresh(answers):
    frame = frame_of(LARGE, 0, 1)
    parts = [
        data(0, frame[:150]),
        data(1, frame[150:]).encode() + Packet(Kind.RESET, 0, 5).encode(),
        data(0, frame[:150]),
        data(1, frame[150:]),
    ]
    *_, first, second = answers(LARGE, parts)
    assert (first.sequence, second.sequence) == (0, 1)
    assert first.payload + second.payload == frame


def test_reset_inside_a_packet_that_ends_nowhere(answers):
    frame = frame_of(NARROW, 0, 1)
    parts = [data(0, frame).encode()[:-4], Packet(Kind.RESET, 0, 5), data(0, frame)]
    assert alike(answers(NARROW, parts), NARROW) == alike(expected(NARROW, parts), NARROW)


def test_a_repeated_and_a_skipped_packet_are_refused(answers):
    frame = frame_of(NARROW, 0, 1)
    found = answers(NARROW, [data(0, frame), data(0, frame), data(2, frame)])
    statuses = [packet.payload for packet in found if packet.kind == Kind.STATUS]
    assert [(status[0], status[1]) for status in statuses] == [(0, 1), (1, 1), (2, 1)]
    assert sum(packet.kind == Kind.RESULT for packet in found) == 1


def test_what_does_not_fit_into_the_buffer_is_refused_whole(answers):
    parts = [data(0, bytes(66)), data(0, bytes(64)), data(1, bytes(70))]
    found = [packet.payload[:2] for packet in answers(NARROW, parts) if packet.kind == Kind.STATUS]
    assert found == [bytes([1, 0]), bytes([1, 1]), bytes([2, 1])]


def test_an_output_longer_than_a_slot_comes_in_several_packets(answers):
    frame = frame_of(WIDE, 0, 1)
    results = [packet for packet in answers(WIDE, [data(0, frame)]) if packet.kind == Kind.RESULT]
    assert [(packet.sequence, packet.payload) for packet in results] == [
        (0, frame[:7]),
        (1, frame[7:14]),
        (2, frame[14:]),
    ]


@pytest.mark.parametrize("counts", [(), (0,), (0, 0, 0)])
def test_a_poll_that_does_not_count_every_output_is_refused(answers, counts):
    found = answers(TWO, [data(0, bytes(5)), Packet(Kind.POLL, 0, 9, bytes(counts))])
    assert found[-1] == Packet(Kind.STATUS, 0, 9, bytes([1, 1, 0, 1, 0]))


def test_no_answer_is_lost_where_the_line_takes_a_byte_in_each_cycle(answers):
    parts = session(NARROW, 12)
    assert alike(answers(NARROW, parts, gap=1), NARROW) == alike(expected(NARROW, parts), NARROW)


def test_a_slow_line_out_still_brings_whole_packets_and_every_result(answers):
    frames = [frame_of(NARROW, 0, seed) for seed in range(4)]
    parts = [b"".join(data(number, frame).encode() for number, frame in enumerate(frames))]
    results = [packet.payload for packet in answers(NARROW, parts, gap=300) if packet.kind == Kind.RESULT]
    assert results == [NARROW.come_back(0, frame) for frame in frames]
