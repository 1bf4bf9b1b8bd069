"""Our models of hard cells give, cycle after cycle, what the documented behaviour written in Python gives."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import espalier.boards
from cell_cases import CASES, MEMORIES, PRODUCTS, Memory

pytestmark = pytest.mark.verilator
MODELS = Path(espalier.boards.__path__[0]) / "models"
CYCLES = 600

BENCH = """
module bench;
  reg clk = 0;
  reg on_a, write_a, on_b, reset_b;
  reg [3:0] enables;
  reg [13:0] address_a, address_b;
  reg [35:0] data_a, data_b;
  reg [{high}:0] stimulus [0:{cycles} - 1];
  integer cycle;
{wires}
{instances}
  initial begin
    $readmemh("stimulus.hex", stimulus);
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      {{on_a, write_a, on_b, reset_b, enables, address_a, address_b, data_a, data_b}} = stimulus[cycle];
      #1 clk = 1;
      #1 $display("{formats}", {outputs});
      clk = 0;
      #1;
    end
    $finish;
  end
endmodule
"""
FIELDS = {
    "on_a": 1, "write_a": 1, "on_b": 1, "reset_b": 1,  "enables": 4, "address_a": 14, "address_b": 14,
    "data_a": 36, "data_b": 36,
}  # fmt: skip


def stimulus(seed=0):
    """Inputs of every cycle, by name; few addresses, so that what is written is read."""
    rng = np.random.default_rng(seed)
    drawn = {name: rng.integers(0, 1 << bits, CYCLES) for name, bits in FIELDS.items()}
    drawn["reset_b"] = rng.random(CYCLES) < 0.05
    drawn["address_a"], drawn["address_b"] = drawn["address_a"] & 0xFF, drawn["address_b"] & 0xFF
    return [{name: int(values[cycle]) for name, values in drawn.items()} for cycle in range(CYCLES)]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What side A and side B of each case showed in each cycle."""
    folder, inputs = tmp_path_factory.mktemp("cells"), stimulus()
    texts = [write(case, name) if isinstance(case, Memory) else write(name) for name, write, case in CASES]
    outputs = [f"{name}_{side}" for name, *_ in CASES for side in "ab"]
    text = BENCH.format(
        high=sum(FIELDS.values()) - 1, cycles=CYCLES, instances="".join(texts), outputs=", ".join(outputs),
        wires=f"  wire [35:0] {', '.join(outputs)};", formats=" ".join(["%h"] * len(outputs)),
    )  # fmt: skip
    (folder / "bench.v").write_text(text)
    (folder / "stimulus.hex").write_text("\n".join(pack(now) for now in inputs) + "\n")
    lines = simulate(folder).splitlines()
    words = [line.split() for line in lines if len(line.split()) == len(outputs)]
    assert len(words) == CYCLES
    return {name: [row[2 * place : 2 * place + 2] for row in words] for place, (name, *_) in enumerate(CASES)}


def pack(now):
    word = 0
    for name, bits in FIELDS.items():
        word = word << bits | now[name]
    return f"{word:x}"


def simulate(folder):
    models = [str(MODELS / file) for file in MEMORIES | PRODUCTS]
    options = [
        "--binary",
        "-j",
        "1",
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--timing",
        "-O0",
        "--top-module",
        "bench",
    ]
    options += ["-CFLAGS", "-std=c++20"]
    options += ["-MAKEFLAGS", "VK_PCH_I_FAST= VK_PCH_I_SLOW= PYTHON3=python3 OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"]
    command = [sys.executable, "-m", "verilator", *options, "bench.v", *models]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr[-3000:]
    return subprocess.run(
        [folder / "obj_dir" / "Vbench"], cwd=folder, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, _, case in CASES], ids=[name for name, *_ in CASES])
def test_cell_shows_what_is_documented(name, case, shown):
    sides, expect = (case.sides, case.run) if isinstance(case, Memory) else ("a", case)
    wanted = [[row["ab".index(side)] for side in sides] for row in expect(stimulus())]
    found = [[int(row["ab".index(side)], 16) for side in sides] for row in shown[name]]
    assert found == wanted
    assert len({tuple(row) for row in found}) > 5
