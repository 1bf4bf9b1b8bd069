"""Requantize in hardware: multipliers wider than a DSP block, and sums far beyond the limits, are exact."""

import numpy as np
import pytest

from espalier.boards.synth import measure_layers
from espalier.hw.design import generate
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.dense import Dense
from espalier.ir.graph import IntType
from espalier.ir.requantize import Requantize
from graphs import append, empty_graph, random_frames
from hardware import assert_exact


@pytest.mark.parametrize("x_bits", [1, 9, 18, 24])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [2, 17, 18, 19, 35])
def test_every_width_is_exact(bits, signed, x_bits):
    rng = np.random.default_rng(bits)
    graph = empty_graph((5,), IntType(x_bits, signed))
    multiplier = rng.integers(-(1 << bits - 1), 1 << bits - 1, 5)
    addend = rng.integers(-(1 << x_bits + bits - 2), 1 << x_bits + bits - 2, 5)
    shift = x_bits + bits - 7
    fields = {"multiplier": multiplier, "addend": addend, "shift": max(0, shift), "low": -20, "high": 17}
    graph = append(graph, Requantize, "scale", **fields)
    assert_exact(graph, Plan(layers={"scale": LayerPlan(pe=2)}), random_frames(graph, 8), 0.2)


@pytest.mark.parametrize("multiplier", ["lut", "dsp"])
def test_wide_weights_are_exact(multiplier):
    weights = np.random.default_rng(0).integers(-(1 << 21), 1 << 21, (3, 4))
    graph = append(empty_graph((4,), IntType(20)), Dense, "fc", weights=weights)
    fold = LayerPlan(pe=2, simd=2, multiplier=multiplier)
    assert_exact(graph, Plan(layers={"fc": fold}), random_frames(graph, 4), 0.2)


@pytest.mark.synth
def test_a_multiplier_that_all_channels_share_is_a_constant(tmp_path):
    def area(multiplier):
        fields = {"multiplier": np.array(multiplier), "addend": np.arange(6), "shift": 3, "low": 0, "high": 7}
        graph = append(empty_graph((6,), IntType(8)), Requantize, "scale", **fields)
        design = generate(graph, Plan(layers={"scale": LayerPlan(pe=1)}))
        layers = measure_layers(design.verilog(), design.top, "ecp5-25k", tmp_path, ("scale",))
        return layers["scale"]

    assert (area([4] * 6).dsp, area([4, 5] * 3).dsp) == (0, 1)
