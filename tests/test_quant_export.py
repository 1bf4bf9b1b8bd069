import warnings

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from espalier.errors import BuildError, GraphError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs the train extra")
qnn = pytest.importorskip("brevitas.nn", reason="needs the train extra")

from brevitas.export import export_qonnx  # noqa: E402
from brevitas.inject.enum import FloatToIntImplType  # noqa: E402
from brevitas.quant import (  # noqa: E402
    Int8AccumulatorAwareWeightQuant,
    Int8AccumulatorAwareZeroCenterWeightQuant,
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryWeightPerTensorConst,
    TruncTo8bit,
    Uint8ActPerTensorFloat,
)

from espalier.ir import dequantize_outputs, execute, quantize_inputs  # noqa: E402
from espalier.ir.onnx_import import import_onnx  # noqa: E402
from espalier.quant.export import export  # noqa: E402

MISREAD = {
    "a2q": Int8AccumulatorAwareWeightQuant.let(accumulator_bit_width=12),
    "a2q+": Int8AccumulatorAwareZeroCenterWeightQuant.let(accumulator_bit_width=12),
    "floor": Int8WeightPerTensorFloat.let(bit_width=4, float_to_int_impl_type=FloatToIntImplType.FLOOR),
    "round to zero": Int8WeightPerTensorFloat.let(bit_width=4, float_to_int_impl_type=FloatToIntImplType.ROUND_TO_ZERO),
}
PLAIN = {
    "4 bits": Int8WeightPerTensorFloat.let(bit_width=4),
    "3 bits per channel": Int8WeightPerChannelFloat.let(bit_width=3),
    "bipolar": SignedBinaryWeightPerTensorConst.let(scaling_const=0.1),
}


class OneLayer(torch.nn.Module):
    def __init__(self, quantizer, **options):
        super().__init__()
        torch.manual_seed(1)
        self.codes = qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat.let(**options), return_quant_tensor=True)
        self.fc1 = qnn.QuantLinear(32, 16, bias=False, weight_quant=quantizer)

    def forward(self, inputs):
        return self.fc1(self.codes(inputs))


def trained_layer(quantizer, **options):
    model = OneLayer(quantizer, **options)
    model(torch.rand(8, 32))
    return model.eval()


def weights_in_file(path, name="fc1.weight"):
    """What a reader of the file computes as the layer's weights: the semantics of QONNX in numpy."""
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    node = next(node for node in graph.node if node.input[0] == name)
    weights, scale = constants[name], constants[node.input[1]]
    if node.op_type == "BipolarQuant":
        return np.where(weights >= 0, scale, -scale)
    high = 2 ** (int(constants[node.input[3]]) - 1) - 1
    return np.round(np.clip(weights / scale, -high, high)) * scale


def weights_in_model(model):
    with torch.no_grad():
        return model.fc1.quant_weight(model.codes(torch.rand(8, 32))).value.numpy()


