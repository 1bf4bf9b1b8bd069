"""Runs a board's top under cocotb and Verilator beside the program that talks to it, through a pseudo-terminal."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import ToolError
from ...sim.runner import build, run
from ...sim.tools import find_tools
from ..board import Board
from ..gateware.flash import PINS
from ..gateware.top import NAME

IDLE_BITS = 3
"""Bits of the line that pass in simulation before the terminal is asked again whether there is something to send."""

FLASH = """\
  wire flash_cs_n, flash_clk, flash_copi, flash_cipo;
  espalier_flash #(.SIZE({size})) flash (.cs_n(flash_cs_n), .clk(flash_clk), .copi(flash_copi), .cipo(flash_cipo));
"""

HARNESS = """\
// Test bench of a board, written by Espalier: its oscillator, and the other end of its serial line.
`timescale 1ns/1ps
module tb;
  localparam real PERIOD = {period}, BIT = {bit};
  reg clk = 1'b0, line = 1'b1;
  wire tx;
  always #(PERIOD / 2) clk = ~clk;
  {top} board (.clk(clk), .rx(line), .tx(tx){flash_ports});
{flash}
  reg [31:0] cycle /*verilator public_flat_rd*/ = 0;
  always @(posedge clk) cycle <= cycle + 1;

  // The test changes `send`, the bench `taken` when the byte is out.
  reg [7:0] host_byte /*verilator public_flat_rw*/ = 0;
  reg send /*verilator public_flat_rw*/ = 0;
  reg taken /*verilator public_flat_rd*/ = 0;
  integer place;
  always @(send) begin
    line = 1'b0;
    #(BIT);
    for (place = 0; place < 8; place = place + 1) begin
      line = host_byte[place];
      #(BIT);
    end
    line = 1'b1;
    #(BIT);
    taken = ~taken;
  end

  // `got` changes with each byte of the board.
  reg [7:0] board_byte /*verilator public_flat_rd*/ = 0;
  reg got /*verilator public_flat_rd*/ = 0;
  reg [7:0] shift;
  integer bit_place;
  always begin
    @(negedge tx);
    #(BIT / 2);
    for (bit_place = 0; bit_place < 8; bit_place = bit_place + 1) begin
      #(BIT);
      shift[bit_place] = tx;
    end
    #(BIT);
    board_byte = shift;
    got = ~got;
  end
endmodule
"""


@dataclass
class SimulatedBoard:
    """port: path of the terminal. Once the simulation has ended: bytes to_board, from_board and how many of them were
    damaged, and cycles of the oscillator."""

    port: str
    line: dict[str, int] = field(default_factory=dict)


@contextmanager
def simulate_board(
    top: str,
    board: Board,
    baud: int,
    folder: Path,
    *,
    damage: float = 0.0,
    seed: int = 0,
    flash: bytes = b"",
    cache: Path | None = None,
    timeout_s: float = 600.0,
) -> Iterator[SimulatedBoard]:
    """A simulation of ``top``, Verilog of module ``espalier_board``, that runs while its context lasts.

    damage: the probability that a byte, either way, is lost, changed or repeated. flash: what the board's holds from
    its start on, if ``top`` has ports for it. Its files go to ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("port", "stop"):
        (folder / name).unlink(missing_ok=True)
    tools, bit_ns = find_tools(), 1e9 / baud
    ports = "".join(f", .{name}({name})" for name in PINS) if flash else ""
    harness = HARNESS.format(
        top=NAME, period=repr(1000 / board.clock_mhz), bit=repr(bit_ns), flash_ports=ports,
        flash=FLASH.format(size=len(flash)) if flash else "",
    )  # fmt: skip
    models = [*(("flash.v",) if flash else ()), "pll.v"]
    sources = {name: (Path(__file__).parents[1] / "models" / name).read_text() for name in models}
    sources |= {"board.v": top, "tb.sv": harness}
    (folder / "flash.hex").write_text("".join(f"{byte:02x}\n" for byte in flash))
    (folder / "serial_line.py").write_text(Path(__file__).with_name("serial_line.py").read_text())
    program, _ = build(sources, tools, cache=cache, folder=folder, timeout_s=timeout_s)
    options = {
        "run": folder.resolve(),
        "flash": (folder / "flash.hex").resolve(),
        "damage": damage,
        "seed": seed,
        "idle_ns": round(IDLE_BITS * bit_ns),
    }
    plusargs, log = [f"+{name}={value}" for name, value in options.items()], folder / "test.log"
    simulation = _Simulation(lambda: run(program, tools, "serial_line", folder, log, plusargs, timeout_s))
    simulation.start()
    try:
        simulated = SimulatedBoard(_wait_for_port(folder / "port", simulation))
        yield simulated
    finally:
        (folder / "stop").touch()
        simulation.join()
    simulation.check(folder)
    simulated.line = json.loads((folder / "line.json").read_text())


class _Simulation(threading.Thread):
    """Runs beside the host's code; what it raises is raised by ``check``."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self._work, self._passed, self._error = work, False, None

    def run(self) -> None:
        try:
            self._passed = self._work()
        except (ToolError, OSError) as error:
            self._error = error

    def check(self, folder: Path) -> None:
        if self._error:
            raise self._error
        if not self._passed:
            raise ToolError(f"the simulated board failed; see {folder / 'test.log'}")


def _wait_for_port(path: Path, simulation: _Simulation) -> str:
    while not path.exists():
        if not simulation.is_alive():
            simulation.check(path.parent)
            raise ToolError(f"the simulated board ended at once; see {path.parent / 'test.log'}")
        time.sleep(0.02)
    return path.read_text()
