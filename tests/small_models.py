"""Small QONNX files for the tests of the command line."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DOMAIN = "qonnx.custom_op.general"


class Builder:
    """Collects nodes and constants of a QONNX model."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], name: str, domain: str = "", **attributes) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [f"{name}_y"], name=name, domain=domain, **attributes))
        return f"{name}_y"

    def quant(self, source: str, name: str, scale: float, bits: int, signed: bool) -> str:
        operands = [self.constant(f"{name}_{what}", v) for what, v in (("scale", scale), ("zero", 0), ("bits", bits))]
        kept = {"signed": int(signed), "narrow": 0, "rounding_mode": "ROUND"}
        return self.add("Quant", [source, *operands], name, DOMAIN, **kept)

    def save(self, path: Path, inputs: int, outputs: int, last: str) -> Path:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs])
        y = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, outputs])
        graph = helper.make_graph(self.nodes, "small", [x], [y], self.constants)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def weights_of(inputs: int, outputs: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-7, 8, (inputs, outputs)) * np.float32(0.125)


def write_mlp(path: Path, widths: Sequence[int] = (6, 5, 3), *, seed: int = 0, quantize_input: bool = True) -> Path:
    """An MLP of 4-bit weights and activations, ReLU between the layers."""
    model, x = Builder(), "x"
    if quantize_input:
        x = model.quant(x, "q_in", 0.25, 4, signed=False)
    for layer, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        weights = model.constant(f"w{layer}", weights_of(inputs, outputs, seed + layer))
        w = model.quant(weights, f"q_w{layer}", 0.125, 4, signed=True)
        x = model.add("MatMul", [x, w], f"fc{layer}")
        if layer < len(widths) - 1:
            x = model.quant(model.add("Relu", [x], f"relu{layer}"), f"q_a{layer}", 0.5, 4, signed=False)
    return model.save(path, widths[0], widths[-1], x)
