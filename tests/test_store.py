import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from dags import dags
from espalier.errors import BuildError
from espalier.ir import Chain, Step, digest, execute, load, save
from graphs import graphs, mlp, random_frames, random_inputs

STEPS = (
    Step("Mul", (np.float32(0.1) * np.ones((), np.float32),)),
    Step("Quant", (np.ones((1, 3), np.float32), np.int64(4) * np.ones(2, np.int64)), {"signed": 1, "b": "x"}, 1),
)


def with_chains(graph):
    return replace(graph, inputs=(replace(graph.inputs[0], chain=Chain(STEPS)),), name="named")


@given(graph=graphs())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_loaded_graph_is_the_saved_one(tmp_path, graph):
    save(graph, tmp_path)
    loaded = load(tmp_path)
    assert digest(loaded) == digest(graph)
    frames = random_frames(graph)
    for name, values in execute(graph, frames).items():
        np.testing.assert_array_equal(execute(loaded, frames)[name], values)


@given(graph=dags(transposed=True))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_loaded_graph_of_all_operators_is_the_saved_one(tmp_path, graph):
    save(graph, tmp_path)
    loaded = load(tmp_path)
    for found, node in zip(loaded.nodes, graph.nodes, strict=True):
        plain = {field.name for field in fields(node) if not isinstance(getattr(node, field.name), np.ndarray)}
        assert {name: getattr(found, name) for name in plain} == {name: getattr(node, name) for name in plain}
    frames = random_inputs(graph)
    for name, values in execute(graph, frames).items():
        np.testing.assert_array_equal(execute(loaded, frames)[name], values)


def test_chains_survive(tmp_path):
    save(with_chains(mlp([3, 2])), tmp_path)
    chain = load(tmp_path).inputs[0].chain
    for found, step in zip(chain.steps, STEPS, strict=True):
        assert (found.operator, found.attributes, found.position) == (step.operator, step.attributes, step.position)
        for array, constant in zip(found.constants, step.constants, strict=True):
            np.testing.assert_array_equal(array, constant, strict=True)


def test_saving_twice_writes_the_same_bytes(tmp_path):
    for name in "ab":
        save(with_chains(mlp([3, 9, 2], seed=4)), tmp_path / name)
    for file in ("graph.json", "graph.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_digest_sees_weights_and_chains():
    graph = mlp([3, 2])
    assert len({digest(graph), digest(with_chains(graph)), digest(mlp([3, 2], seed=1)), digest(mlp([3, 2]))}) == 3


def test_array_order_in_memory_does_not_matter():
    graph = mlp([3, 2])
    chain = Chain((Step("Add", (np.ones((2, 3), np.float32) * np.arange(3, dtype=np.float32),)),))
    fortran = Chain((Step("Add", (np.asfortranarray(chain.steps[0].constants[0]),)),))
    same = [replace(graph, inputs=(replace(graph.inputs[0], chain=each),)) for each in (chain, fortran)]
    assert digest(same[0]) == digest(same[1])


def damage(folder: Path, text: str) -> None:
    (folder / "graph.json").write_text(text)


def edit(change):
    def do(folder: Path) -> None:
        data = json.loads((folder / "graph.json").read_text())
        change(data)
        damage(folder, json.dumps(data))

    return do


@pytest.mark.parametrize(
    "harm, message",
    [
        (lambda folder: (folder / "graph.json").unlink(), r"graph.json: cannot be read \(No such file"),
        (lambda folder: (folder / "graph.safetensors").unlink(), r"graph.safetensors: cannot be read \(No such file"),
        (lambda folder: damage(folder, '{"format"'), r"graph.json: holds no valid graph \(Expecting"),
        (lambda folder: damage(folder, "[]"), "graph.json: holds no valid graph"),
        (lambda folder: (folder / "graph.safetensors").write_bytes(b"x"), "safetensors belongs to another graph"),
        (edit(lambda data: data.update(format=99)), "format 99, need 1"),
        (edit(lambda data: data.pop("nodes")), r"holds no valid graph \('nodes'\); import the model again"),
        (edit(lambda data: data["nodes"][0].update(operator="Softmax")), "fc0: no operator Softmax; known .* Dense"),
        (edit(lambda data: data["nodes"][0].update(result="float8")), "'float8' is no integer type"),
        (edit(lambda data: data["nodes"][0].update(result="int2")), "fc0: reaches .* but its type int2 holds"),
        (edit(lambda data: data["nodes"][0].update(bias=3)), "holds no valid graph .*unexpected keyword"),
    ],
)
def test_damaged_folder_is_named(tmp_path, harm, message):
    save(mlp([3, 2]), tmp_path)
    harm(tmp_path)
    with pytest.raises(BuildError, match=message):
        load(tmp_path)


def test_pair_of_two_graphs_is_refused(tmp_path):
    save(mlp([3, 2]), tmp_path)
    old = (tmp_path / "graph.json").read_bytes()
    save(mlp([3, 2], seed=1), tmp_path)
    (tmp_path / "graph.json").write_bytes(old)  # as after a kill between the two files
    with pytest.raises(BuildError, match="safetensors belongs to another graph"):
        load(tmp_path)


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"file: cannot be written \(.*\); free it or choose another folder"):
        save(mlp([3, 2]), tmp_path / "file")
