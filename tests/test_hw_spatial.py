"""The spatial engine: exact values at the predicted cycles, a vector a cycle, for every form of weights and inputs."""

from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import PlanError
from espalier.hw.design import generate
from espalier.hw.folding_file import read_folding
from espalier.hw.folds import choose_from
from espalier.hw.operators import units
from espalier.hw.plan import LayerPlan, Plan
from espalier.hw.planner import plan
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.flatten import Flatten
from espalier.ir.graph import IntType, Output
from espalier.ir.requantize import Requantize
from graphs import UINT4, add_dense, add_threshold, append, empty_graph, random_frames
from hardware import assert_exact

RNG = np.random.default_rng(0)
WEIGHTS = {
    "signs": np.array([-1, 1]),
    "binary": np.array([0, 1]),
    "ternary": np.array([-1, 0, 1]),
    "int4": np.arange(-8, 8),
    "even": np.array([-6, 0, 0, 4, 8]),
    "int8": np.arange(-128, 128),
}


def dense_graph(outputs, inputs, values, dtype=UINT4, shape=()):
    return append(empty_graph((*shape, inputs), dtype), Dense, "fc1", weights=RNG.choice(values, (outputs, inputs)))


def spatial(**sizes):
    """A plan of spatial layers, each given by its (outputs, inputs)."""
    return Plan(layers={name: LayerPlan("spatial", pe, simd) for name, (pe, simd) in sizes.items()})


@pytest.mark.parametrize("dtype", [IntType(1), IntType(3), IntType(4, True)], ids=str)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_kind_of_weights_is_exact(kind, dtype):
    graph = dense_graph(7, 10, WEIGHTS[kind], dtype)
    assert_exact(graph, spatial(fc1=(7, 10)), random_frames(graph, 9), 0.4)


@pytest.mark.parametrize("outputs, inputs", [(1, 1), (5, 1), (1, 9), (4, 8)])
@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_every_size_and_width_is_exact(outputs, inputs, bits):
    graph = dense_graph(outputs, inputs, WEIGHTS["int8"], IntType(bits, bits % 2 == 0))
    assert_exact(graph, spatial(fc1=(outputs, inputs)), random_frames(graph, 6), 0.3)


def test_the_extremes_of_the_sums_are_exact():
    weights = np.array([[-128] * 5, [127] * 5, [0] * 5])
    graph = append(empty_graph((5,), IntType(8, True)), Dense, "fc1", weights=weights)
    assert_exact(graph, spatial(fc1=(3, 5)), random_frames(graph, 3))


def test_each_pixel_of_a_feature_map_is_a_vector():
    graph = dense_graph(3, 5, WEIGHTS["int4"], shape=(2, 3))
    design = assert_exact(graph, spatial(fc1=(3, 5)), random_frames(graph, 2), 0.3)
    assert design.stages["fc1"].schedule.slots == 6


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["signs", "int4"])
def test_fused_thresholds_are_exact(kind, bits):
    graph = add_threshold(dense_graph(7, 9, WEIGHTS[kind]), np.random.default_rng(bits), bits)
    assert_exact(graph, spatial(fc1=(7, 9)), random_frames(graph, 8), 0.2)


@pytest.mark.parametrize("limits", [(0, 15), (-8, 7), (-3, 20), (0, 1)], ids=str)
@pytest.mark.parametrize("multiplier", [1, 4, 64, 23])
def test_fused_requantization_is_exact(multiplier, limits):
    factors = {"multiplier": np.array([multiplier, -multiplier, 0]), "addend": np.array([3, -70, 9])}
    graph = dense_graph(3, 9, WEIGHTS["int4"])
    graph = append(graph, Requantize, "scale", None, **factors, shift=4, low=limits[0], high=limits[1])
    assert_exact(graph, spatial(fc1=(3, 9)), random_frames(graph, 8), 0.2)


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_layers_in_a_row_are_one_stage(stall):
    rng = np.random.default_rng(5)
    graph = add_dense(add_threshold(add_dense(empty_graph((13,)), rng, 11, 3), rng, 2), rng, 6, 1)
    graph = add_dense(append(graph, Flatten, "flat"), rng, 4, 2)
    design = assert_exact(graph, spatial(fc0=(11, 13), fc2=(6, 11), fc4=(4, 6)), random_frames(graph, 12), stall, 3)
    assert list(design.stages) == ["fc0"]


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("inputs, cycles", [(8, 3 + 1 + 1), (9, 4 + 1 + 1)])
def test_a_clip_shares_its_cycle_with_a_sum(inputs, cycles, stall):
    # Behind a register for the inputs, a row takes 3 sums, or 4, and its clip the place of one, two in a cycle; the
    # second layer 4 sums, and no register in front of them; the queue a cycle, and the sums go into it right away.
    graph = dense_graph(10, inputs, [1])
    scaled = {"multiplier": np.ones(10, int), "addend": np.arange(10), "shift": 2, "low": 0, "high": 15}
    graph = append(graph, Requantize, "clip", None, **scaled)
    graph = append(graph, Dense, "fc2", None, weights=np.ones((3, 10), int))
    design = assert_exact(graph, spatial(fc1=(10, inputs), fc2=(3, 10)), random_frames(graph, 9), stall)
    assert design.stages["fc1"].latency == cycles


