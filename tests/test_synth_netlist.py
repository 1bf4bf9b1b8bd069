"""The netlist edit behaves as the Verilog it came from, in simulation, with models of the hard blocks."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import signed

import espalier.boards
from board_designs import Adders, Multiplier, Reader, Readers, convert
from espalier.boards import adders
from espalier.boards.ecp5 import edit
from espalier.boards.netlist import Absorbed, Module, ports_of, read_netlist
from espalier.boards.yosys import run_yosys

PYOSYS = Path(importlib.util.find_spec("pyosys").submodule_search_locations[0])
pytestmark = [pytest.mark.synth, pytest.mark.verilator]

BENCH = """
module bench;
  reg clk = 0;
  reg [{inputs}:0] x = 1;
  wire [{outputs}:0] expected, from_mapped, from_edited;
  integer cycle, different = 0, moving = 0;
  top a ({ports}, {results[expected]});
  mapped b ({ports}, {results[from_mapped]});
  edited c ({ports}, {results[from_edited]});
  reg [{outputs}:0] last = 0;
  initial begin
    for (cycle = 0; cycle < 4000; cycle = cycle + 1) begin
      #1;
      if (expected != from_mapped || expected != from_edited) different = different + 1;
      if (expected != last) moving = moving + 1;
      last = expected;
      #1 clk = 1;
      #1 clk = 0;
      x = {{{random}}};
      x[0] = cycle < 3;
    end
    $display("different %0d moving %0d", different, moving);
    $finish;
  end
endmodule
"""


def test_netlists_give_every_output_of_the_verilog(tmp_path):
    readers = {
        "wide": Reader(36, 512), "byte": Reader(9, 256), "nibble": Reader(4, 4096),
        "ram": Reader(36, 512, writable=True), "small": Reader(18, 1024, writable=True),
        "slow": Reader(18, 1024, registers=0), "adders": Adders(),
        "signed": Multiplier(signed(18), signed(18)), "mixed": Multiplier(8, signed(5), after=2),
        "three": Multiplier(7, 9, before=2, after=3), "bare": Multiplier(9, 9, before=0, after=1),
        "open": Multiplier(9, signed(9), before=1, after=0), "loop": Multiplier(12, 12, feedback=True),
    }  # fmt: skip
    absorbed, different, moving = compare(tmp_path, convert(Readers(readers)))
    assert {place.split(".")[0] for place in absorbed.left} == {"slow", "bare", "loop", "y_MULT18X18D_P9"}
    assert absorbed.places == 5 + 5
    assert absorbed.lookups > 30
    assert (different, moving > 3900) == (0, True)


def compare(folder: Path, verilog: str) -> tuple[Absorbed, int, int]:
    """What was edited; cycles in which an output differs from the Verilog's; cycles in which these change."""
    (folder / "design.v").write_text(verilog)
    (folder / adders.FILE).write_text(adders.techmap_of("ecp5"))
    steps = [
        "read_verilog -sv design.v",
        *adders.prepare(verilog, "top"),
        "synth_ecp5 -top top",
        "write_json mapped.json",
    ]
    run_yosys("; ".join(steps), folder, "yosys.log", timeout_s=300)
    mapped = read_netlist(folder / "mapped.json", "top")["top"]
    edited, absorbed = edit(mapped)
    return absorbed, *simulate(folder, {"mapped": mapped, "edited": edited})


def simulate(folder: Path, netlists: dict[str, Module]) -> tuple[int, int]:
    models = Path(espalier.boards.__path__[0]) / "models"
    sources = ["bench.v", "design.v", "cells.v", str(models / "dp16kd.v"), str(models / "mult18x18d.v")]
    for name, module in netlists.items():
        write_verilog(folder, name, module)
        sources.append(f"{name}.v")
    cells = PYOSYS / "share" / "ecp5"
    text = (cells / "cells_sim.v").read_text().replace("module DP16KD(", "module DP16KD_ports(")
    (folder / "cells.v").write_text(text)
    (folder / "bench.v").write_text(make_bench(ports_of(netlists["mapped"])))
    options = ["--binary", "-j", "1", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--timing", "--no-assert", "-O0"]
    options += ["--top-module", "bench", f"-I{cells}", "-CFLAGS", "-std=c++20"]
    options += ["-MAKEFLAGS", "VK_PCH_I_FAST= VK_PCH_I_SLOW= PYTHON3=python3 OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"]
    built = subprocess.run([sys.executable, "-m", "verilator", *options, *sources], cwd=folder, capture_output=True,
                           text=True, timeout=300)  # fmt: skip
    assert built.returncode == 0, built.stderr[-2000:]
    run = subprocess.run([folder / "obj_dir" / "Vbench"], cwd=folder, capture_output=True, text=True, timeout=300)
    words = run.stdout.split()
    return int(words[1]), int(words[3])


def make_bench(ports: dict[str, tuple[str, int]]) -> str:
    """All inputs but the clock are slices of x, the reset is its lowest bit; all outputs are slices of one result."""
    inputs = {"rst": 1} | {name: width for name, (way, width) in ports.items() if way == "input" and name != "clk"}
    outputs = {name: width for name, (way, width) in ports.items() if way == "output"}
    names = ("expected", "from_mapped", "from_edited")
    return BENCH.format(
        inputs=sum(inputs.values()) - 1, outputs=sum(outputs.values()) - 1,
        ports=", ".join([".clk(clk)", *slices(inputs, "x")]),
        results={name: ", ".join(slices(outputs, name)) for name in names},
        random=", ".join(["$urandom"] * (sum(inputs.values()) // 32 + 1)),
    )  # fmt: skip


def slices(widths: dict[str, int], vector: str) -> list[str]:
    starts = np.cumsum([0, *widths.values()])
    return [f".{name}({vector}[{low} +: {width}])" for (name, width), low in zip(widths.items(), starts)]


def write_verilog(folder: Path, name: str, module: Module) -> None:
    """Write ``module`` as the Verilog file and module ``name``."""
    (folder / f"{name}.json").write_text(json.dumps({"modules": {name: module}}))
    script = f"read_json {name}.json; write_verilog -noattr {name}.v"
    run_yosys(script, folder, f"{name}.log", timeout_s=300)
