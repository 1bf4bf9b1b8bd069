"""What yosys and the edits of its netlist make of an adder graph is that graph, in every cycle, and no larger."""

import numpy as np
import pytest
from amaranth.back import verilog

from espalier.boards import adders
from espalier.boards.ecp5 import edit
from espalier.boards.netlist import count_cells, read_netlist
from espalier.boards.yosys import run_yosys
from espalier.hw.adder_graph import build_adder_graph
from espalier.hw.adder_pipeline import WIDEST_LOGIC, AdderPipeline
from espalier.ir.graph import Bounds, IntType
from netlists import run

pytestmark = pytest.mark.synth


def make(weights, x_type, starts, levels, after=0, *, is_held=False):
    """The pipeline, the graph it is made of, and the type of its outputs."""
    inputs = weights.shape[1]
    reach = Bounds(np.full(inputs, x_type.low), np.full(inputs, x_type.high))
    graph = build_adder_graph(weights, reach, levels, after)
    ends = [
        np.where(weights < 0, high, low) * weights
        for low, high in ((x_type.low, x_type.high), (x_type.high, x_type.low))
    ]
    low, high = (end.sum(axis=1) + starts for end in ends)
    y_type = IntType.of_range(int(low.min()), int(high.max()))
    pipeline = AdderPipeline(graph, x_type, starts, y_type, levels, after, is_registered=not after, is_held=is_held)
    return pipeline, graph, y_type


def synthesize(pipeline, folder):
    text = verilog.convert(pipeline, name="top", emit_src=False, strip_internal_attrs=True)
    (folder / "design.v").write_text(text)
    (folder / adders.FILE).write_text(adders.techmap_of("ecp5"))
    passes = ["read_verilog -sv design.v", *adders.prepare(text, "top"), "synth_ecp5 -top top", "write_json top.json"]
    run_yosys("; ".join(passes), folder, "yosys.log", timeout_s=300)
    return edit(read_netlist(folder / "top.json", "top")["top"])


def to_bits(codes, bits):
    """(cycles, runs, lanes) as (cycles, runs, lanes * bits)."""
    return (codes[..., None] >> np.arange(bits) & 1).astype(bool).reshape(*codes.shape[:2], -1)


@pytest.mark.parametrize(
    "x_type, levels, after, is_held, starts",
    [
        (IntType(4), 2, 0, False, 0),
        (IntType(4, True), 1, 0, True, 1),
        (IntType(2), 3, 1, True, 1),
        (IntType(1), 2, 1, False, 0),
    ],
    ids=str,
)
def test_netlist_gives_every_output_in_its_cycle(x_type, levels, after, is_held, starts, tmp_path):
    rng = np.random.default_rng(levels)
    weights = rng.integers(-8, 8, (9, 16)) * (rng.random((9, 16)) < 0.8)
    weights[3], weights[5] = 0, -2 * weights[4]
    offsets = starts * rng.integers(-99, 99, 9)
    pipeline, _, y_type = make(weights, x_type, offsets, levels, after, is_held=is_held)
    module, absorbed = synthesize(pipeline, tmp_path)
    assert absorbed.sums > 5
    x = rng.integers(x_type.low, x_type.high, (20, 50, 16), endpoint=True)
    x[:, 0], x[:, 1] = x_type.low, x_type.high
    found = run(module, {"x": to_bits(x, x_type.bits)})["y"]
    expected = to_bits(x @ weights.T + offsets, y_type.bits)
    np.testing.assert_array_equal(found[pipeline.cycles :], expected[: -pipeline.cycles])


def test_each_sum_takes_its_cells_and_little_else(tmp_path):
    weights = np.random.default_rng(0).integers(-8, 8, (16, 32))
    pipeline, graph, _ = make(weights, IntType(4), np.zeros(16, np.int64), 2)
    module, _ = synthesize(pipeline, tmp_path)
    cells = count_cells(module)
    area = cells["LUT4"] + 2 * cells["CCU2C"]
    assert graph.cells.sum() <= area < 1.1 * graph.cells.sum()
    pairs = sum(bits for bits in pipeline.sum_bits if bits > WIDEST_LOGIC) / 2
    assert pairs <= cells["CCU2C"] < 1.05 * pairs
    # yosys drops what repeats the highest bit of an output whose own range is less than the type's.
    assert 0.97 * pipeline.held_bits < cells["TRELLIS_FF"] <= pipeline.held_bits
