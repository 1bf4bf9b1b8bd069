from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import (
    Add,
    Chain,
    Dense,
    Flatten,
    Graph,
    Input,
    IntType,
    Output,
    Step,
    TensorType,
    dequantize_outputs,
    execute,
    quantize_inputs,
)
from graphs import append, empty_graph, mlp, random_frames


class Doubling(Chain):
    def __call__(self, values):
        return values.astype(np.float32) * np.float32(2)


GRAPH = append(append(empty_graph((1, 2, 2)), Flatten, "flat"), Dense, "fc", weights=[[1, 2, 3, 4]])
CODES = np.array([[[[1, 2], [3, 4]]]])


def test_outputs_come_by_name():
    outputs = execute(GRAPH, CODES)
    assert list(outputs) == ["y"]
    np.testing.assert_array_equal(outputs["y"], [[30]])


def test_every_tensor_comes_by_its_name():
    assert list(execute(GRAPH, CODES, every=True)) == ["x", "flat", "fc"]


def test_layers_follow_each_other():
    graph = mlp([9, 7, 5], seed=3)
    x = random_frames(graph, 50)
    hidden = x @ graph.node("fc0").weights.T
    codes = (hidden[..., None] >= graph.node("act1").thresholds).sum(axis=-1) + graph.node("act1").base
    np.testing.assert_array_equal(execute(graph, x)["y"], codes @ graph.node("fc2").weights.T)


def test_narrow_integer_codes_do_not_wrap():
    assert execute(GRAPH, np.full((1, 1, 2, 2), 15, dtype=np.uint8))["y"] == 150


@pytest.mark.parametrize("frames", [0, 1, 2, 7])
def test_frames_are_taken_a_few_at_a_time(monkeypatch, frames):
    monkeypatch.setattr(import_module("espalier.ir.execute"), "CHUNK_BYTES", 8 * 9 * 3)  # three frames
    x = random_frames(GRAPH, frames)
    np.testing.assert_array_equal(execute(GRAPH, x)["y"], execute(GRAPH, x, every=True)["fc"])


def test_several_inputs_and_outputs_go_by_name():
    ports = tuple(Input(name, TensorType((2,), IntType(4)), (2,)) for name in "ab")
    graph = Graph(
        ports, (Add("sum", ("a", "b"), IntType(7), (1, 5)),), (Output("y", "sum", (2,)), Output("z", "b", (2,)))
    )
    found = execute(graph, {"b": np.array([[1, 2]]), "a": np.array([[3, 4]])})
    np.testing.assert_array_equal(found["y"], [[8, 14]])
    np.testing.assert_array_equal(found["z"], [[1, 2]])


@pytest.mark.parametrize(
    "inputs, message",
    [
        (CODES + 0.0, "input x: has float64 values, need integer codes uint4"),
        (CODES[0], r"input x: has shape \[1, 2, 2\], need \[frames, 1, 2, 2\]"),
        (CODES + 12, r"input x: codes 13\.\.16 do not fit uint4"),
        ({"z": CODES}, r"data for inputs \['z'\] was given, need \['x'\]"),
        (np.int64(3), r"input x: has shape \[\], need \[frames, 1, 2, 2\]"),
    ],
)
def test_bad_codes_are_named(inputs, message):
    with pytest.raises(GraphError, match=message):
        execute(GRAPH, inputs)


def test_inputs_of_different_frames_are_named():
    graph = replace(GRAPH, inputs=(*GRAPH.inputs, Input("z", TensorType((1,), IntType(1)), (1,))))
    with pytest.raises(GraphError, match="different numbers of frames: {'x': 1, 'z': 2}"):
        execute(graph, {"x": CODES, "z": np.ones((2, 1), dtype=int)})


def with_chains(chain) -> Graph:
    inputs = (replace(GRAPH.inputs[0], model_shape=(4,), chain=chain),)
    return replace(GRAPH, inputs=inputs, outputs=(replace(GRAPH.outputs[0], chain=chain, model_shape=(1, 1)),))


def test_reals_become_codes_of_the_input_shape():
    codes = quantize_inputs(with_chains(Doubling()), np.array([[0.5, 1, 1.5, 2]], dtype=np.float32))
    np.testing.assert_array_equal(codes["x"], CODES)
    assert codes["x"].dtype == np.int64


def test_chain_sees_the_shape_of_the_model():
    chain = Chain((Step("Mul", (np.array([[[1]], [[2]]]),)), Step("Transpose", (np.array([0, 2, 3, 1]),))))
    inputs = (replace(GRAPH.inputs[0], model_shape=(2, 1, 2), chain=chain),)
    reals = np.array([[[[1, 3]], [[1, 2]]]])  # channels first
    np.testing.assert_array_equal(quantize_inputs(replace(GRAPH, inputs=inputs), reals)["x"], CODES)


def test_raw_integers_pass_where_there_is_no_chain():
    np.testing.assert_array_equal(quantize_inputs(GRAPH, CODES.astype(np.float32))["x"], CODES)


@pytest.mark.parametrize(
    "reals, message",
    [
        ([[0.5, 1, 1.5, 0.3]], "input x: 0.6.* is not an integer code"),
        ([[0.5, 1, 1.5, np.nan]], "input x: nan is not an integer code"),
        ([[0.5, 1, 1.5, 8]], "input x: code 16 does not fit uint4"),
        ([[0.5, 1, 1.5, np.inf]], "input x: code inf does not fit uint4"),
        ([[0.5, 1, 1.5]], r"input x: has shape \[1, 3\], need \[frames, 4\]"),
    ],
)
def test_bad_reals_are_named(reals, message):
    with pytest.raises(GraphError, match=message):
        quantize_inputs(with_chains(Doubling()), np.array(reals, dtype=np.float32))


def test_outputs_become_what_the_model_returns():
    reals = dequantize_outputs(with_chains(Doubling()), {"y": np.array([[30]])})
    np.testing.assert_array_equal(reals["y"], np.array([[[60]]], dtype=np.float32))
    np.testing.assert_array_equal(dequantize_outputs(GRAPH, {"y": np.array([[30]])})["y"], [[30]])
