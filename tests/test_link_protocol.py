import random
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import PlanError
from espalier.hw.link.linked import numbered_borders
from espalier.hw.link.protocol import ESCAPE, FLAG, Decoder, Kind, Packet, parse

PACKETS = st.builds(
    Packet, st.sampled_from(list(Kind)), st.integers(0, 15), st.integers(0, 255), st.binary(max_size=255)
)
QUIET = st.binary(max_size=20).map(lambda data: data.replace(bytes([FLAG]), b""))


def decode(line, sizes=(1,)):
    """Packets of ``line``, fed in parts of these sizes, and how many were dropped."""
    decoder, packets, at, turn = Decoder(), [], 0, 0
    while at < len(line):
        size = sizes[turn % len(sizes)]
        packets += decoder.feed(line[at : at + size])
        at, turn = at + size, turn + 1
    return packets, decoder.dropped


@given(st.lists(PACKETS, max_size=5), st.lists(st.integers(1, 300), min_size=1))
def test_packets_come_out_as_they_went_in_however_the_line_is_cut(packets, sizes):
    assert decode(b"".join(packet.encode() for packet in packets), sizes) == (packets, 0)


@given(st.lists(st.tuples(QUIET, PACKETS), max_size=5))
def test_garbage_between_flags_is_dropped_and_counted(parts):
    line = b"".join(garbage + packet.encode() for garbage, packet in parts)
    found, dropped = decode(line)
    assert found == [packet for _, packet in parts]
    assert dropped == sum(garbage != b"" for garbage, _ in parts)


@given(PACKETS, st.data())
def test_a_changed_byte_never_gives_another_packet(packet, data):
    line = bytearray(packet.encode())
    at = data.draw(st.integers(1, len(line) - 2))
    line[at] ^= data.draw(st.integers(1, 255))
    found, dropped = decode(bytes(line))
    assert found == [] and dropped >= 1


@given(PACKETS, st.data())
def test_a_lost_byte_never_gives_another_packet(packet, data):
    line = packet.encode()
    at = data.draw(st.integers(1, len(line) - 2))
    assert decode(line[:at] + line[at + 1 :]) == ([], 1)


@pytest.mark.parametrize("end", [b"", b"\x01"])
def test_an_escape_before_a_flag_spoils_the_packet_and_not_the_next(end):
    packet = Packet(Kind.DATA, 0, 1, b"abc")
    spoiled = packet.encode()[:-1] + end + bytes([ESCAPE, FLAG])
    assert decode(spoiled + packet.encode()) == ([packet], 1)


def test_flags_may_be_shared_and_repeated():
    packet = Packet(Kind.POLL, 0, 1, b"\0")
    assert decode(bytes([FLAG] * 5) + (packet.encode()[1:] * 3)) == ([packet] * 3, 0)


def test_flags_and_escapes_inside_are_escaped():
    line = Packet(Kind.DATA, 0, FLAG, bytes([FLAG, ESCAPE])).encode()
    assert FLAG not in line[1:-1] and line.count(bytes([ESCAPE])) >= 3


def with_crc(body):
    return body + zlib.crc32(body).to_bytes(4, "little")


@pytest.mark.parametrize(
    "body",
    [with_crc(b"\x10\0"), with_crc(b"\x10\0\x01"), with_crc(b"\x10\0\0a"), with_crc(b"\x60\0\0"), b"\x10\0\0\0\0\0\0"],
)
def test_what_is_no_packet_is_none(body):
    assert parse(body) is None


def test_random_bytes_hold_no_packet():
    assert decode(random.Random(0).randbytes(300_000), (1000,))[0] == []


def test_more_streams_than_the_link_has_numbers_for_are_an_error():
    design = SimpleNamespace(top="net", memories={}, channels=[SimpleNamespace(port="x", is_input=False)] * 17)
    with pytest.raises(PlanError, match="net: has 17 inputs or outputs, the link numbers 16 of each; join some"):
        numbered_borders(design)
