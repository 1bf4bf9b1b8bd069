from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import execute, quantize_inputs
from espalier.ir.imported import summation_error
from espalier.ir.onnx_import import import_onnx
from espalier.ir.verify import explain_differences
from onnx_models import Sketch, random_mlp
from test_import_models import compare_layers
from test_onnx_import import normal_frames


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A model with arbitrary scales, all our tensors, and the codes that the model's quantizers should have."""
    imported = import_onnx(random_mlp(tmp_path_factory.mktemp("verify"), 1))
    ours = execute(imported.graph, quantize_inputs(imported.graph, normal_frames(12)), every=True)
    return imported, ours, {name: ours[name].copy() for name in imported.quantized}


def test_equal_codes_need_no_explanation(compared):
    found = explain_differences(*compared)
    assert (found.equal_frames, found.explained, found.unexplained) == (200, 0, 0)
    assert found.codes == 200 * (12 + 9 + 7) and not found.mentioned


@pytest.mark.parametrize("tensor", ["fc1_act", "fc2_act"])
def test_threshold_off_by_one_is_not_explained(compared, tensor):
    imported, ours, theirs = compared
    node = imported.graph.node(tensor)
    wrong = replace(node, thresholds=node.thresholds + 1)
    found = explain_differences(imported, ours, {**theirs, tensor: wrong.evaluate(ours[node.inputs[0]])})
    assert found.unexplained > 20 and found.explained == 0
    assert f"{tensor}: frame " in str(found.mentioned[0]) and "rounding explains" in str(found.mentioned[0])


def test_each_layer_is_compared_on_the_codes_that_the_model_had(compared):
    imported, ours, theirs = compared
    changed = {name: codes.copy() for name, codes in theirs.items()}
    changed["fc1_act"][5, 2] = 15 - changed["fc1_act"][5, 2]
    changed["fc2_act"][5] = imported.graph.node("fc2_act").evaluate(
        imported.graph.node("fc2").evaluate(changed["fc1_act"][5])
    )
    found = explain_differences(imported, ours, changed)
    assert (found.unexplained, found.equal_frames, found.by_tensor) == (1, 199, {"fc1_act": 1})
    assert found.codes == 200 * (12 + 9 + 7)


def test_frames_are_compared_up_to_the_first_difference_where_codes_are_missing(compared):
    imported, ours, theirs = compared
    changed = {name: theirs[name].copy() for name in ("fc1_act", "fc2_act")}
    changed["fc1_act"][5, 2] = 15 - changed["fc1_act"][5, 2]
    changed["fc2_act"][5] = 99
    found = explain_differences(imported, ours, changed)
    assert (found.unexplained, found.equal_frames, found.by_tensor) == (1, 199, {"fc1_act": 1})
    assert found.codes == 200 * 9 + 199 * 7


def test_differing_inputs_are_not_explained(compared):
    imported, ours, theirs = compared
    changed = {**theirs, "data": theirs["data"] + 1}
    assert explain_differences(imported, ours, changed).by_tensor["data"] == 200 * 12


def test_names_may_be_those_of_the_model(compared):
    imported, ours, theirs = compared
    named = {f"{i:02d}_quant": codes for i, codes in enumerate(theirs.values())}
    assert explain_differences(imported, ours, {**named, "outputs": np.zeros((200, 3))}).codes == 200 * 28


def test_other_number_of_quantizers(compared):
    imported, ours, theirs = compared
    with pytest.raises(GraphError, match=r"integers of 1 quantizers \(00_a\), but the graph has 3 \(data, fc1_act"):
        explain_differences(imported, ours, {"00_a": theirs["data"]})


def test_other_number_of_channels(compared):
    imported, ours, theirs = compared
    with pytest.raises(GraphError, match="fc1_act: the model gives 3 channels, but the graph has 9"):
        explain_differences(imported, ours, {"fc1_act": theirs["fc1_act"][:, :3]})


def tie_model(folder, scale):
    """Sums that are whole numbers of ``scale``, quantized to multiples of twice as much: every odd sum is a tie."""
    sketch = Sketch(3)
    x = sketch.dense(sketch.quant("data", bits=6), np.full((3, 2), scale), scale)
    return sketch.save(folder, sketch.quant(x, 2 * scale, bits=6))


@pytest.mark.parametrize("scale, explained", [(0.1, True), (0.125, False)])
def test_only_inexact_sums_excuse_a_tie(tmp_path, scale, explained):
    imported = import_onnx(tie_model(tmp_path, scale))
    codes = np.random.default_rng(0).integers(-5, 6, (400, 3))
    ours = execute(imported.graph, codes, every=True)
    half_up = np.floor(ours["fc1"] / 2 + 0.5).astype(int)
    found = explain_differences(imported, ours, {"data": codes, "fc1_act": half_up})
    assert found.explained + found.unexplained > 50
    assert (found.unexplained == 0) == explained and (found.explained == 0) != explained


