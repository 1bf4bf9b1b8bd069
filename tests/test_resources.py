"""What a model of a family counts exactly is what yosys makes: block RAMs, multipliers, LUT RAMs."""

from dataclasses import replace

import numpy as np
import pytest

from espalier.boards.devices import DEVICES, find_device
from espalier.boards.synth import measure_layers, synthesize
from espalier.errors import PlanError
from espalier.flow.budgets import find_budget, model_of
from espalier.flow.options import PlanOptions
from espalier.hw.count_mac import find_sums
from espalier.hw.count_parts import PLACES, Term, lut_ram, merge_queue
from espalier.hw.count_popcount import find_ending
from espalier.hw.count_products import multiply_wide
from espalier.hw.design import generate
from espalier.hw.estimate import count_design, estimate, total
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.planning import Planning
from espalier.hw.product import Product
from espalier.hw.resources import CELLS, Resources, find_model
from espalier.hw.small_blocks import count_small_blocks
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.ranges import find_bounds
from espalier.ir.requantize import Requantize
from espalier.ir.threshold import Threshold
from graphs import append, empty_graph

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.mark.parametrize(
    "words, width, blocks",
    [
        (20, 4, 1), (256, 16, 1), (257, 16, 2), (300, 40, 5), (500, 33, 5), (600, 16, 3), (700, 9, 2),
        (1024, 18, 5), (1500, 9, 4), (2048, 2, 1), (3000, 4, 3), (5000, 1, 2), (9000, 1, 3), (16384, 1, 4),
    ],
)  # fmt: skip
def test_memories_in_blocks_of_4_kbit_take_as_many_as_yosys_makes_of_them(words, width, blocks):
    """All measured with synth_ice40 of yosys 0.70."""
    assert count_small_blocks(words, width)[0] == blocks


@pytest.mark.parametrize(
    "words, width, blocks",
    [
        (16, 4, 0),
        (8, 9, 0),
        (8, 10, 1),
        (32, 2, 0),
        (32, 3, 1),
        (4, 32, 0),
        (2, 64, 0),
        (8, 18, 0),
        (8, 20, 2),
        (64, 32, 2),
    ],
)
def test_small_memories_before_a_register_are_blocks_on_ice40_where_yosys_makes_them(words, width, blocks):
    found = lut_ram(words, width, is_registered=True)
    assert found[PLACES["small_bram"]] == blocks
    assert (found[PLACES["stored"]] == 0) == (blocks > 0)


def test_a_queue_of_one_place_or_in_block_ram_stays_as_it_is():
    assert not merge_queue(1, 40).any() and not merge_queue(600, 40).any()
    assert merge_queue(19, 4)[PLACES["small_bram"]] == 1


@pytest.mark.parametrize(
    "x, weight, halves, mac16",
    [
        (Term(-8, 7), Term(-8, 7), 1, 0),  # too narrow a product for iCE40
        (Term(-128, 127), Term(-2, 1), 0, 0),
        (Term(0, 63), Term(-8, 7), 1, 0),
        (Term(-256, 255), Term(-256, 255), 1, 1),
        (Term(-512, 511), Term(-8, 7), 2, 1),
        (Term(-(1 << 17), (1 << 17) - 1), Term(-(1 << 17), (1 << 17) - 1), 2, 3),
    ],
)
def test_products_take_the_multipliers_of_each_family(x, weight, halves, mac16):
    found, _ = multiply_wide(x, weight)
    assert (found[PLACES["halves"]], found[PLACES["mac16"]]) == (halves, mac16)


def test_lookup_tables_that_a_device_loses_are_counted_as_in_its_family():
    taken = Resources(lut=10, carry=6, lutram=2)
    assert {family: taken.luts(family) for family in CELLS} == {
        "ecp5": 34, "xc7": 12, "ice40": 10, "ice40-hx": 10, "gowin": 32,
    }  # fmt: skip


@pytest.mark.parametrize("family", CELLS)
def test_each_family_has_a_model_of_its_own(family):
    others = [find_model(other).coefficients for other in CELLS if other != family]
    assert "mac" in find_model(family).engines
    assert not any(np.array_equal(find_model(family).coefficients, other) for other in others)


@pytest.mark.parametrize(
    "device, family, limits",
    [
        ("ice40-up5k", "ice40", {"lut": 4224, "ff": 4224, "bram": 30, "dsp": 8}),
        ("ice40-hx8k", "ice40-hx", {"lut": 6144, "ff": 6144, "bram": 32, "dsp": 0}),
        ("gw1nr-9", "gowin", {"lut": 6912, "ff": 5184, "bram": 26, "dsp": 20}),
        ("gw2ar-18", "gowin", {"lut": 16588, "ff": 12441, "bram": 46, "dsp": 48}),
        ("xczu3eg", "xc7", {"lut": 56448, "ff": 112896, "bram": 432, "dsp": 360}),
    ],
)
def test_budget_of_a_device_is_what_it_holds_by_the_model_of_its_family(device, family, limits):
    budget = find_budget(PlanOptions(device=device))
    assert (budget.family, budget.limits) == (family, limits)


