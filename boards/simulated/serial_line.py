"""The cocotb test that stands for a board's USB adapter: its serial line is a pseudo-terminal, which may damage bytes.

It needs cocotb and the standard library only. It runs until the file ``stop`` is there; the file ``port`` has the
terminal's path, and ``line.json`` in the end what went over it.
"""

import json
import os
import random
import tty
from pathlib import Path

import cocotb
from cocotb.triggers import Edge, Timer


class Noise:
    """Loses, changes or repeats each byte with a third of the probability ``damage``."""

    def __init__(self, damage: float, seed: int) -> None:
        self.damage, self.chance, self.damaged = damage, random.Random(seed), 0

    def through(self, data: bytes) -> bytes:
        found = bytearray()
        for byte in data:
            if self.chance.random() >= self.damage:
                found.append(byte)
                continue
            self.damaged += 1
            found += self.chance.choice((b"", bytes([byte ^ self.chance.randrange(1, 256)]), bytes([byte, byte])))
        return bytes(found)


def open_terminal(run: Path) -> int:
    """The file descriptor of a terminal whose path is in the file ``port``."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    (run / "port.partial").write_text(os.ttyname(theirs))
    (run / "port.partial").rename(run / "port")
    return ours


@cocotb.test()
async def serial_line(dut) -> None:
    plusargs = cocotb.plusargs
    run, idle_ns = Path(str(plusargs["run"])), int(str(plusargs["idle_ns"]))
    there, back = (Noise(float(str(plusargs["damage"])), 2 * int(str(plusargs["seed"])) + way) for way in range(2))
    terminal, sent, received, waiting = open_terminal(run), 0, 0, b""

    async def listen() -> None:
        nonlocal received
        while True:
            await Edge(dut.got)
            received += 1
            if data := back.through(bytes([int(dut.board_byte.value)])):
                os.write(terminal, data)

    cocotb.start_soon(listen())
    while not (run / "stop").exists():
        if not waiting:
            try:
                waiting = there.through(os.read(terminal, 4096))
            except BlockingIOError:
                waiting = b""
        if not waiting:
            await Timer(idle_ns, "ns")
            continue
        dut.host_byte.value, waiting = waiting[0], waiting[1:]
        dut.send.value = 1 - int(dut.send.value)
        sent += 1
        await Edge(dut.taken)
    found = {"to_board": sent, "from_board": received, "damaged": there.damaged + back.damaged}
    (run / "line.json").write_text(json.dumps(found | {"cycles": int(dut.cycle.value)}) + "\n")
