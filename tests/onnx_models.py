"""Builds small QONNX models for tests."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Sketch:
    """A model under construction: ``add`` appends a node and returns its output's name; arrays become initializers."""

    def __init__(self, *shape: int, opset: int = 13) -> None:
        self.shape, self.opset = shape, opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *operands: str | ArrayLike, domain: str = "", name: str = "", **attributes) -> str:
        inputs = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
        output = f"t{len(self.nodes)}"
        name = name or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def constant(self, values: ArrayLike, name: str = "") -> str:
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def quant(
        self, x: str | ArrayLike, scale: ArrayLike = 1.0, zero: float = 0.0, bits: float = 4.0, **attributes
    ) -> str:
        flags = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
        scale = np.asarray(scale, dtype=np.float32)
        return self.add("Quant", x, scale, np.float32(zero), np.float32(bits), domain=QONNX, **flags)

    def dense(self, x: str, weights: ArrayLike, scale: ArrayLike = 1.0, *, bits: float = 8.0, name: str = "") -> str:
        """MatMul with quantized weights (inputs, outputs); scale: broadcast to them."""
        return self.add("MatMul", x, self.quant(weights, scale, bits=bits), name=name)

    def model(self, *outputs: str) -> onnx.ModelProto:
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        entry = helper.make_tensor_value_info("data", TensorProto.FLOAT, (1, *self.shape))
        graph = helper.make_graph(self.nodes, "sketch", [entry], ports, self.constants)
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    def save(self, folder: Path, *outputs: str) -> Path:
        path = folder / "sketch.onnx"
        onnx.save(self.model(*outputs), path)
        return path


def random_mlp(
    folder: Path, seed: int, sizes: tuple[int, ...] = (12, 9, 7, 3), *, power_of_two: bool = False, bits: int = 4
) -> Path:
    """Quant, then MatMul, BatchNormalization (of either sign), Relu, Quant per layer; logits with a bias at the end."""
    rng = np.random.default_rng(seed)

    def scale(size: int = 1) -> np.ndarray:
        drawn = rng.uniform(0.01, 0.5, size)
        return np.exp2(np.round(np.log2(drawn))) if power_of_two else drawn

    sketch = Sketch(sizes[0])
    x = sketch.quant("data", scale()[0], bits=bits)
    for inputs, outputs in pairwise(sizes[:-1]):
        x = sketch.dense(x, rng.normal(size=(inputs, outputs)), scale(outputs), bits=4)
        if not power_of_two:
            parameters = [rng.normal(size=outputs).astype(np.float32) for _ in range(3)]
            x = sketch.add("BatchNormalization", x, *parameters, rng.uniform(0.5, 4, outputs).astype(np.float32))
        x = sketch.quant(sketch.add("Relu", x), scale()[0] / 4, bits=bits, signed=0)
    x = sketch.dense(x, rng.normal(size=sizes[-2:]), scale()[0], bits=4)
    return sketch.save(folder, sketch.add("Add", x, rng.normal(size=sizes[-1]).astype(np.float32)))