def test_every_device_can_be_planned_for():
    assert {model_of(device) for device in DEVICES.values()} == set(CELLS)


def test_a_family_without_a_model_is_an_error():
    with pytest.raises(
        PlanError, match="lifcl-40: no areas were measured for nexus, .* known: ecp5, xc7, xcup, gowin, ice40"
    ):
        model_of(replace(find_device("ecp5-25k"), name="lifcl-40", family="nexus"))


@pytest.mark.parametrize("device, most", [("ice40-up5k", 100), ("gw1nr-9", 100), ("gw1nr-9", 3), ("ice40-hx8k", 100)])
def test_multiplier_blocks_are_an_option_only_where_they_take_the_products(device, most):
    """Of those of three bits on Gowin only several packed in one."""
    weights = np.resize(np.arange(-most, most + 1), (8, 24))
    graph = append(empty_graph((24,)), Dense, "fc", weights=weights)
    (catalogue,) = Planning(graph, budget=find_budget(PlanOptions(device=device))).chooser.catalogues
    meant = [option.spent.dsp for option in catalogue.within(1000).options if option.layer.multiplier == "dsp"]
    assert all(meant) and bool(meant) == (device != "ice40-hx8k")


def network():
    """Weights in block RAM and not, lines of an image, a requantization, thresholds in a deep queue."""
    rng = np.random.default_rng(3)
    graph = append(empty_graph((6, 70, 2)), Conv2d, "conv", weights=rng.integers(-8, 8, (6, 2, 2, 2)))
    graph = append(
        graph, Requantize, "scale", multiplier=np.full(6, 1500), addend=np.arange(6), shift=14, low=0, high=15
    )
    graph = append(graph, Conv2d, "point", weights=rng.integers(-100, 100, (30, 1, 1, 6)))
    graph = append(graph, Threshold, "levels", thresholds=np.sort(rng.integers(-900, 900, (30, 3)), axis=1))
    layers = {
        "conv": LayerPlan(pe=2, simd=1), "point": LayerPlan(pe=1, simd=2, multiplier="dsp", memory="block"),
    }  # fmt: skip
    return generate(graph, Plan(layers=layers, depths={"conv": 20}))


@pytest.mark.synth
@pytest.mark.parametrize("device", ["ice40-up5k", "ice40-hx8k", "gw1nr-9"])
def test_blocks_and_multipliers_are_exactly_those_of_yosys(device, tmp_path):
    design, model = network(), find_model(model_of(find_device(device)))
    areas = measure_layers(design.verilog(), design.top, device, tmp_path, list(design.stages))
    counted = {name: model.estimate(found) for name, found in count_design(design).items()}
    assert {name: (one.bram, one.dsp) for name, one in counted.items()} == {
        name: (area.bram, area.dsp) for name, area in areas.items()
    }
    assert sum(area.bram for area in areas.values()) > 1


@pytest.mark.synth
def test_queue_that_a_register_reads_is_block_ram_in_the_whole(tmp_path):
    graph = append(empty_graph((9,)), Dense, "one", weights=np.resize([1, -3, 2], (24, 9)))
    graph = append(graph, Dense, "two", weights=np.resize([2, -1, 0, 3, -2], (8, 24)))
    layers = {"one": LayerPlan(pe=1, simd=3), "two": LayerPlan(pe=2, simd=1)}
    design = generate(graph, Plan(layers=layers, depths={"one": 12}))
    area = synthesize(design.verilog(), design.top, "ice40-up5k", tmp_path, place=False).area
    found = total(estimate(design, "ice40"))
    assert area.bram == found.bram == 1
    assert sum(find_model("ice40").estimate(one).bram for one in count_design(design).values()) == 0


@pytest.mark.parametrize("simd", [1, 4])
def test_popcount_is_counted_with_the_sums_that_its_stage_has(simd):
    """Planes that count negative are subtracted as -1 - count, and what that lacks goes into the thresholds."""
    weights = np.resize(np.arange(-8, 8), (6, 16))
    graph = append(empty_graph((16,)), Dense, "fc", weights=weights)
    graph = append(graph, Threshold, "levels", thresholds=np.tile(np.arange(-40, 50, 15), (6, 1)))
    stage = generate(graph, Plan(layers={"fc": LayerPlan("popcount", pe=2, simd=simd)})).stages["fc"]
    counted, _ = find_ending(find_sums(product_of(graph)), 16 // simd)
    assert counted.x_type == stage._finish.x_type


def product_of(graph):
    node, bounds, unit = graph.nodes[0], find_bounds(graph), units(graph)[0]
    reach = bounds["x"]
    return Product(
        node.weights[:, None], graph.inputs[0].type.dtype, reach, bounds["fc"], node.result, function=unit.function
    )
