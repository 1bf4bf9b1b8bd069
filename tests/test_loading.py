"""Weights that are replaced while frames stream: exact before and after, changed once, between two frames."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from espalier.errors import GraphError, LinkError, PlanError
from espalier.hw.contents import make_image_of
from espalier.hw.design import generate
from espalier.hw.image import check_image, make_image
from espalier.hw.plan import LayerPlan, Plan
from espalier.ir.add import Add
from espalier.ir.conv2d import Conv2d
from espalier.ir.dense import Dense
from espalier.ir.execute import execute
from espalier.ir.graph import Input, IntType, TensorType
from espalier.ir.requantize import Requantize
from espalier.ir.threshold import Threshold
from graphs import UINT4, add_dense, add_threshold, append, empty_graph, mlp, random_frames, random_inputs
from hardware import assert_exact
from loading import find_change, loaded_plan, retrain, run_loading, small_graph

RNG = np.random.default_rng(0)
FRAMES = {"x": np.random.default_rng(5).integers(0, 16, (180, 2))}


def of_small(**fold):
    graph = small_graph()
    return generate(graph, loaded_plan(graph, **fold))


def changed(image: bytes, place: int) -> bytes:
    return image[:place] + bytes([image[place] ^ 1]) + image[place + 1 :]


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_frames_that_stream_meanwhile_change_once_from_old_to_new(stall):
    old, new = small_graph(), retrain(small_graph())
    design = of_small(pe=1, simd=1)
    image, _ = make_image_of(design, new)
    run = run_loading(design, FRAMES, image, stall)
    before, after = execute(old, FRAMES)["y"], execute(new, FRAMES)["y"]
    assert 0 < find_change(run.outputs["y"], before, after) < len(before)
    assert (run.accepted, run.refused, run.state) == (1, 0, 3)


def test_weights_can_be_replaced_again_and_again():
    design, new = of_small(pe=1, simd=1), retrain(small_graph())
    images = [make_image_of(design, graph)[0] for graph in (new, small_graph())]
    frames = {"x": np.repeat(FRAMES["x"][3:4], 280, axis=0)}
    run = run_loading(design, frames, b"".join(images))
    outputs = run.outputs["y"]
    changes = [tuple(after) for before, after in pairwise(outputs) if (before != after).any()]
    assert changes == [tuple(execute(graph, frames)["y"][0]) for graph in (new, small_graph())]
    assert run.accepted == 2


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_several_inputs_change_with_the_same_frame(stall):
    graph = replace(empty_graph((2,)), inputs=tuple(Input(x, TensorType((2,), UINT4), (2,)) for x in ("a", "b")))
    graph = replace(graph, outputs=(replace(graph.outputs[0], tensor="a"),))
    graph = append(graph, Dense, "fc1", "a", weights=np.array([[1, -2], [1, 1], [0, 1]]))
    graph = append(graph, Dense, "fc2", "b", weights=np.array([[1, -2], [-1, 1], [1, 1]]))
    graph = append(graph, Add, "sum", ("fc1", "fc2"), coefficients=(1, 1))
    fold = LayerPlan(pe=1, simd=1, memory="ram")
    plan = Plan(layers={"fc1": fold, "fc2": replace(fold, simd=2), "sum": LayerPlan(pe=1)})
    design, new = generate(graph, plan), retrain(graph)
    frames = random_inputs(graph, 60)
    run = run_loading(design, frames, make_image_of(design, new)[0], stall)
    before, after = execute(graph, frames)["y"], execute(new, frames)["y"]
    assert 0 < find_change(run.outputs["y"], before, after) < 60


@pytest.mark.parametrize("what, place", [("length", 5), ("digest", 9), ("contents", 30), ("crc", -1)])
def test_a_damaged_image_changes_nothing_and_is_refused(what, place):
    design = of_small()
    image, _ = make_image_of(design, retrain(small_graph()))
    run = run_loading(design, FRAMES, changed(image, place % len(image)))
    np.testing.assert_array_equal(run.outputs["y"], execute(small_graph(), FRAMES)["y"])
    assert (run.accepted, run.refused, run.state) == (0, 1, 1)


@pytest.mark.parametrize("lost", [1, 4, 20])
def test_a_short_image_changes_nothing_and_is_refused_with_the_bytes_that_follow(lost):
    design = of_small()
    image, _ = make_image_of(design, retrain(small_graph()))
    assert run_loading(design, {"x": FRAMES["x"][:1]}, image[:-lost]).accepted == 0
    run = run_loading(design, {"x": FRAMES["x"][:1]}, image[:-lost] + bytes(lost) + image)
    assert (run.accepted, run.refused) == (1, 1)


def test_what_is_no_image_is_passed_over():
    design = of_small()
    image = make_image(design.memories, design.layout)
    run = run_loading(design, {"x": FRAMES["x"][:1]}, b"ESPESPEE\0ES" + image + image[4:] + image)
    assert (run.accepted, run.refused) == (2, 0)


DENSE = [
    {"pe": 3, "simd": 4}, {"pe": 1, "simd": 1}, {"pe": 5, "simd": 9, "order": "input"},
    {"pe": 2, "simd": 5, "order": "input"}, {"pe": 4, "simd": 3, "multiplier": "dsp"},
    {"pe": 5, "simd": 9, "multiplier": "dsp"}, {"pe": 4, "simd": 9, "weight_bits": 6},
]  # fmt: skip


@pytest.mark.parametrize("fold", DENSE, ids=str)
@pytest.mark.parametrize("weights", ["signs", "ternary", "int4"])
def test_a_design_that_is_not_loaded_keeps_values_and_predicted_cycles(weights, fold):
    values = {"signs": [-1, 1], "ternary": [-1, 0, 1], "int4": [*range(-8, 8)]}[weights]
    graph = append(empty_graph((9,)), Dense, "fc1", weights=RNG.choice(values, (6, 9)))
    graph = add_threshold(graph, np.random.default_rng(1), 2)
    graph = append(graph, Dense, "fc2", weights=RNG.choice(values, (5, 6)))
    plan = loaded_plan(graph, **fold | {"simd": min(fold["simd"], 6)})
    assert_exact(graph, plan, random_frames(graph, 5), 0.3)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("base", [-1, 0])
def test_thresholds_of_any_number_are_exact(bits, base):
    graph = append(empty_graph((4,), IntType(3, True)), Dense, "fc1", weights=RNG.integers(-4, 4, (5, 4)))
    thresholds = np.sort(RNG.integers(-40, 40, (5, (1 << bits) - 1)), axis=1)
    graph = append(graph, Threshold, "act", thresholds=thresholds, base=base)
    assert_exact(graph, loaded_plan(graph), random_frames(graph, 4), 0.3)


@pytest.mark.parametrize("groups, channels, pe, simd", [(1, 3, 2, 2), (1, 3, 2, 9), (3, 3, 1, 1), (2, 4, 2, 1)])
def test_convolutions_are_exact(groups, channels, pe, simd):
    weights = RNG.integers(-2, 2, (2 * groups, 2, 2, channels // groups))
    graph = append(empty_graph((3, 3, channels)), Conv2d, "conv1", weights=weights, padding=(1, 0, 1, 1), groups=groups)
    graph = add_threshold(graph, np.random.default_rng(2), 2)
    assert_exact(graph, loaded_plan(graph, pe=pe, simd=simd), random_frames(graph, 2), 0.2)


@pytest.mark.parametrize("multiplier", ["lut", "dsp"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_contents_at_the_ends_of_their_range_are_exact(end, multiplier):
    graph = add_threshold(add_dense(empty_graph((3,)), RNG, 4, 3), RNG, 2)
    graph = append(graph, Dense, "fc2", weights=RNG.choice([-4, 3], (3, 4)))
    design = generate(graph, loaded_plan(graph, multiplier=multiplier, weight_bits=3))
    value = -4 if end == "low" else 3
    nodes = [
        replace(node, weights=np.full_like(node.weights, value)) if isinstance(node, Dense)
        else replace(node, thresholds=np.full_like(node.thresholds, -999 if end == "low" else 135))
        for node in design.graph.nodes
    ]  # fmt: skip
    other = generate(replace(design.graph, nodes=tuple(nodes)), design.plan)
    assert other.layout == design.layout
    assert_exact(other.graph, design.plan, random_frames(graph, 6))


def test_the_other_training_may_have_narrower_types_and_fewer_thresholds():
    graph = append(empty_graph((2,)), Dense, "fc1", weights=np.array([[3, -4], [2, 1]]))
    graph = append(graph, Threshold, "act", thresholds=np.array([[-9, 0, 5], [1, 2, 9]]))
    design = generate(graph, loaded_plan(graph, pe=1, simd=1))
    other = append(empty_graph((2,)), Dense, "fc1", weights=np.array([[1, 0], [1, 1]]))
    other = append(other, Threshold, "act", thresholds=np.array([[4], [3]]), base=1)
    image, _ = make_image_of(design, other)
    frames = {"x": np.repeat(FRAMES["x"][:8], 25, axis=0)}
    outputs = run_loading(design, frames, image).outputs["y"]
    find_change(outputs, execute(graph, frames)["y"], execute(other, frames)["y"])
    np.testing.assert_array_equal(outputs[-1], execute(other, frames)["y"][-1])


def test_an_image_is_checked_by_the_host_too():
    design = of_small()
    image, other = make_image(design.memories, design.layout), of_small(pe=1)
    check_image(image, design.layout)
    for wrong, message in (
        (b"\0" + image, "no image of Espalier"), (changed(image, 20), "is of layout"), (image[:-1], "bytes, needs"),
        (image + b"\0", "bytes, needs"), (changed(image, 29), "CRC is wrong"),
        (make_image(other.memories, other.layout), "is of layout"),
    ):  # fmt: skip
        with pytest.raises(LinkError, match=message):
            check_image(wrong, design.layout)


def test_contents_do_not_change_the_layout_but_the_plan_does():
    assert generate(retrain(small_graph()), loaded_plan(small_graph(), weight_bits=2)).layout == of_small().layout
    assert of_small(simd=1).layout.digest != of_small().layout.digest


PLANS = [
    ({"engine": "serial"}, "fc1: memory ram, but the serial engine"),
    ({"weight_bits": 2}, "fc1: weights of -7 to 3 do not fit weight_bits 2, which hold -2 to 1; choose weight_bits 4"),
    ({"memory": "block", "weight_bits": 4}, "fc1: weight_bits 4, but its memory is block"),
]


@pytest.mark.parametrize("fold, message", PLANS)
def test_a_plan_that_cannot_be_built_names_the_layer(fold, message):
    graph = append(empty_graph((2,)), Dense, "fc1", weights=np.array([[3, -7], [2, 1]]))
    with pytest.raises(PlanError, match=message):
        generate(graph, loaded_plan(graph, **fold))


def test_what_cannot_be_replaced_with_the_weights_is_an_error():
    graph = append(empty_graph((2,)), Dense, "fc1", weights=np.array([[3, -7], [2, 1]]))
    one = np.ones(2, np.int64)
    graph = append(graph, Requantize, "act", multiplier=3 * one, addend=one, shift=2, low=0, high=200)
    with pytest.raises(PlanError, match="fc1: memory ram, but a Requantize follows"):
        generate(graph, loaded_plan(graph))
    with pytest.raises(PlanError, match="sum: memory ram, but it has no weights"):
        graph = append(empty_graph((2,)), Add, "sum", ("x", "x"), coefficients=(1, 1))
        generate(graph, Plan(layers={"sum": LayerPlan(memory="ram")}))


def test_two_ports_of_one_name_are_an_error():
    graph = append(empty_graph((2,)), Dense, "fc1", weights=np.eye(2, dtype=int))
    graph = replace(graph, outputs=(replace(graph.outputs[0], name="weights"),))
    with pytest.raises(GraphError, match="weights: two ports of the hardware have this name"):
        generate(graph, loaded_plan(graph))


def other_graphs():
    graph = small_graph()
    first, act, last = graph.nodes
    yield replace(graph, nodes=(first, act)), "has nothing where the design has fc2"
    yield replace(graph, inputs=(replace(graph.inputs[0], name="z"),)), "its inputs have other names"
    yield replace(graph, inputs=(replace(graph.inputs[0], type=TensorType((2,), IntType(3))),)), "input x: is uint3"
    yield replace(graph, outputs=(replace(graph.outputs[0], tensor="fc0"),)), "output y: is of fc0"
    yield replace(graph, nodes=(replace(first, weights=first.weights[:2]), act, last)), "fc0: its weights have shape"
    yield replace(graph, nodes=(first, replace(act, base=1), last)), "act1: gives 1 to 4, in the design -2 to 1"
    yield replace(graph, nodes=(replace(first, weights=first.weights + 8), act, last)), "fc0: weights of .* do not fit"


@pytest.mark.parametrize("other, message", list(other_graphs()), ids=[message for _, message in other_graphs()])
def test_a_training_of_another_network_is_refused(other, message):
    with pytest.raises((GraphError, PlanError), match=message):
        make_image_of(of_small(), other)


def test_layers_in_other_memories_must_be_the_same():
    graph = mlp([4, 3, 2])
    plan = loaded_plan(graph)
    names = list(plan.layers)
    plan = replace(plan, layers=plan.layers | {names[1]: LayerPlan(pe=1, simd=1)})
    with pytest.raises(GraphError, match=f"{names[1]}: its weights differ from the design's; only weights"):
        make_image_of(generate(graph, plan), retrain(graph))
    with pytest.raises(GraphError, match="no layer has its weights in memory ram"):
        make_image_of(generate(graph, Plan(layers={name: LayerPlan() for name in names})), graph)
