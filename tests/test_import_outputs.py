import numpy as np
import pytest

from espalier.errors import GraphError
from espalier.ir import dequantize_outputs, execute, quantize_inputs
from espalier.ir.onnx_import import import_onnx
from onnx_models import Sketch
from test_onnx_import import model_outputs

WEIGHTS = np.random.default_rng(0).integers(-8, 8, (6, 5))
FRAMES = np.random.default_rng(1).integers(-8, 8, (2000, 6)).astype(np.float32)


def kinds(imported):
    return [type(node).__name__ for node in imported.graph.nodes]


def logits(*tail, zero=0.0, scale=1.0):
    """A sketch of Quant, MatMul, and a tail of (operator, constants...) after it; and its last tensor."""
    sketch = Sketch(6)
    x = sketch.dense(sketch.quant("data", 1.0, zero, bits=8), WEIGHTS, scale)
    for operator, *constants in tail:
        x = sketch.add(operator, x, *constants)
    return sketch, x


def index(imported):
    codes = quantize_inputs(imported.graph, FRAMES)
    return next(iter(execute(imported.graph, codes).values()))[:, 0]


def test_host_returns_what_the_model_returns(tmp_path):
    sketch, x = logits(("Mul", 0.37), ("Add", np.float32([1, 2, 3, 4, 5])), ("Softmax",), ("Mul", 2.0))
    found = model_outputs(import_onnx(sketch.save(tmp_path, x)), FRAMES)
    values = np.exp((FRAMES @ WEIGHTS) * 0.37 + [1, 2, 3, 4, 5])
    np.testing.assert_allclose(found, 2 * values / values.sum(1, keepdims=True), rtol=1e-4, atol=1e-30)  # float32


def test_reshaped_output_has_the_models_shape(tmp_path):
    sketch, x = logits(("Mul", 0.5), ("Reshape", np.array([1, 5, 1])), ("Add", np.arange(5.0)[:, None]))
    found = model_outputs(import_onnx(sketch.save(tmp_path, x)), FRAMES)
    np.testing.assert_array_equal(found, ((FRAMES @ WEIGHTS) * 0.5 + np.arange(5))[..., None])


def test_softmax_and_argmax_work_in_the_models_shape(tmp_path):
    sketch, x = logits(("Mul", 0.25), ("Reshape", np.array([1, 5, 1])), ("Add", np.arange(5.0)[:, None] / 4))
    shared = x
    soft = sketch.add("Squeeze", sketch.add("Softmax", shared, axis=1), np.array([2]))
    index = sketch.add("ArgMax", shared, axis=1, keepdims=0)
    imported = import_onnx(sketch.save(tmp_path, soft, index))
    integers = execute(imported.graph, quantize_inputs(imported.graph, FRAMES))
    soft, index = dequantize_outputs(imported.graph, integers).values()
    sums = (FRAMES @ WEIGHTS + np.arange(5)) / 4
    powers = np.exp(sums - sums.max(1, keepdims=True))
    np.testing.assert_allclose(soft, powers / powers.sum(1, keepdims=True), rtol=1e-4, atol=1e-30)  # float32
    np.testing.assert_array_equal(index[:, 0], sums.argmax(1))
    assert kinds(imported) == ["Dense", "Requantize", "ArgMax"]


def test_quantized_output_is_made_in_hardware(tmp_path):
    sketch, x = logits()
    imported = import_onnx(sketch.save(tmp_path, sketch.add("BipolarQuant", x, 0.5, domain="onnx.brevitas")))
    np.testing.assert_array_equal(model_outputs(imported, FRAMES), np.where(FRAMES @ WEIGHTS >= 0, 0.5, -0.5))
    assert kinds(imported) == ["Dense", "Threshold"] and str(imported.graph.nodes[-1].result) == "uint1"


@pytest.mark.parametrize("tail", [(), (("Mul", 0.37),), (("Mul", 0.3), ("Add", 7.0)), (("Softmax",),)])
def test_argmax_of_equal_scales_is_exact(tmp_path, tail):
    sketch, x = logits(*tail)
    imported = import_onnx(sketch.save(tmp_path, x), argmax=True)
    np.testing.assert_array_equal(index(imported), (FRAMES @ WEIGHTS).argmax(1))
    assert kinds(imported) == ["Dense", "ArgMax"]


