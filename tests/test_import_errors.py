import numpy as np
import onnx
import pytest

from espalier.errors import BuildError, GraphError
from espalier.ir.import_input import parse_input_type
from espalier.ir.onnx_import import import_onnx
from onnx_models import Sketch, random_mlp


def test_missing_file(tmp_path):
    with pytest.raises(BuildError, match=r"absent\.onnx: no such file"):
        import_onnx(tmp_path / "absent.onnx")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(BuildError, match=r"cannot be read \(Is a directory\)"):
        import_onnx(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"\x89PNG\r\n", bytes(range(256)), b"\x08\x08"])
def test_not_an_onnx_file(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(GraphError, match=r"x\.onnx: not an ONNX file"):
        import_onnx(tmp_path / "x.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_file(tmp_path, share):
    path = random_mlp(tmp_path, 0)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(GraphError, match="cut short"):
        import_onnx(path)


def test_data_file_beside_the_model(tmp_path):
    model, path = onnx.load(random_mlp(tmp_path, 0)), tmp_path / "big.onnx"
    before = import_onnx(tmp_path / "sketch.onnx").graph
    onnx.save(model, path, save_as_external_data=True, location="big.data", size_threshold=0)
    np.testing.assert_array_equal(import_onnx(path).graph.nodes[0].weights, before.nodes[0].weights)
    (tmp_path / "big.data").unlink()
    with pytest.raises(BuildError, match=r"big\.onnx: its data big\.data cannot be read .* copy it beside"):
        import_onnx(path)


def test_unsupported_operator_names_its_node(tmp_path):
    sketch = Sketch(2)
    path = sketch.save(tmp_path, sketch.add("Gelu", sketch.dense(sketch.quant("data"), np.eye(2)), name="net/gelu"))
    with pytest.raises(
        GraphError, match=r"net/gelu \(Gelu\): there is no exact integer form for it; known operators: .*Relu"
    ):
        import_onnx(path)


def test_unknown_domain_names_its_node(tmp_path):
    sketch = Sketch(2)
    path = sketch.save(tmp_path, sketch.add("Relu", "data", domain="my.ops", name="odd"))
    with pytest.raises(GraphError, match=r"odd \(Relu\): unknown domain my\.ops"):
        import_onnx(path)


def test_float_weights(tmp_path):
    sketch = Sketch(2)
    weights = sketch.constant([[0.5, 1], [2, 3]], "fc.weight")
    path = sketch.save(tmp_path, sketch.add("MatMul", sketch.quant("data"), weights, name="fc"))
    with pytest.raises(
        GraphError, match=r"fc \(MatMul\): fc\.weight are float weights without a quantizer; put a Quant"
    ):
        import_onnx(path)


def test_whole_float_weights_need_no_quantizer(tmp_path):
    sketch = Sketch(2)
    path = sketch.save(tmp_path, sketch.add("MatMul", sketch.quant("data"), [[1.0, -1], [2, 3]]))
    np.testing.assert_array_equal(import_onnx(path).graph.nodes[0].weights, [[1, 2], [-1, 3]])


def test_weights_with_nan(tmp_path):
    sketch = Sketch(2)
    weights = sketch.quant(sketch.constant([[np.nan, 1], [2, 3]], "fc.weight"))
    path = sketch.save(tmp_path, sketch.add("MatMul", sketch.quant("data"), weights))
    with pytest.raises(GraphError, match=r"Quant_0 \(Quant\): fc\.weight holds NaN in 1 of 4 places"):
        import_onnx(path)


def test_weights_with_infinity(tmp_path):
    sketch = Sketch(2)
    path = sketch.save(tmp_path, sketch.dense(sketch.quant("data"), [[np.inf, 1], [2, 3]]))
    with pytest.raises(GraphError, match="holds inf"):
        import_onnx(path)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3)])
def test_zero_size_layer(tmp_path, shape):
    sketch = Sketch(3)
    path = sketch.save(tmp_path, sketch.add("MatMul", sketch.quant("data"), np.zeros(shape, np.float32), name="empty"))
    with pytest.raises(GraphError, match=r"empty \(MatMul\): weights .* have shape .*; every size must be at least 1"):
        import_onnx(path)


