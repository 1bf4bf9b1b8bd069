"""A small network is mapped, measured and placed on each family, and its constraints are written as the tools want."""

import json

import pytest

from espalier.boards.area import Area
from espalier.boards.devices import find_device
from espalier.boards.families import FAMILIES, all_luts, check_fit, measure
from espalier.boards.family import Pin
from espalier.boards.synth import synthesize
from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.planner import plan
from graphs import mlp

PINS = (Pin("clk", "35", {}), Pin("rx", "6", {"PULLUP": "1"}), Pin("tx", "9", {"IO_TYPE": "LVCMOS33"}))


def netlist(*cells):
    """A module of cells (type, inputs, outputs), each a mapping from port to net."""
    found = {}
    for number, (kind, inputs, outputs) in enumerate(cells):
        ways = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
        wires = {port: [bit] for port, bit in (inputs | outputs).items()}
        found[f"cell{number}"] = {"type": kind, "port_directions": ways, "connections": wires}
    return {"cells": found, "ports": {}}


@pytest.mark.parametrize(
    "others, cells",
    [
        ((), 2),  # the flip-flop shares the lookup table's cell, and the other one takes its own
        ((("SB_LUT4", {"I0": 5}, {"O": 9}),), 4),  # it is read elsewhere
    ],
)
def test_ice40_counts_logic_cells(others, cells):
    module = netlist(
        ("SB_LUT4", {"I0": 1}, {"O": 5}), ("SB_DFF", {"D": 5}, {"Q": 6}), ("SB_DFFSR", {"D": 6}, {"Q": 7}), *others
    )  # fmt: skip
    assert measure(module, find_device("ice40-up5k")) == Area(lut=cells, ff=2)


def test_gowin_counts_half_multipliers_and_luts_of_carry_and_memory():
    kinds = ["LUT2", "LUT4", "ALU", "RAM16SDP4", "DFFRE", "SPX9", "MULT9X9", "MULT9X9", "MULT9X9", "MULT18X18"]
    area = measure(netlist(*((kind, {}, {}) for kind in kinds)), find_device("gw1nr-9"))
    assert area == Area(lut=2, carry=1, lutram=1, ff=1, bram=1, dsp=3)
    assert all_luts(area, find_device("gw1nr-9")) == 2 + 1 + 8


@pytest.mark.parametrize(
    "family, lines",
    [
        ("ecp5", ['FREQUENCY PORT "clk" 12.0 MHZ;', 'LOCATE COMP "rx" SITE "6";', 'IOBUF PORT "tx" IO_TYPE=LVCMOS33;']),
        ("ice40", ["set_frequency clk 12.0", "set_io clk 35", "set_io -pullup yes rx 6"]),
        ("gowin", ['IO_LOC "clk" 35;', 'IO_PORT "tx" IO_TYPE=LVCMOS33;']),
    ],
)
def test_constraints_name_clock_and_pins(family, lines):
    placer = FAMILIES[family].placer
    assert placer
    assert set(lines) <= set(placer.constrain(PINS, 12.0).splitlines())


@pytest.mark.synth
@pytest.mark.slow
@pytest.mark.parametrize("device", ["gw1nr-9", "ice40-hx8k", "gw2ar-18"])
def test_small_network_is_placed_out_of_context(device, tmp_path):
    design = generate(graph := mlp((6, 5, 3)), plan(graph, multipliers=2))
    report = synthesize(
        design.verilog(), design.top, device, tmp_path, clock_mhz=20, seeds=(1,), layers=list(design.stages)
    )  # fmt: skip
    assert report.fmax_mhz and report.fmax_mhz > 20
    assert set(report.fmax_by_layer or {}) == set(design.stages)
    assert report.critical_path and report.critical_path.end in design.stages
    # What is counted before placing is what is placed, but for the ends of carry chains and what routing needs.
    assert report.comb == pytest.approx(all_luts(report.area, find_device(device)), rel=0.35)
    used = json.loads((tmp_path / "seed1.json").read_text())["utilization"]
    assert sum(entry["used"] for name, entry in used.items() if "RAM" in name) >= report.area.bram


def test_block_rams_are_told_in_the_familys_size():
    with pytest.raises(PlanError, match="ice40-up5k: needs 31 block RAMs of 4 kbit, has 30"):
        check_fit(Area(bram=31), find_device("ice40-up5k"))
