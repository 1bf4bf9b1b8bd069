"""Devices are found by name, and what does not fit one is an error that says by how much."""

import pytest

from espalier.boards.area import Area
from espalier.boards.devices import DEVICES, find_device
from espalier.boards.families import FAMILIES, check_fit, measure
from espalier.errors import PlanError


def test_ecp5_takes_speed_grade_and_package():
    assert find_device("ecp5-25k").speed == "6"
    device = find_device("ECP5-85k-8-CABGA756")
    assert (device.part, device.speed, device.package, device.lut) == ("85k", "8", "CABGA756", 83640)


@pytest.mark.parametrize("name", ["ecp5-30k", "ecp5-25k-9", "xc7a36t", "xc7a35t-2", ""])
def test_unknown_device_lists_the_known(name):
    with pytest.raises(PlanError, match=r"device .* is unknown; known: ecp5-12k, ecp5-25k, .*xc7a35t, .*xczu3eg"):
        find_device(name)


def test_unknown_package_lists_the_known():
    with pytest.raises(PlanError, match="package BGA381 is unknown; known: CABGA256, CABGA381"):
        find_device("ecp5-25k-6-BGA381")


def test_what_has_a_placer_can_be_placed():
    placed = {name for name, family in FAMILIES.items() if family.placer}
    assert {device.family for device in DEVICES.values() if device.can_place} == placed == {"ecp5", "ice40", "gowin"}


def test_xilinx_cells_are_counted_in_lookup_tables_and_18_kbit_blocks():
    cells = {
        "LUT2": 3,
        "LUT6": 3,
        "INV": 1,
        "RAM32M": 1,
        "FDRE": 5,
        "FDSE": 1,
        "RAMB36E1": 2,
        "RAMB18E1": 1,
        "CARRY4": 6,
    }
    module = {"cells": {f"{kind}_{i}": {"type": kind} for kind, number in cells.items() for i in range(number)}}
    assert measure(module, find_device("xc7a35t")) == Area(lut=7, carry=6, lutram=4, ff=6, bram=5, dsp=0)


@pytest.mark.parametrize(
    "area, text",
    [
        (Area(lut=20000, carry=2000, lutram=100), "needs 24600 LUTs, has 24288"),
        (Area(bram=57), "needs 57 block RAMs of 18 kbit, has 56"),
        (Area(dsp=29), "needs 29 DSP blocks, has 28"),
    ],
)
def test_design_larger_than_the_device_says_by_how_much(area, text):
    with pytest.raises(PlanError, match=f"ecp5-25k: {text}; lower the target"):
        check_fit(area, find_device("ecp5-25k"))
