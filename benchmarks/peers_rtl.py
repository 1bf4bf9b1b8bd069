"""Runs a peer's Verilog in Verilator on random inputs: a result a cycle, and after how many cycles it comes out."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from peers_mapping import Source

from espalier.boards.yosys import run_tool
from espalier.errors import ToolError
from espalier.ir.graph import Ints

SPARE_CYCLES = 64  # the longest pipeline that can be found
Widths = Sequence[tuple[int, bool]]  # bits and sign of each value of a port, the first one lowest

BENCH = """
module bench;
  reg clk = 0;
  reg [{inputs}:0] x;
  wire [{outputs}:0] y;
  reg [{inputs}:0] vectors [0:{last}];
  integer cycle;
  {top} dut ({clock}.model_inp(x), .model_out(y));
  initial begin
    $readmemh("vectors.hex", vectors);
    for (cycle = 0; cycle <= {last}; cycle = cycle + 1) begin
      x = vectors[cycle];
      #1 $display("%h", y);
      #1 clk = 1;
      #1 clk = 0;
    end
    $finish;
  end
endmodule
"""


class Mismatch(ToolError):
    """A generator's result is not that of the integers it was given."""


def check_equal(who: str, found: Ints, expected: Ints) -> None:
    """Raise Mismatch unless both are the same, naming the first frame that is not."""
    if found.shape != expected.shape:
        raise Mismatch(f"{who}: gives results of shape {list(found.shape)}, need {list(expected.shape)}")
    wrong = np.argwhere(found != expected)
    if wrong.size:
        frame, output = (int(place) for place in wrong[0])
        raise Mismatch(
            f"{who}: {len(wrong)} of {expected.size} results are wrong, first output {output} of frame {frame}: "
            f"{found[frame, output]}, need {expected[frame, output]}"
        )


def find_latency(who: str, seen: Ints, expected: Ints) -> int:
    """Cycles from an input to its result, 0 for logic without registers, in what `run` returned; raises Mismatch where
    none fits all frames."""
    for latency in range(len(seen) - len(expected) + 1):
        if np.array_equal(seen[latency : latency + len(expected)], expected):
            return latency
    check_equal(
        f"{who}: its Verilog, whatever its latency up to {SPARE_CYCLES} cycles", seen[: len(expected)], expected
    )
    raise AssertionError("equal, and not found")


def run(source: Source, x: Ints, ports: tuple[Widths, Widths], folder: Path, timeout_s: float) -> Ints:
    """The outputs in every cycle, (cycles, outputs), with a new frame of ``x`` in each and the last one kept."""
    x = np.concatenate([x, np.repeat(x[-1:], SPARE_CYCLES, axis=0)])
    inputs, outputs = ports
    digits = -(-sum(bits for bits, _ in inputs) // 4)
    (folder / "vectors.hex").write_text("".join(f"{pack(frame, inputs):0{digits}x}\n" for frame in x))
    (folder / "design.v").write_text(source.text)
    (folder / "bench.v").write_text(
        BENCH.format(
            inputs=sum(bits for bits, _ in inputs) - 1, outputs=sum(bits for bits, _ in outputs) - 1,
            last=len(x) - 1, top=source.top, clock=".clk(clk), " if source.is_clocked else "",
        )
    )  # fmt: skip
    options = ["--binary", "-j", "1", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--timing", "--no-assert", "--flatten"]
    options += ["--top-module", "bench", "-CFLAGS", "-std=c++20", "-MAKEFLAGS"]
    options += ["VK_PCH_I_FAST= VK_PCH_I_SLOW= PYTHON3=python3 OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"]
    command = [sys.executable, "-m", "verilator", *options, "bench.v", "design.v"]
    run_tool("verilator", command, folder, "verilator.log", timeout_s)
    run_tool("the simulation", [str((folder / "obj_dir" / "Vbench").absolute())], folder, "outputs.hex", timeout_s)
    lines = [line for line in (folder / "outputs.hex").read_text().splitlines() if line and not line.startswith("-")]
    return np.array([unpack(int(line, 16), outputs) for line in lines], np.int64)


def pack(values: Sequence[int], widths: Widths) -> int:
    """One word, the first value in its lowest bits."""
    word, place = 0, 0
    for value, (bits, _) in zip(values, widths, strict=True):
        word |= (int(value) & (1 << bits) - 1) << place
        place += bits
    return word


def unpack(word: int, widths: Widths) -> list[int]:
    values = []
    for bits, is_signed in widths:
        value = word & (1 << bits) - 1
        values.append(value - (1 << bits) if is_signed and bits and value >> bits - 1 else value)
        word >>= bits
    return values
