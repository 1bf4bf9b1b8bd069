import random

import pytest

from espalier.boards.host.session import Session
from espalier.errors import LinkError
from espalier.hw.link.endpoint import LinkOptions
from espalier.hw.link.protocol import Kind, Packet
from link_device import DIGEST, Device, DeviceLine

SMALL = LinkOptions(buffer=64, slots=4, slot=16)


def work(frames):
    """20 bytes, two packets, for all inputs."""
    total = sum(index * byte for index, byte in enumerate(b"".join(frames), 1))
    return [bytes(total * factor % 251 for factor in range(1, 21))]


def session(line, patience_s=0.002):
    made = Session(line, patience_s=patience_s)
    made.connect()
    return made


def exchange(opened, frames):
    """The results of frames, each a list of bytes for each input."""
    got = opened.exchange([b"".join(parts) for parts in zip(*frames)], [2 * len(frames)])[0]
    return [first + second for first, second in zip(got[::2], got[1::2])]


def random_frames(count, sizes, seed=0):
    chance = random.Random(seed)
    return [[chance.randbytes(size) for size in sizes] for _ in range(count)]


@pytest.mark.parametrize("sizes", [(36,), (5, 70)])
@pytest.mark.parametrize("damage", [0.0, 0.003, 0.01, 0.03])
@pytest.mark.parametrize("seed", range(2))
def test_every_frame_is_right_whatever_is_lost(sizes, damage, seed):
    opened = session(DeviceLine(Device(sizes, work, LinkOptions(128, 4, 16)), damage, seed))
    for count in (80, 1, 40):  # sequence numbers wrap around
        frames = random_frames(count, sizes, count)
        assert exchange(opened, frames) == [work(parts)[0] for parts in frames]


def test_nothing_is_repeated_on_a_good_line():
    opened = session(DeviceLine(Device((36,), work, SMALL)), patience_s=60)
    exchange(opened, random_frames(50, (36,)))
    assert (opened.counts.repeated, opened.counts.dropped, opened.counts.polls) == (0, 0, 0)


def test_what_is_lost_is_counted():
    opened = session(DeviceLine(Device((36,), work, SMALL), damage=0.01))
    exchange(opened, random_frames(50, (36,)))
    assert min(opened.counts.repeated, opened.counts.dropped, opened.counts.polls) > 0


def test_several_outputs_are_kept_apart():
    device = Device((4,), lambda frames: [frames[0][:1], frames[0] * 8], SMALL, outputs=2)
    opened, frames = session(DeviceLine(device, damage=0.01)), random_frames(30, (4,))
    got = opened.exchange([b"".join(frame for (frame,) in frames)], [30, 90])
    assert got[0] == [frame[:1] for (frame,) in frames]
    assert b"".join(got[1]) == b"".join(frame * 8 for (frame,) in frames)


def test_progress_is_told():
    seen = []
    opened = session(DeviceLine(Device((36,), work, SMALL)))
    opened.exchange([bytes(36 * 5)], [10], seen.append)
    assert seen == sorted(seen) and seen[-1] == 10


class Forgetful(DeviceLine):
    """Loses the packet DATA of this number."""

    def __init__(self, device, lost):
        super().__init__(device)
        self.lost = lost

    def write(self, data):
        if data[1] >> 4 == Kind.DATA:
            self.lost -= 1
            if self.lost == -1:
                return
        super().write(data)


def test_bytes_that_no_result_needs_arrive_too():
    """Such as the cropped end of an image: without them the next frame would begin with them."""
    line = Forgetful(Device((32,), work, SMALL), lost=4)
    session(line).exchange([bytes(32) + b"rest"], [2])
    assert line.device.waiting == [b"rest"]


class Silent:
    def __init__(self, answer=b""):
        self.answer = answer

    def write(self, data):
        pass

    def read(self, timeout_s):
        return self.answer


def test_silence_is_an_error():
    with pytest.raises(LinkError, match="no answer from the device after 3 tries; check the port, its rate, and that"):
        Session(Silent(), patience_s=0.001, tries=3).connect()


def test_a_device_that_falls_silent_is_an_error():
    line = DeviceLine(Device((36,), work, SMALL))
    opened = Session(line, patience_s=0.001, tries=3)
    opened.connect()
    line.device.send = lambda: line.device.answers.clear()
    with pytest.raises(LinkError, match="stopped answering after 0 of 2 packets; check the cable and load"):
        opened.exchange([bytes(36)], [2])


@pytest.mark.parametrize(
    "payload, message",
    [
        (b"HALLO" + bytes(21), "is no accelerator of Espalier; check the port and the bitstream"),
        (b"ESPL\x01", "is no accelerator of Espalier"),
        (b"ESPL\x07" + bytes(21), "speaks version 7 of the link, this is version 1; generate and load"),
    ],
)
def test_another_device_is_an_error(payload, message):
    with pytest.raises(LinkError, match=message):
        Session(Silent(Packet(Kind.IDENTITY, 0, 1, payload).encode()), patience_s=0.1).connect()


def test_the_identity_tells_sizes():
    opened = Session(DeviceLine(Device((1, 2), work, SMALL, outputs=3)))
    found = opened.connect()
    assert found.digest == DIGEST
    assert (found.inputs, found.outputs, found.buffer, found.slots, found.slot) == (2, 3, 64, 4, 16)
