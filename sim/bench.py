"""The cocotb test that goes into a bench folder: every handshake of every stream, byte for byte.

It needs cocotb and the standard library only. The bench (tb.sv) runs by itself; this test wakes once, when it is done.
Each record is the cycle and the payload of one handshake, as little-endian 32-bit words; ``<stream>.bin`` is what came,
``<stream>.expected.bin`` what had to come, and bench.json says how a payload is laid out.
"""

import json
import struct
import time
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge

FOLDER = Path(__file__).resolve().parent


@cocotb.test()
async def every_handshake(dut) -> None:
    run = Path(str(cocotb.plusargs.get("run", ".")))
    start, processor_start = time.perf_counter(), time.process_time()
    await RisingEdge(dut.done)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    timed_out = bool(int(dut.timed_out.value))
    result = {"cycles": int(dut.cycle.value), "timed_out": timed_out}
    result |= {"seconds": seconds, "processor_seconds": processor_seconds}
    (run / "result.json").write_text(json.dumps(result) + "\n")
    streams = json.loads((FOLDER / "bench.json").read_text())["streams"]
    faults = [(run / "faults.txt").read_text().strip()]
    if timed_out:
        faults.append("cycle limit reached; stream, valid, ready, beats:\n" + (run / "state.txt").read_text())
    faults += [difference(run, stream) for stream in streams]
    faults = [fault for fault in faults if fault]
    assert not faults, "\n".join(faults)
    cocotb.log.info("%d streams: every value and every cycle as expected", len(streams))


def difference(run: Path, stream: dict) -> str:
    """The first record that differs, in words; empty if none does."""
    name = stream["name"]
    expected = (run / f"{name}.expected.bin").read_bytes()
    got = (run / f"{name}.bin").read_bytes()
    if expected == got:
        return ""
    size = 4 + 4 * stream["words"]
    beat = next((at for at in range(min(len(expected), len(got)) // size) if not same(expected, got, at, size)), None)
    if beat is None:
        return f"stream {name}: {len(expected) // size} beats expected, {len(got) // size} came"
    wanted, came = (struct.unpack_from("<I", data, beat * size)[0] for data in (expected, got))
    frame, position = divmod(beat, stream["beats"])
    place = f"stream {name}, layer {stream['layer']}, frame {frame}, beat {position}"
    wanted_lanes, came_lanes = (lanes(data, beat * size + 4, stream) for data in (expected, got))
    return f"{place}: expected {wanted_lanes} in cycle {wanted}, got {came_lanes} in cycle {came}"


def same(expected: bytes, got: bytes, beat: int, size: int) -> bool:
    return expected[beat * size : (beat + 1) * size] == got[beat * size : (beat + 1) * size]


def lanes(data: bytes, at: int, stream: dict) -> list[int]:
    payload = int.from_bytes(data[at : at + 4 * stream["words"]], "little")
    bits = stream["bits"]
    values = [payload >> bits * lane & (1 << bits) - 1 for lane in range(stream["lanes"])]
    return [value - (1 << bits) if stream["signed"] and value >> bits - 1 else value for value in values]