def test_layers_of_another_engine_or_with_another_reader_stay_apart():
    rng = np.random.default_rng(5)
    graph = add_dense(add_dense(add_dense(empty_graph((5,)), rng, 6, 3), rng, 4, 2), rng, 3, 2)
    layers = spatial(fc0=(6, 5), fc1=(4, 6), fc2=(3, 4)).layers
    mixed = Plan(layers={**layers, "fc1": LayerPlan("mac", 2, 3)})
    assert "fc2" in assert_exact(graph, mixed, random_frames(graph, 4), 0.3).stages
    branched = replace(graph, outputs=(*graph.outputs, Output("z", "fc0", (6,))))
    design = assert_exact(branched, Plan(layers=layers), random_frames(graph, 4), 0.3)
    assert set(design.stages) == {"fc0", "fc1", "fc0_fork"}


def test_a_vector_leaves_in_every_cycle():
    graph = dense_graph(7, 10, WEIGHTS["int4"])
    design = generate(graph, spatial(fc1=(7, 10)))
    assert np.diff(design.predict(20, {})["fc1"]).tolist() == [1] * 19


def conv_graph(channels=3, outputs=4, groups=1, dtype=UINT4, size=(5, 6), kernel=(3, 3), **options):
    weights = RNG.integers(-4, 4, (outputs, *kernel, channels // groups))
    return append(empty_graph((*size, channels), dtype), Conv2d, "conv", weights=weights, groups=groups, **options)


CONVOLUTIONS = {
    "plain": {},
    "padded": {"padding": (1, 1, 1, 1)},
    "padded with another value": {"padding": (1, 0, 2, 1), "pad_value": 3, "dtype": IntType(3, True)},
    "stride": {"stride": (2, 2), "padding": (1, 1, 0, 0)},
    "dilation": {"dilation": (2, 1), "size": (7, 5)},
    "groups": {"channels": 4, "groups": 2},
    "depthwise": {"channels": 4, "groups": 4, "padding": (1, 1, 1, 1)},
    "one pixel": {"kernel": (1, 1)},
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_are_exact_and_take_a_window_a_cycle(kind):
    graph = conv_graph(**CONVOLUTIONS[kind])
    plan = Plan(layers={"conv": LayerPlan("spatial")})
    design = assert_exact(graph, plan, random_frames(graph, 3), 0.3)
    assert design.stages["conv"].schedule.slots == graph.tensors["conv"].pixels
    fold = choose_from(units(graph)[0], engine="spatial").folds[0]
    own = [schedule.slots for name, schedule in design.schedules.items() if name.startswith("conv")]
    assert (max(own), fold.makes) == (fold.cycles, graph.tensors["conv"].channels)


def test_a_fold_of_less_than_the_layer_is_an_error():
    unit = units(dense_graph(4, 6, WEIGHTS["int4"]))[0]
    assert choose_from(unit, engine="spatial").folds == choose_from(unit, 4, 6, engine="spatial").folds
    with pytest.raises(PlanError, match="fc1: pe 2 and simd 6, but the spatial engine has no other fold than all"):
        choose_from(unit, 2, engine="spatial")


def test_a_folding_file_chooses_the_engine(tmp_path):
    rng = np.random.default_rng(1)
    graph = add_dense(add_threshold(add_dense(empty_graph((7,)), rng, 6, 3), rng, 2), rng, 5, 2)
    path = tmp_path / "folding.json"
    path.write_text('{"layers": {"fc0": {"engine": "spatial"}, "fc2": {"engine": "mac", "pe": 5, "simd": 6}}}')
    chosen = plan(graph, folding=read_folding(path))
    assert (chosen.layers["fc0"].engine, chosen.layers["fc0"].pe, chosen.layers["fc0"].simd) == ("spatial", 6, 7)
    assert_exact(graph, chosen, random_frames(graph, 4), 0.2)
