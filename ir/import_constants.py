"""Constants of an ONNX model: folding them, and keeping the integers and scales of quantized ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator

from ..errors import GraphError
from .chain import Chain
from .graph import Ints
from .import_steps import StepRequest, make_step
from .onnx_model import describe

# Operators that only move elements, so that they can be applied to integers and scales alike.
MOVES = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Gather", "Expand", "Concat"}
QUANTIZERS = {"Quant", "IntQuant", "BipolarQuant"}


@dataclass(frozen=True, eq=False)
class Quantized:
    """A constant that is integers times scale (float64), element by element; ``values`` are the model's float32."""

    values: NDArray
    integers: Ints
    scale: NDArray


Constant = NDArray | Quantized


def plain(constant: Constant) -> NDArray:
    return constant.values if isinstance(constant, Quantized) else constant


def fold(node: onnx.NodeProto, operands: Sequence[Constant | None], opset: int) -> list[Constant]:
    """The outputs of a node all of whose operands are constants."""
    values = [None if operand is None else plain(operand) for operand in operands]
    if node.op_type in QUANTIZERS:
        return [_quantize(node, values, opset)]
    outputs = _evaluate(node, values, opset)
    quantized = [operand for operand in operands if isinstance(operand, Quantized)]
    if quantized and node.op_type in MOVES and len(quantized) == (len(operands) if node.op_type == "Concat" else 1):
        return _move(node, operands, outputs[0], opset)
    if quantized and node.op_type in ("Mul", "Div") and isinstance(operands[0], Quantized):
        return _rescale(node, operands[0], values[1], outputs[0])
    return list(outputs)


def integers_of(owner: str, name: str, constant: Constant) -> Quantized:
    """The weights as integers; raises GraphError where they are floats that no quantizer made."""
    if isinstance(constant, Quantized):
        return constant
    whole = np.rint(constant)
    if not (np.isfinite(constant).all() and (whole == constant).all() and np.abs(whole).max(initial=0) < 2**24):
        raise GraphError(f"{owner}: {name} are float weights without a quantizer; put a Quant node on them")
    return Quantized(constant.astype(np.float32), whole.astype(np.int64), np.ones(constant.shape))


def _quantize(node: onnx.NodeProto, operands: Sequence[NDArray | None], opset: int) -> Constant:
    data = np.asarray(operands[0], dtype=np.float32)
    if not np.isfinite(data).all():
        raise GraphError(f"{describe(node)}: {node.input[0]} holds inf; train or export it again")
    shape = data.shape or (1,)
    step = make_step(StepRequest(node, [None, *operands[1:]], 0, shape, opset))
    values = Chain((step,))(data.reshape(1, *shape))[0].reshape(data.shape)
    scale = np.broadcast_to(step.constants[0].astype(np.float64), shape).reshape(data.shape)
    integers = np.rint(values / scale)
    if not (values == (integers * scale).astype(np.float32)).all():
        return values  # a zero point that is no integer: floats like any other
    return Quantized(values, integers.astype(np.int64), scale)


def _move(node: onnx.NodeProto, operands: Sequence[Constant | None], values: NDArray, opset: int) -> list[Constant]:
    def apply(part: str) -> NDArray:
        parts = [getattr(o, part) if isinstance(o, Quantized) else o for o in operands]
        return _evaluate(node, parts, opset)[0]

    return [Quantized(values, apply("integers"), apply("scale"))]


def _rescale(node: onnx.NodeProto, weights: Quantized, factor: NDArray | None, values: NDArray) -> list[Constant]:
    exact = np.asarray(factor, dtype=np.float64)
    scale = weights.scale * exact if node.op_type == "Mul" else weights.scale / exact
    if values.shape != weights.values.shape or not (np.isfinite(scale).all() and (scale > 0).all()):
        return [values]
    return [Quantized(values, weights.integers, np.broadcast_to(scale, values.shape))]


def _evaluate(node: onnx.NodeProto, operands: Sequence[NDArray | None], opset: int) -> list[NDArray]:
    given = {name: value for name, value in zip(node.input, operands, strict=True) if name and value is not None}
    graph = helper.make_graph(
        [node],
        "constant",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for name, v in given.items()
        ],
        [helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in node.output if name],
    )
    try:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        with np.errstate(all="ignore"):
            return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, given)]
    except (
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        RuntimeError,
    ) as error:  # as its numpy code raises
        raise GraphError(f"{describe(node)}: cannot be computed from its constants ({error})") from None
