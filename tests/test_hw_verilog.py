"""The Verilog of a design: the same bytes each time, no paths, names that a reader knows."""

import re

import pytest

from espalier.hw.design import generate
from espalier.hw.memory import choose_style
from espalier.hw.plan import LayerPlan, Plan
from graphs import mlp


def small_design(interface="stream"):
    layers = {"fc0": LayerPlan(pe=2, simd=3), "fc2": LayerPlan(pe=3, simd=2)}
    return generate(mlp([6, 5, 3]), Plan(layers=layers, interface=interface))


def ports(verilog: str, top: str) -> set[str]:
    return set(re.search(rf"module {top}\(([^)]*)\)", verilog)[1].replace(",", " ").split())


def test_the_same_design_gives_the_same_bytes():
    assert small_design().verilog() == small_design().verilog()


def test_verilog_holds_no_source_positions():
    assert "src =" not in small_design().verilog()


def test_no_signal_is_without_bits():
    assert "[-1:0]" not in generate(mlp([90, 40, 5]), Plan(layers={"fc0": LayerPlan(), "fc2": LayerPlan()})).verilog()


def test_ports_are_streams():
    expected = {"clk", "rst"} | {f"{name}__{end}" for name in "xy" for end in ("payload", "valid", "ready")}
    assert ports(small_design().verilog(), "network") == expected


def test_axi_stream_ports_have_their_standard_names():
    expected = {"clk", "rst"} | {f"{name}_{end}" for name in "xy" for end in ("tdata", "tvalid", "tready", "tlast")}
    assert ports(small_design("axi-stream").verilog(), "network") == expected


@pytest.mark.parametrize("name", ["fc0", "fc0.queue", "fc0.weights", "fc2.inputs"])
def test_modules_keep_the_hierarchy(name):
    assert f"module \\network.{name} " in small_design().verilog().replace("(", " (")


@pytest.mark.parametrize(
    "depth, width, style", [(1, 99, "constant"), (8, 64, "lut"), (64, 784, "block"), (2048, 1, "block")]
)
def test_a_memory_goes_where_it_is_cheaper(depth, width, style):
    assert choose_style(depth, width) == style
