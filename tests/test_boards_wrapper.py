"""The wrapper puts every port behind flip-flops, whatever the ports are."""

import pytest

from espalier.boards.wrapper import wrap
from espalier.errors import PlanError


def test_every_bit_is_connected_once():
    text = wrap("top", {"clk": ("input", 1), "a": ("input", 3), "rst": ("input", 1), "y": ("output", 5)})
    assert ".\\clk (clk), .\\a (feed[0 +: 3]), .\\rst (feed[3 +: 1]), .\\y (result[0 +: 5])" in text
    assert "feed <= {feed[2:0], serial_in}" in text
    assert "folded <= captured ^ {folded[3:0], 1'b0}" in text


def test_design_without_outputs_is_wrapped():
    assert "serial_out = 1'b0" in wrap("top", {"clk": ("input", 1)})


def test_missing_clock_names_the_ports():
    with pytest.raises(PlanError, match="top: needs a one-bit input clk as its clock, has the ports a, y"):
        wrap("top", {"a": ("input", 1), "y": ("output", 1)})


def test_bidirectional_port_is_named():
    with pytest.raises(PlanError, match="top: port pad is inout; only inputs and outputs can be wrapped"):
        wrap("top", {"clk": ("input", 1), "pad": ("inout", 1)})
