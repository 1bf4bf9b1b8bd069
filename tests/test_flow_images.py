"""Networks of images with several inputs and outputs through all verbs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import BuildError
from espalier.flow import cli
from espalier.flow.folder import open_build, write_json
from espalier.flow.importing import describe
from espalier.flow.scores import HeldOut, read_tests
from espalier.ir.add import Add
from espalier.ir.conv2d import Conv2d
from espalier.ir.execute import execute
from espalier.ir.graph import Graph, Input, IntType, Output, TensorType
from espalier.ir.max_pool import MaxPool2d
from espalier.ir.store import save
from espalier.ir.threshold import Threshold
from graphs import append, empty_graph, random_inputs

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
SHAPE = (4, 5, 3)


def two_images():
    """The sum of two images through a convolution; the larger ones of its pixels are a second output."""
    ports = tuple(Input(name, TensorType(SHAPE, IntType(3)), SHAPE) for name in ("left", "right"))
    graph = Graph(ports, (), (Output("y", "left", SHAPE),), "two_images")
    graph = append(graph, Add, "both", ("left", "right"), coefficients=(1, 2))
    weights = np.random.default_rng(0).integers(-2, 3, (5, 3, 3, 3))
    graph = append(graph, Conv2d, "conv", weights=weights, padding=(1, 1, 1, 1))
    graph = append(graph, Threshold, "act", thresholds=np.tile([-9, 0, 9], (5, 1)))
    image = graph.outputs[0]
    graph = append(graph, MaxPool2d, "pool", kernel=(2, 2), stride=(2, 2))
    return replace(graph, outputs=(replace(image, name="image"), graph.outputs[0]))


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    path, graph = tmp_path_factory.mktemp("images") / "build", two_images()

    def work(partial):
        save(graph, partial)
        known = {"model": graph.name, "digest": "0", "agreement": None} | describe(graph)
        write_json(partial / "import.json", known)
        return {"model": graph.name}

    with open_build(path, create=True) as folder:
        folder.run("import", {"digest": "0", "name": graph.name}, work)
    assert cli.run(["plan", str(path), "--fps", "1e6"]) == 0
    assert cli.run(["generate", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def frames(build):
    codes = random_inputs(two_images(), 6)
    np.savez(build.parent / "frames.npz", **codes)
    return build.parent / "frames.npz", codes


def test_plan_tells_ports_and_buffers(build, capsys):
    capsys.readouterr()
    assert cli.run(["report", str(build), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert [port["name"] for port in plan["inputs"]] == ["left", "right"]
    assert [port["name"] for port in plan["outputs"]] == ["image", "y"]
    buffers = {layer["layer"]: layer["buffer"] for layer in plan["layers"]}
    assert buffers["conv_window"].keys() == {"places", "words", "bits", "style"}
    assert buffers["both"] is None


def test_plan_for_people_shows_the_buffer(build, capsys):
    capsys.readouterr()
    assert cli.run(["report", str(build)]) == 0
    text = capsys.readouterr().out
    assert "buffer" in text.splitlines()[0] and " lut" in text
    assert "input left" in text and "output image" in text


def test_execute_takes_an_array_for_each_input(build, frames, capsys):
    path, codes = frames
    out = build.parent / "out.npz"
    assert cli.run(["execute", str(build), "--inputs", str(path), "--codes", "-o", str(out)]) == 0
    expected = execute(two_images(), codes)
    for name, values in expected.items():
        np.testing.assert_array_equal(np.load(out)[name], values)


@pytest.mark.verilator
def test_whole_and_part_are_simulated(build, frames, capsys):
    path, _ = frames
    for layers in ([], ["--layers", "conv:pool"]):
        capsys.readouterr()
        assert cli.run(["simulate", str(build), "--inputs", str(path), *layers, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["frames"] == 6 and result["values_exact"] and result["cycles_exact"]
    assert "both" in result["runs"][0]["counts"] and "left" not in result["runs"][0]["counts"]


def test_targets_are_scored_as_in_training():
    graph, outputs = empty_graph((1, 2, 2)), {"y": np.array([0, 1, 1, 0]).reshape(1, 1, 2, 2)}
    targets = np.array([0, 1, 0.5, 0]).reshape(1, 1, 2, 2)
    assert HeldOut({}, targets=targets, metric="psnr_db").score(graph, outputs) == {"psnr_db": 10 * np.log10(16)}
    assert HeldOut({}, targets=targets, metric="iou").score(graph, outputs) == {"iou": 0.5}
    assert HeldOut({}, targets=targets).score(graph, outputs) == {}
    assert HeldOut({}).score(graph, outputs) == {}
    with pytest.raises(BuildError, match=r"targets of shape \[1, 3\] for output y"):
        HeldOut({}, targets=np.zeros((1, 3)), metric="iou").score(graph, outputs)


def test_margin_of_an_image_does_not_count():
    image = np.zeros((1, 1, 4, 4))
    image[..., 1:3, 1:3] = 0.5
    outputs = {"y": np.zeros((1, 1, 4, 4), int)}
    found = HeldOut({}, targets=image, metric="psnr_db", margin=1).score(empty_graph((1, 4, 4)), outputs)
    assert found == {"psnr_db": 10 * np.log10(4)}


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"labels": np.zeros(3, int)}, "holds no inputs"),
        ({"inputs": np.zeros((3, 2)), "labels": np.zeros(2, int)}, "holds 2 labels for 3 inputs"),
        ({"left": np.zeros((3, 2)), "right": np.zeros((1, 2))}, "holds 1 right for 3 inputs"),
        ({"inputs": np.zeros((3, 2)), "labels": np.zeros(3)}, r"its labels are float64\[3\], need one class a frame"),
    ],
)
def test_test_sets_that_do_not_fit(tmp_path, arrays, words):
    np.savez(tmp_path / "test.npz", **arrays)
    with pytest.raises(BuildError, match=words):
        read_tests(tmp_path / "test.npz")


def test_inputs_have_their_own_arrays(tmp_path):
    np.savez(tmp_path / "test.npz", left=np.zeros((3, 2)), right=np.ones((3, 2)), targets=np.zeros((3, 1)))
    found = read_tests(tmp_path / "test.npz", "iou")
    assert isinstance(found.inputs, dict) and list(found.inputs) == ["left", "right"]
    assert found.labels is None and found.targets is not None
