"""A register moves into the block RAM in front of it only where that changes nothing."""

import json

import pytest

from espalier.boards.block_ram import absorb_output_registers
from espalier.boards.netlist import count_cells, read_netlist
from espalier.errors import ToolError

CLOCK, RESET, ENABLE = 2, 3, 4
MODES = {
    "CLKAMUX": "CLKA", "CLKBMUX": "CLKB", "REGMODE_A": "NOREG", "REGMODE_B": "NOREG", "DATA_WIDTH_B": f"{18:032b}",
}  # fmt: skip
PLAIN = {"CLKMUX": "CLK", "CEMUX": "1 ", "LSRMUX": "LSR", "REGSET": "RESET"}


def cell(kind, parameters, inputs, outputs):
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    connections = {port: [bit] for port, bit in (inputs | outputs).items()}
    return {"type": kind, "parameters": parameters, "connections": connections, "port_directions": directions}


def reading(side="B", memory=(), modes=(), register=(), parameters=(), others=None):
    """A memory with two used outputs, nets 10 and 11, and a register behind each, nets 20 and 21, which are ports."""
    inputs = {f"CLK{side}": CLOCK, f"CE{side}": "1", f"OCE{side}": "1", f"RST{side}": "0"} | dict(memory)
    cells = {"memory": cell("DP16KD", MODES | dict(modes), inputs, {f"DO{side}0": 10, f"DO{side}1": 11})}
    for bit in range(2):
        wires = {"CLK": CLOCK, "DI": 10 + bit, "LSR": "0"} | dict(register)
        cells[f"register{bit}"] = cell("TRELLIS_FF", PLAIN | dict(parameters), wires, {"Q": 20 + bit})
    ports = {"clk": {"direction": "input", "bits": [CLOCK]}, "y": {"direction": "output", "bits": [20, 21]}}
    return {"attributes": {}, "ports": ports, "cells": cells | (others or {}), "netnames": {}}


@pytest.mark.parametrize("side", ["A", "B"])
def test_plain_registers_move(side):
    edited, absorbed = absorb_output_registers(reading(side))
    assert list(edited["cells"]) == ["memory"]
    memory = edited["cells"]["memory"]
    assert memory["parameters"] == MODES | {f"REGMODE_{side}": "OUTREG"}
    assert memory["connections"][f"DO{side}0"] == [20]
    assert (absorbed.flip_flops, absorbed.places, absorbed.left) == (2, 1, {})


def test_wide_read_port_uses_both_sides_with_the_clock_of_side_b():
    module = reading("B", modes={"DATA_WIDTH_B": f"{36:032b}"})
    memory = module["cells"]["memory"]
    memory["connections"]["DOA5"] = memory["connections"].pop("DOB1")
    memory["port_directions"]["DOA5"] = "output"
    edited, absorbed = absorb_output_registers(module)
    assert (
        edited["cells"]["memory"]["parameters"] | {"REGMODE_A": "OUTREG", "REGMODE_B": "OUTREG"}
        == (edited["cells"]["memory"]["parameters"])
    )
    assert edited["cells"]["memory"]["connections"]["OCEA"] == ["1"]
    assert absorbed.flip_flops == 2


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"memory": {"RSTB": RESET}}, "the read port has a reset"),
        ({"memory": {"CEB": ENABLE}}, "the read port has an enable"),
        ({"modes": {"REGMODE_B": "OUTREG"}}, "the output register is in use"),
        ({"modes": {"CLKBMUX": "INV"}}, "the register has another clock edge"),
        ({"register": {"CLK": 9}}, "the register has another clock"),
        ({"register": {"LSR": RESET}}, "the register has a reset"),
        ({"register": {"CE": ENABLE}, "parameters": {"CEMUX": "CE"}}, "the register has an enable"),
        ({"parameters": {"REGSET": "SET"}}, "the register starts at 1"),
        ({"others": {"lut": cell("LUT4", {}, {"A": 11}, {"Z": 30})}}, "it is read in 2 places"),
    ],
)
def test_register_stays_where_moving_it_changes_something(change, reason):
    module = reading(**change)
    edited, absorbed = absorb_output_registers(module)
    assert edited == module
    assert absorbed.left == {"memory.B": reason}


def test_output_that_is_a_port_stays():
    module = reading()
    module["ports"]["y"]["bits"] = [10, 21]
    assert absorb_output_registers(module)[1].left == {"memory.B": "it is read in 2 places"}


def test_netlist_is_read_without_boxes(tmp_path):
    inner = {"attributes": {}, "ports": {}, "cells": {"a": {"type": "LUT4"}, "b": {"type": "LUT4"}}}
    top = {"attributes": {}, "ports": {}, "cells": {"x": {"type": "inner"}, "y": {"type": "inner"}}}
    modules = {"top": top, "inner": inner, "LUT4": {"attributes": {"blackbox": "1"}, "cells": {}}}
    (tmp_path / "n.json").write_text(json.dumps({"modules": modules}))
    netlist = read_netlist(tmp_path / "n.json", "top")
    assert sorted(netlist) == ["inner", "top"]
    assert count_cells(netlist["inner"]) == {"LUT4": 2}
    with pytest.raises(ToolError, match="has no module other"):
        read_netlist(tmp_path / "n.json", "other")
