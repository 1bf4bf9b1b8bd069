"""Runs a QONNX file with qonnx's own executor, many frames at once: the oracle for imported models."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray


def run_qonnx(path: Path, frames: NDArray) -> dict[str, NDArray]:
    """Every tensor of the model, by ONNX name, for float32 frames (n, *model_shape)."""
    pytest.importorskip("onnxruntime")
    onnx.IR_VERSION = 10  # qonnx 1.0.0 stamps it on its models; onnxruntime refuses that of onnx 1.23
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(_with_batch(onnx.load(path), len(frames)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model.transform(InferShapes())
        name = _data_input(model.model).name
        return execute_onnx(model, {name: frames.astype(np.float32)}, return_full_exec_context=True)


def _with_batch(model: onnx.ModelProto, frames: int) -> onnx.ModelProto:
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx", "qonnx.custom_op.channels_last"):
            node.domain = "qonnx.custom_op.general"
    known = {entry.domain for entry in model.opset_import}
    for domain in {node.domain for node in model.graph.node} - known - {"", "ai.onnx"}:
        model.opset_import.append(onnx.helper.make_opsetid(domain, 1 if domain.endswith("general") else 14))
    _data_input(model).type.tensor_type.shape.dim[0].dim_value = frames
    for port in model.graph.output:
        port.type.tensor_type.ClearField("shape")
    if frames > 1:  # for one they stay, since qonnx cannot infer those of channels-last operators
        del model.graph.value_info[:]
    return model


def _data_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    constants = {tensor.name for tensor in model.graph.initializer}
    return next(port for port in model.graph.input if port.name not in constants)