def test_bipolar_integers_or_codes(tmp_path):
    sketch = Sketch(3)
    x = sketch.add("BipolarQuant", "data", 1.0, domain="onnx.brevitas")
    imported = import_onnx(sketch.save(tmp_path, sketch.dense(x, np.eye(3))))
    codes = np.random.default_rng(0).integers(0, 2, (20, 3))
    ours = execute(imported.graph, codes, every=True)
    for theirs in (codes, 2 * codes - 1):
        assert explain_differences(imported, ours, {"data": theirs}).equal_frames == 20


def test_negated_rows_keep_their_bound(tmp_path):
    sketch = Sketch(3)
    x = sketch.add("Mul", sketch.dense(sketch.quant("data", 0.1), np.eye(3) * 0.7, 0.1), -1.3)
    imported = import_onnx(sketch.save(tmp_path, sketch.quant(x, 0.09)))
    ours = execute(imported.graph, np.random.default_rng(0).integers(-8, 8, (400, 3)), every=True)
    wrong = {"fc1_act": ours["fc1_act"] + 1}
    assert explain_differences(imported, ours, wrong).unexplained > 1000


def test_noise_bounds_every_order_of_summation():
    generator = np.random.default_rng(0)
    weights, reals = generator.integers(-7, 8, (5, 300)), generator.normal(size=(40, 300)).astype(np.float32)
    scale = np.full(5, np.float32(0.1))
    bound = summation_error(300) * scale * (np.abs(reals).astype(float) @ np.abs(weights).T)
    exact = reals.astype(float) @ weights.T * float(scale[0])
    rounded = (weights * scale[:, None]).astype(np.float32)
    for order in (slice(None), slice(None, None, -1), generator.permutation(300)):
        sums = np.cumsum((reals[:, None, order] * rounded[None, :, order]), axis=2, dtype=np.float32)[..., -1]
        assert (np.abs(sums - exact) <= bound).all() and np.abs(sums - exact).max() > 0


def image_model(folder, kind):
    """Layers with arbitrary scales on images, whose sums float32 rounds."""
    generator = np.random.default_rng(5)
    sketch = Sketch(4, 12, 12, opset=14)

    def conv(x, outputs, inputs, kernel=3, **attributes):
        scales = generator.uniform(0.1, 0.3, (outputs, 1, 1, 1)).astype(np.float32)
        weights = generator.normal(size=(outputs, inputs, kernel, kernel)).astype(np.float32)
        return sketch.add(
            "Conv", x, sketch.quant(weights, scales, bits=4), generator.normal(size=outputs), **attributes
        )

    x = sketch.quant(conv(sketch.quant("data", 0.13), 8, 4), 0.71, bits=4)
    y = {
        "convolution": lambda: conv(x, 8, 8, pads=[1, 1, 1, 1], strides=[2, 2]),
        "groups": lambda: conv(x, 8, 2, group=4, dilations=[2, 1]),
        "depthwise": lambda: conv(x, 8, 1, group=8, pads=[1, 1, 1, 1]),
        "average": lambda: sketch.add("AveragePool", x, kernel_shape=[3, 3], strides=[2, 1]),
        "largest": lambda: sketch.add("MaxPool", conv(x, 8, 8), kernel_shape=[2, 2], strides=[2, 2]),
        "sum": lambda: sketch.add("Add", conv(x, 8, 8, pads=[1, 1, 1, 1]), x),
        "own sigmoid": lambda: (lambda z: sketch.add("Mul", z, sketch.add("Sigmoid", z)))(conv(x, 8, 8, 1)),
        "transposed": lambda: sketch.add(
            "ConvTranspose", x, sketch.quant(generator.normal(size=(8, 4, 4, 4)), 0.17, bits=4), strides=[2, 2]
        ),
    }[kind]()
    return sketch.save(folder, sketch.quant(y, 0.37, bits=8))


KINDS = ("convolution", "groups", "depthwise", "average", "largest", "sum", "own sigmoid", "transposed")


@pytest.mark.parametrize("kind", KINDS)
def test_differences_on_images_are_explained_layer_by_layer(tmp_path, kind):
    path = image_model(tmp_path, kind)
    imported, frames = import_onnx(path), np.random.default_rng(0).normal(size=(60, 4, 12, 12)).astype(np.float32)
    found = compare_layers(path, imported, frames)
    assert found.unexplained == 0 and found.explained < found.codes / 1000
    broken = tuple(
        replace(node, weights=np.roll(node.weights, 1, axis=0)) if node.name == "conv1" else node
        for node in imported.graph.nodes
    )
    other = replace(imported, graph=replace(imported.graph, nodes=broken))
    assert compare_layers(path, other, frames).unexplained > 100