def test_zero_size_input(tmp_path):
    sketch = Sketch(0)
    with pytest.raises(GraphError, match=r"input data has shape \[0\]"):
        import_onnx(sketch.save(tmp_path, sketch.quant("data")))


def test_input_without_quantizer_needs_a_type(tmp_path):
    sketch = Sketch(2)
    path = sketch.save(tmp_path, sketch.dense("data", np.eye(2), name="fc"))
    with pytest.raises(
        GraphError, match=r"input data has no quantizer before fc \(MatMul\); .*--input-type, .*uint8:1/255"
    ):
        import_onnx(path)


def test_input_with_two_quantizers_needs_a_type(tmp_path):
    sketch = Sketch(2)
    outputs = [sketch.dense(sketch.quant("data", scale), np.eye(2)) for scale in (0.5, 0.3)]
    path = sketch.save(tmp_path, *outputs)
    with pytest.raises(GraphError, match="by another quantizer than other layers; share one"):
        import_onnx(path)
    assert len(import_onnx(path, input_type="int8:0.1").graph.outputs) == 2


def test_layers_without_quantizer_between(tmp_path):
    sketch = Sketch(2)
    hidden = sketch.add("Sigmoid", sketch.dense(sketch.quant("data"), np.eye(2)), name="act")
    path = sketch.save(tmp_path, sketch.dense(hidden, np.eye(2), name="fc2"))
    with pytest.raises(GraphError, match=r"fc2 \(MatMul\): .* through act \(Sigmoid\), .* put a quantizer after it"):
        import_onnx(path)


def test_softmax_inside_the_network(tmp_path):
    sketch = Sketch(2)
    soft = sketch.add("Softmax", sketch.dense(sketch.quant("data"), np.eye(2)), name="soft")
    path = sketch.save(tmp_path, sketch.dense(sketch.quant(soft), np.eye(2), name="fc2"))
    with pytest.raises(
        GraphError, match=r"fc2 \(MatMul\): takes data from soft \(Softmax\), which only the host can do"
    ):
        import_onnx(path)


def test_wrong_number_of_features(tmp_path):
    sketch = Sketch(4, 5)
    path = sketch.save(tmp_path, sketch.dense(sketch.quant("data"), np.eye(20), name="fc"))
    with pytest.raises(
        GraphError, match=r"fc \(MatMul\): weights take 20 inputs, but data of shape \[4, 5\] .*flatten"
    ):
        import_onnx(path)


def test_reshape_that_mixes_frames(tmp_path):
    sketch = Sketch(4)
    path = sketch.save(tmp_path, sketch.add("Reshape", sketch.quant("data"), np.array([2, 2]), name="mix"))
    with pytest.raises(GraphError, match=r"mix \(Reshape\): mixes frames: \[1, 4\] becomes \[2, 2\]"):
        import_onnx(path)


@pytest.mark.parametrize("constant", [[1.0, 2.0], [1.0, 1.0]])
def test_constant_that_does_not_fit(tmp_path, constant):
    sketch = Sketch(4)
    path = sketch.save(tmp_path, sketch.add("Add", sketch.quant("data"), constant, name="bias"))
    with pytest.raises(
        GraphError, match=r"bias \(Add\): its constant of shape \[2\] does not fit data of shape \[1, 4\]"
    ):
        import_onnx(path)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf])
def test_scale_that_is_none(tmp_path, scale):
    sketch = Sketch(4)
    with pytest.raises(GraphError, match=r"Quant_0 \(Quant\): has scale .*; a finite scale above 0 is needed"):
        import_onnx(sketch.save(tmp_path, sketch.quant("data", scale)))


def test_unknown_rounding_mode(tmp_path):
    sketch = Sketch(4)
    with pytest.raises(GraphError, match="unknown rounding mode STOCHASTIC; known are"):
        import_onnx(sketch.save(tmp_path, sketch.quant("data", rounding_mode="STOCHASTIC")))