@pytest.mark.parametrize("kind", MISREAD)
def test_plain_export_writes_wrong_weights(kind, tmp_path):
    model = trained_layer(MISREAD[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(model, args=torch.rand(1, 32), export_path=str(tmp_path / "m.onnx"), dynamo=False)
    assert not np.allclose(weights_in_file(tmp_path / "m.onnx"), weights_in_model(model), atol=1e-3)


@pytest.mark.parametrize("kind", [*MISREAD, *PLAIN])
def test_export_holds_the_quantized_weights(kind, tmp_path):
    model = trained_layer({**MISREAD, **PLAIN}[kind])
    path = export(model, torch.rand(1, 32), tmp_path / "m.onnx")
    np.testing.assert_array_equal(weights_in_file(path), weights_in_model(model))


def test_export_leaves_the_model_as_it_was(tmp_path):
    model = trained_layer(MISREAD["floor"])
    before = model.fc1.weight.clone()
    export(model, torch.rand(1, 32), tmp_path / "m.onnx")
    assert torch.equal(model.fc1.weight, before)


def test_nodes_are_named_after_modules(tmp_path):
    graph = onnx.load(export(trained_layer(PLAIN["4 bits"]), torch.rand(1, 32), tmp_path / "m.onnx")).graph
    assert [node.name for node in graph.node] == ["codes", "fc1_weights", "fc1_transpose", "fc1"]
    assert [port.name for port in (*graph.input, *graph.output)] == ["inputs", "outputs"]


def test_names_are_unique_identifiers(tmp_path):
    block = torch.nn.Sequential(qnn.QuantIdentity(), qnn.QuantLinear(4, 4, bias=True), torch.nn.ReLU())
    model = torch.nn.Sequential(block, block, qnn.QuantReLU())
    model(torch.rand(2, 4))
    names = [node.name for node in onnx.load(export(model, torch.rand(1, 4), tmp_path / "m.onnx")).graph.node]
    assert len(set(names)) == len(names) and all(name.isidentifier() for name in names)


def test_two_exports_are_the_same_bytes(tmp_path):
    model = trained_layer(PLAIN["4 bits"])
    paths = [export(model, torch.rand(1, 32), tmp_path / name) for name in ("a.onnx", "b.onnx")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert str(tmp_path).encode() not in paths[0].read_bytes()


def test_only_the_file_is_left(tmp_path):
    export(trained_layer(PLAIN["bipolar"]), torch.rand(1, 32), tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize("mode, written", [("ROUND_TO_ZERO", b"DOWN"), ("FLOOR", b"FLOOR"), ("CEIL", b"CEIL")])
def test_rounding_of_activations_is_spelled_as_qonnx_does(mode, written, tmp_path):
    model = trained_layer(PLAIN["4 bits"], float_to_int_impl_type=FloatToIntImplType[mode])
    graph = onnx.load(export(model, torch.rand(1, 32), tmp_path / "m.onnx")).graph
    assert {a.s for a in graph.node[0].attribute if a.name == "rounding_mode"} == {written}


def test_quantizers_to_0_and_1_stay_such(tmp_path):
    model = trained_layer(PLAIN["4 bits"], bit_width=1)
    imported = import_onnx(export(model, torch.rand(1, 32), tmp_path / "m.onnx"))
    inputs = torch.rand(100, 32)
    (found,) = dequantize_outputs(
        imported.graph, execute(imported.graph, quantize_inputs(imported.graph, inputs.numpy()))
    ).values()
    # Another order of summation; a code of -1 would be off by a weight.
    np.testing.assert_allclose(found, model(inputs).detach().numpy(), atol=1e-5)
    assert np.abs(found).max() > 0.1


def test_signed_integers_of_one_bit_name_the_layer(tmp_path):
    model = torch.nn.Sequential(qnn.QuantIdentity(bit_width=1))
    model(torch.randn(8, 4))
    with pytest.raises(GraphError, match="layer0: a signed quantizer of 1 bit gives -1 and 0, .* or bit_width=2"):
        export(model, torch.rand(1, 4), tmp_path / "m.onnx")


def test_pools_that_truncate_are_spelled_as_qonnx_does(tmp_path):
    """Brevitas writes their rounding in lower case."""
    pool = torch.nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.TruncAvgPool2d(2, trunc_quant=TruncTo8bit, bit_width=4),
    )
    graph = onnx.load(export(pool, torch.rand(1, 2, 4, 4), tmp_path / "m.onnx")).graph
    assert b"FLOOR" in {a.s for node in graph.node if node.op_type == "Trunc" for a in node.attribute}


def test_unknown_rounding_names_the_node(tmp_path):
    model = trained_layer(PLAIN["4 bits"], float_to_int_impl_type=FloatToIntImplType.DPU)
    with pytest.raises(GraphError, match="codes: QONNX has no rounding mode DPU; use one of ROUND, FLOOR"):
        export(model, torch.rand(1, 32), tmp_path / "m.onnx")


def test_computed_weights_are_refused(tmp_path):
    model = trained_layer(PLAIN["4 bits"])
    torch.nn.utils.parametrize.register_parametrization(model.fc1, "weight", torch.nn.Tanh())
    with pytest.raises(GraphError, match="remove parametrizations"):
        export(model, torch.rand(1, 32), tmp_path / "m.onnx")


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(BuildError, match="gone/m.onnx: cannot be written"):
        export(trained_layer(PLAIN["4 bits"]), torch.rand(1, 32), tmp_path / "gone" / "m.onnx")


def test_reader_of_the_file_computes_what_the_model_does(tmp_path):
    onnx.IR_VERSION = 10  # qonnx makes models that onnxruntime refuses otherwise
    executor = pytest.importorskip("qonnx.core.onnx_exec", reason="needs qonnx")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes

    layers = [qnn.QuantConv2d(2, 3, 3, weight_quant=MISREAD["floor"]), torch.nn.BatchNorm2d(3), qnn.QuantReLU()]
    model = torch.nn.Sequential(qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat), *layers)
    model(torch.randn(4, 2, 5, 5))
    inputs = torch.randn(1, 2, 5, 5)
    path = export(model, inputs, tmp_path / "m.onnx")
    found = executor.execute_onnx(ModelWrapper(str(path)).transform(InferShapes()), {"inputs": inputs.numpy()})
    # Other software sums in another order; a wrong weight would be off by a thousand times as much.
    np.testing.assert_allclose(found["outputs"], model.eval()(inputs).detach().numpy(), atol=1e-5)
