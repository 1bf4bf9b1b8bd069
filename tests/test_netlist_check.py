"""The netlist that nextpnr gets gives every beat of the reference in its cycle, and what is wrong with it is found."""

import json

import pytest

from espalier.boards.mapping import NETLIST
from espalier.boards.netlist_check import simulate_netlist, write_verilog
from espalier.boards.synth import synthesize
from espalier.errors import PlanError
from netlist_designs import digits, small_cnn
from simulations import frames_for

pytestmark = [pytest.mark.synth, pytest.mark.verilator]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What Verilator's own library compiles to is shared by the processes of one test run."""
    return tmp_path_factory.getbasetemp().parent / "simulations of netlists"


def map_to(device, folder, design=None):
    design = design or small_cnn()
    return folder / NETLIST, synthesize(design.verilog(), design.top, device, folder, place=False)


@pytest.fixture(scope="module")
def ecp5(tmp_path_factory):
    """The netlist of the small CNN, and what was absorbed."""
    return map_to("ecp5-25k", tmp_path_factory.mktemp("ecp5"))


def check(netlist, family, cache, frames=5, design=None):
    design = design or small_cnn()
    return simulate_netlist(design, frames_for(design, frames), netlist, family, stall=0.3, cache=cache)


def cells_of(netlist, kind):
    (module,) = json.loads(netlist.read_text())["modules"].values()
    return {name: cell for name, cell in module["cells"].items() if cell["type"] == kind}


def test_netlist_has_every_kind_of_edit(ecp5):
    netlist, report = ecp5
    memories, multipliers = cells_of(netlist, "DP16KD").values(), cells_of(netlist, "MULT18X18D").values()
    assert {cell["parameters"]["REGMODE_B"] for cell in memories} == {"OUTREG"}
    assert all({"REG_INPUTA_CLK", "REG_PIPELINE_CLK"} <= cell["parameters"].keys() for cell in multipliers)
    assert memories and multipliers and report.absorbed_luts > 100
    assert sum(".packed_" in name for name in cells_of(netlist, "CCU2C")) > 100


def test_every_beat_of_the_netlist_is_exact(ecp5, cache):
    report = check(ecp5[0], "ecp5", cache)
    assert report.is_exact, report.mismatches
    assert [run.counts for run in report.runs] == 2 * [{"x": 60, "fc2": 5}]


@pytest.mark.slow
@pytest.mark.parametrize(
    "device, family, kinds",
    [
        ("ecp5-25k", "ecp5", ("DP16KD", "MULT18X18D", "CCU2C")),
        ("ice40-up5k", "ice40", ("SB_RAM40_4K", "SB_MAC16", "SB_CARRY")),
    ],
)
def test_every_beat_of_the_digits_network_is_exact(device, family, kinds, cache, tmp_path):
    netlist, _ = map_to(device, tmp_path, digits())
    assert all(cells_of(netlist, kind) for kind in kinds)
    report = check(netlist, family, cache, 3, digits())
    assert report.is_exact, report.mismatches


def quick(names, *chosen):
    """The ``names``, all but the ``chosen`` ones marked slow."""
    return [name if name in chosen else pytest.param(name, marks=pytest.mark.slow) for name in names]


OTHERS = {
    "ice40-up5k": ("ice40", ("SB_RAM40_4K", "SB_MAC16", "SB_CARRY")),
    "gw1nr-9": ("gowin", ("SPX9", "MULT18X18", "ALU", "RAM16SDP4")),
    "xc7a35t": ("xc7", ("RAMB18E1", "DSP48E1", "CARRY4", "RAM32M")),
}


@pytest.mark.parametrize("device", quick(OTHERS, "ice40-up5k"))
def test_every_beat_is_exact_on_cells_of_other_families(device, cache, tmp_path):
    family, kinds = OTHERS[device]
    netlist, _ = map_to(device, tmp_path)
    assert all(cells_of(netlist, kind) for kind in kinds)
    report = check(netlist, family, cache)
    assert report.is_exact, report.mismatches


def drop(parameter, value=None):
    def change(cell):
        cell["parameters"].pop(parameter)
        if value:
            cell["parameters"][parameter] = value

    return change


def flip(parameter, bit):
    def change(cell):
        digits = cell["parameters"][parameter]
        place = len(digits) - 1 - bit
        cell["parameters"][parameter] = digits[:place] + "01"[digits[place] == "0"] + digits[place + 1 :]

    return change


def swap(one, other):
    def change(cell):
        wires = cell["connections"]
        wires[one], wires[other] = wires[other], wires[one]

    return change


FAULTS = {
    "memory without its register": ("DP16KD", "", drop("REGMODE_B", "NOREG")),
    "swapped sums": ("CCU2C", ".packed_2", swap("S0", "S1")),
    "sign of a weight": ("DP16KD", "conv", flip("INITVAL_00", 3)),
    "multiplier with a register less": ("MULT18X18D", "", drop("REG_PIPELINE_CLK")),
    "swapped operand": ("MULT18X18D", "", swap("A0", "A3")),
    "carry cell": ("CCU2C", ".packed_2", flip("INIT0", 10)),
    "lookup table": ("LUT4", "ready", flip("INIT", 0)),
}


@pytest.mark.parametrize("fault", quick(FAULTS, "memory without its register"))
def test_a_fault_in_the_netlist_is_found(fault, ecp5, cache, tmp_path):
    kind, name, change = FAULTS[fault]
    netlist = json.loads(ecp5[0].read_text())
    cells = netlist["modules"]["small_cnn"]["cells"]
    change(next(cell for key, cell in cells.items() if cell["type"] == kind and name in key))
    (tmp_path / "faulty.json").write_text(json.dumps(netlist))
    report = check(tmp_path / "faulty.json", "ecp5", cache)
    assert not report.is_exact and report.mismatches


def test_a_cell_without_a_model_is_named(tmp_path):
    directions = {"CLKI": "input", "CLKOP": "output"}
    wires = {"CLKI": [2], "CLKOP": [3]}
    pll = {"type": "EHXPLLL", "parameters": {}, "attributes": {}, "port_directions": directions, "connections": wires}
    ports = {"clk": {"direction": "input", "bits": [2]}, "y": {"direction": "output", "bits": [3]}}
    top = {"attributes": {}, "ports": ports, "cells": {"pll": pll}, "netnames": {}}
    (tmp_path / NETLIST).write_text(json.dumps({"modules": {"top": top}}))
    with pytest.raises(PlanError, match="ecp5: no model of the cells EHXPLLL; synthesize without --check"):
        write_verilog(tmp_path / NETLIST, "top", "ecp5")