def test_scales_that_differ_along_a_sum(tmp_path):
    sketch = Sketch(2)
    path = sketch.save(tmp_path, sketch.dense(sketch.quant("data", [[0.1, 0.23]]), np.eye(2), name="fc"))
    with pytest.raises(GraphError, match=r"fc \(MatMul\): its data have different scales along the inputs"):
        import_onnx(path)


def test_training_mode(tmp_path):
    sketch = Sketch(2)
    one = np.ones(2, dtype=np.float32)
    x = sketch.add("BatchNormalization", sketch.quant("data"), one, one, one, one, name="bn", training_mode=1)
    with pytest.raises(GraphError, match=r"bn \(BatchNormalization\): is in training mode; .*model\.eval"):
        import_onnx(sketch.save(tmp_path, x))


def test_function_that_gives_nan_names_channel_and_integer(tmp_path):
    sketch = Sketch(2)
    one, huge = np.ones(2, dtype=np.float32), np.float32([1, 3e38])
    sums = sketch.dense(sketch.quant("data"), np.eye(2))
    x = sketch.add("BatchNormalization", sums, huge, one, np.float32([1, 1e10]), np.float32([1, 6e-45]), epsilon=0.0)
    path = sketch.save(tmp_path, sketch.quant(x))
    with pytest.raises(GraphError, match=r"Quant_\d \(Quant\): gives nan in channel 1 for the integer 0"):
        import_onnx(path)


def test_tiny_variance_saturates_as_the_model_does(tmp_path):
    sketch = Sketch(2)
    one, zero = np.ones(2, dtype=np.float32), np.zeros(2, dtype=np.float32)
    sums = sketch.dense(sketch.quant("data"), np.eye(2))
    x = sketch.add("BatchNormalization", sums, one, zero, zero, np.full(2, 6e-45, np.float32), epsilon=0.0)
    (act,) = (n for n in import_onnx(sketch.save(tmp_path, sketch.quant(x))).graph.nodes if n.name == "fc1_act")
    np.testing.assert_array_equal(act.evaluate(np.array([[-8, -1], [0, 1]])), [[-8, -8], [0, 7]])


def test_output_that_is_a_constant(tmp_path):
    sketch = Sketch(2)
    path = sketch.save(tmp_path, sketch.add("Neg", [1.0]))
    with pytest.raises(GraphError, match="output t0: takes t0, which is a constant"):
        import_onnx(path)


def test_nodes_out_of_order(tmp_path):
    path = random_mlp(tmp_path, 0)
    model = onnx.load(path)
    nodes = list(reversed(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)
    with pytest.raises(GraphError, match=r"Add_\d+ \(Add\): takes t\d+, which is made by no earlier node"):
        import_onnx(path)


def test_input_without_batch_axis(tmp_path):
    sketch = Sketch()
    with pytest.raises(GraphError, match="needs a shape with a batch axis"):
        import_onnx(sketch.save(tmp_path, sketch.quant("data")))


def test_input_of_unknown_size(tmp_path):
    sketch = Sketch(4)
    model = sketch.model(sketch.quant("data"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(GraphError, match="input data has unknown sizes"):
        import_onnx(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    "text, message",
    [
        ("float32", "input type 'float32' is unknown; give for example uint8"),
        ("uint0", "unknown"),
        ("int32", "has 32 bits; float32, which the model takes, holds at most 24"),
        ("uint8:0", "'0' is no scale above 0"),
        ("uint8:1/0", "'1/0' is no scale above 0"),
        ("uint8:-1", "'-1' is no scale above 0"),
        ("uint8:half", "'half' is no scale above 0"),
        ("uint8:1e400", "float32 cannot hold the scale 1e400; choose one of 1e-30 to 1e30"),
        ("int8:1e-60", "float32 cannot hold the scale 1e-60"),
    ],
)
def test_input_types_that_are_none(text, message):
    with pytest.raises(GraphError, match=message):
        parse_input_type(text)