@pytest.mark.parametrize("zero", [0.0, 3.0])
def test_argmax_adds_biases_that_are_whole_steps(tmp_path, zero):
    sketch, x = logits(("Add", np.float32([4, -8, 0.5, 0, 12])), zero=zero, scale=0.125)
    imported = import_onnx(sketch.save(tmp_path, x), argmax=True)
    expected = (FRAMES @ WEIGHTS.clip(-16, 15) * 0.125 + [4, -8, 0.5, 0, 12]).argmax(1)
    # The weights are integers times 1 before the scale of their quantizer, which rounds them to its own grid.
    reals = model_outputs(import_onnx(sketch.save(tmp_path, x)), FRAMES)
    np.testing.assert_array_equal(index(imported), reals.argmax(1))
    assert kinds(imported) == ["Dense", "Requantize", "ArgMax"] and expected.shape == reals.argmax(1).shape


def test_argmax_of_rows_that_were_negated(tmp_path):
    sketch, x = logits()
    act = sketch.quant(sketch.add("Mul", x, [[-1, 1, -1, 1, 1]]))
    imported = import_onnx(sketch.save(tmp_path, x, act))
    ours = dequantize_outputs(imported.graph, execute(imported.graph, quantize_inputs(imported.graph, FRAMES)))
    np.testing.assert_array_equal(ours[imported.graph.outputs[0].name], FRAMES @ WEIGHTS)


def test_models_own_argmax_is_in_hardware(tmp_path):
    sketch, x = logits(("Mul", 0.37))
    imported = import_onnx(sketch.save(tmp_path, sketch.add("ArgMax", x, axis=1, keepdims=0)))
    np.testing.assert_array_equal(index(imported), (FRAMES @ WEIGHTS).argmax(1))
    assert imported.graph.outputs[0].model_shape == () and kinds(imported) == ["Dense", "ArgMax"]


def test_models_own_argmax_is_left_to_the_host_where_inexact(tmp_path):
    bias = np.float32([0.1, 0.2, 0.3, 0.4, 0.5])
    sketch, x = logits(("Add", bias))
    imported = import_onnx(sketch.save(tmp_path, sketch.add("ArgMax", x, axis=-1)))
    np.testing.assert_array_equal(model_outputs(imported, FRAMES)[:, 0], (FRAMES @ WEIGHTS + bias).argmax(1))
    assert kinds(imported) == ["Dense"]


def test_index_of_top_one(tmp_path):
    sketch, x = logits(("Mul", 0.5))
    sketch.add("TopK", x, np.array([1]), axis=-1)
    sketch.nodes[-1].output.append("winner")
    np.testing.assert_array_equal(index(import_onnx(sketch.save(tmp_path, "winner"))), (FRAMES @ WEIGHTS).argmax(1))


@pytest.mark.parametrize(
    "tail, reason",
    [
        ((("Add", [0.1, 0.2, 0.3, 0.4, 0.5]),), "different scales or biases that are no whole number of steps"),
        ((("Mul", [1, 2, 1, 1, 1]),), "different scales or biases"),
        ((("Add", 1e9),), "different integers give equal or falling float32 results"),
        ((("Mul", -1.0),), "different integers give equal or falling float32 results"),
        ((("Relu",),), "different integers give equal or falling"),
        ((("Mul", 1e-7), ("Softmax",)), "closer to each other than float32 softmax can tell"),
        ((("Mul", 3e38),), "overflow float32"),
    ],
)
def test_inexact_argmax_says_why(tmp_path, tail, reason):
    sketch, x = logits(*((operator, *map(np.float32, constants)) for operator, *constants in tail))
    with pytest.raises(GraphError, match=f"output {x}: ArgMax in hardware would not be exact: .*{reason}.*leave it"):
        import_onnx(sketch.save(tmp_path, x), argmax=True)


def test_softmax_over_frames(tmp_path):
    sketch, x = logits()
    with pytest.raises(GraphError, match=r"Softmax.*works along axis 0"):
        import_onnx(sketch.save(tmp_path, sketch.add("Softmax", x, axis=0)))
