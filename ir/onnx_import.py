"""Imports a quantized ONNX model (QONNX) as an integer graph, by evaluating its activations."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Step
from .graph import Graph
from .import_builder import Builder
from .import_constants import Constant, Quantized, fold, integers_of, plain
from .import_input import parse_input_type
from .import_names import identifier
from .import_outputs import make_outputs
from .import_steps import BINARY, NOTHING, StepRequest, check_nothing, make_step, step_operators
from .import_values import HOST_ONLY, Value
from .imported import Imported
from .onnx_model import OnnxModel, attributes_of, check_finite, describe, read_model

DOMAINS = {"", "ai.onnx", "onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general"}


def import_onnx(path: Path, *, input_type: str | None = None, argmax: bool = False) -> Imported:
    """The integer graph of an ONNX file, and the float32 functions that its activations stand for.

    Between an accumulator and the quantizers after it, the model's operators are evaluated in float32 at every integer
    that the accumulator can take; its real is scale * integer + offset, computed in float64 and rounded once to
    float32, while the model adds up float32 products: the two agree within the rounding of that sum. Batch
    normalization is factor * x + term with one rounding, sigmoid and tanh are rounded from float64.

    input_type: the integers that come in, TYPE or TYPE:SCALE (uint8, uint8:1/255, int16:0.0009765625, bipolar, binary).
    The model's reals are then scale * integer, and its preprocessing becomes part of the hardware. Without it, the
    codes of the model's own input quantizer come in, and ``chain`` of the graph's input is the host's part; required
    where there is no such quantizer. argmax: give the index of the largest output instead of the outputs.

    Raises BuildError for a file that cannot be read and GraphError, naming the node, for what has no exact form.
    """
    model = read_model(Path(path))
    walk = _Walk(model, Builder(parse_input_type(input_type) if input_type else None))
    for node in model.nodes:
        walk.visit(node)
    builder = walk.builder
    found = {name: walk.value(name, f"output {name}") for name in model.outputs}
    outputs = make_outputs(builder, found, argmax)
    name = builder.names.unique(identifier(Path(path).stem).lower() or "network")
    graph = Graph(builder.inputs(), tuple(builder.nodes.values()), outputs, name)
    graph.check()
    return Imported(graph, builder.functions, builder.products, builder.quantized, model.digest)


@dataclass(frozen=True, eq=False)
class _Call:
    """One node with its operands: Values, constants, or None where an optional one is absent."""

    node: onnx.NodeProto
    operands: list[Value | Constant | None]

    @property
    def data(self) -> tuple[int, Value]:
        """The place and value of the one operand that is no constant."""
        places = [(i, operand) for i, operand in enumerate(self.operands) if isinstance(operand, Value)]
        if len(places) > 1:
            raise GraphError(
                f"{describe(self.node)}: joins {len(places)} streams of data; there is no operator for that yet, "
                "only for constants with data"
            )
        return places[0]

    def constant(self, index: int) -> NDArray | None:
        operand = self.operands[index] if index < len(self.operands) else None
        assert not isinstance(operand, Value)
        return None if operand is None else plain(operand)


class _Walk:
    """Visits the nodes in order; ``builder`` grows the graph."""

    def __init__(self, model: OnnxModel, builder: Builder) -> None:
        self.builder = builder
        self._opset = model.opset
        self._values: dict[str, Value] = {}
        self._constants: dict[str, Constant] = dict(model.initializers)
        self._sources: dict[str, str] = {}  # of which initializer a constant was made
        self._layers = 0
        self._batch = 1
        for name, (batch, *shape) in model.inputs.items():
            self._batch = batch or 1
            self._values[name] = builder.add_input(name, tuple(size for size in shape if size is not None))

    def value(self, name: str, consumer: str) -> Value:
        if name in self._values:
            return self._values[name]
        what = "is a constant" if name in self._constants else "is made by no earlier node"
        raise GraphError(f"{consumer}: takes {name}, which {what}; export the model again")

    def visit(self, node: onnx.NodeProto) -> None:
        operands = [self._operand(node, name) for name in node.input]
        call = _Call(node, operands)
        if node.domain not in DOMAINS:
            raise GraphError(f"{describe(node)}: unknown domain {node.domain}; known operators: {known_operators()}")
        if node.op_type == "Shape" and isinstance(operands[0], Value):
            self._constants[node.output[0]] = np.array([self._batch, *operands[0].shape])
        elif not any(isinstance(operand, Value) for operand in operands):
            constants = [operand for operand in operands if not isinstance(operand, Value)]
            self._constants.update(zip(filter(None, node.output), fold(node, constants, self._opset), strict=False))
            if node.input:
                self._sources[node.output[0]] = self._sources.get(node.input[0], node.input[0])
        else:
            output = node.op_type == "TopK" and len(node.output) > 1
            self._values[node.output[1 if output else 0]] = self._apply(call)

    def _operand(self, node: onnx.NodeProto, name: str) -> Value | Constant | None:
        if not name:
            return None
        if name in self._constants:
            check_finite(describe(node), name, plain(self._constants[name]))
            return self._constants[name]
        return self.value(name, describe(node))

    def _apply(self, call: _Call) -> Value:
        operator = call.node.op_type
        if operator in NOTHING:
            check_nothing(call.node)
            return call.data[1]
        if operator in _HANDLERS:
            return _HANDLERS[operator](self, call)
        if operator in step_operators():
            return self._step(call)
        raise GraphError(
            f"{describe(call.node)}: there is no exact integer form for it; known operators: {known_operators()}"
        )

    def _step(self, call: _Call) -> Value:
        position, value = call.data
        if position and call.node.op_type not in BINARY:
            raise GraphError(f"{describe(call.node)}: its parameters are data; they have to be constants")
        operands = [None if isinstance(operand, Value) else call.constant(i) for i, operand in enumerate(call.operands)]
        request = StepRequest(call.node, operands, position, value.shape, self._opset)
        if call.node.op_type in HOST_ONLY:
            value = _shaped(value, describe(call.node))
        return value.then(make_step(request), describe(call.node))

    def mat_mul(self, call: _Call) -> Value:
        position, value = call.data
        if position:
            raise GraphError(f"{describe(call.node)}: multiplies constants by data from the right; swap the operands")
        return self._dense(call, value, self._weights(call, transpose=True))

    def gemm(self, call: _Call) -> Value:
        position, value = call.data
        attributes = attributes_of(call.node)
        if position or attributes.get("transA", 0):
            raise GraphError(
                f"{describe(call.node)}: takes data as its second or transposed operand; swap the operands"
            )
        weights = self._weights(call, transpose=not attributes.get("transB", 0))
        alpha, beta = (np.float32(attributes.get(name, 1.0)) for name in ("alpha", "beta"))
        result = self._dense(call, value, weights)
        if alpha != 1:
            result = result.then(Step("Mul", (np.asarray(alpha),)), describe(call.node))
        bias = call.constant(2)
        if bias is None or beta == 0:
            return result
        request = StepRequest(call.node, [None, None, bias.astype(np.float32) * beta], 0, result.shape, self._opset)
        return result.then(Step("Add", (request.constant(2),)), describe(call.node))

    def _weights(self, call: _Call, *, transpose: bool) -> Quantized:
        owner, name = describe(call.node), call.node.input[1]
        operand = call.operands[1]
        assert operand is not None and not isinstance(operand, Value)
        if 0 in plain(operand).shape:
            raise GraphError(
                f"{owner}: weights {name} have shape {list(plain(operand).shape)}; every size must be at least 1"
            )
        weights = integers_of(owner, name, operand)
        if weights.values.ndim != 2:
            raise GraphError(f"{owner}: weights {name} have {weights.values.ndim} axes, need 2")
        if not transpose:
            return weights
        return Quantized(weights.values.T, weights.integers.T, weights.scale.T)

    def _dense(self, call: _Call, value: Value, weights: Quantized) -> Value:
        inputs = weights.integers.shape[1]
        if value.shape != (inputs,):
            raise GraphError(
                f"{describe(call.node)}: weights take {inputs} inputs, but data of shape {list(value.shape)} comes in; "
                "flatten it or change the layer's in_features"
            )
        self._layers += 1
        source = self._sources.get(call.node.input[1], call.node.input[1])
        name = self.builder.names.layer(source, call.node.name, self._layers)
        return self.builder.dense(value, weights, name, describe(call.node))

    def reshape(self, call: _Call) -> Value:
        value = call.data[1]
        full = np.empty((self._batch, *value.shape), dtype=np.int8)
        operands = [full, *(call.constant(i) for i in range(1, len(call.operands)))]
        shape = plain(fold(call.node, operands, self._opset)[0]).shape
        if not shape or shape[0] != self._batch:
            raise GraphError(f"{describe(call.node)}: mixes frames: {list(full.shape)} becomes {list(shape)}")
        return self._move(value, tuple(shape[1:]), None, describe(call.node))

    def transpose(self, call: _Call) -> Value:
        value = call.data[1]
        axes = list(range(len(value.shape) + 1))
        order = list(attributes_of(call.node).get("perm", axes[::-1]))
        if order[:1] != [0]:
            raise GraphError(f"{describe(call.node)}: moves the batch axis; keep it first")
        return self._move(value, tuple(value.shape[axis - 1] for axis in order[1:]), order, describe(call.node))

    def _move(self, value: Value, shape: tuple[int, ...], order: list[int] | None, node: str) -> Value:
        """The value after a reshape, or, with ``order`` of all axes, a transpose."""
        if shape == value.shape and (order is None or order == sorted(order)):
            return value
        if value.host_only:
            return replace(value.then(_move_step(shape, order), node), shape=shape)
        swaps = order is not None and [axis for axis in order if axis and value.shape[axis - 1] > 1]
        if swaps and swaps != sorted(swaps) and not self.builder.is_input(value.tensor):
            raise GraphError(f"{node}: transposes data inside the network; there is no operator for that yet")
        steps = tuple(
            replace(s, constants=tuple(_moved(c, value.shape, shape, order) for c in s.constants)) for s in value.steps
        )
        layout = (*value.layout, _move_step(shape, order)) if self.builder.is_input(value.tensor) else ()
        return replace(value, shape=shape, steps=steps, layout=layout)

    def arg_max(self, call: _Call) -> Value:
        value = call.data[1]
        attributes = attributes_of(call.node)
        if call.node.op_type == "TopK":
            given = call.constant(1)
            count = attributes.get("k") if given is None else int(given.reshape(-1)[0])
            if count != 1 or not attributes.get("largest", 1) or not call.node.output[1:]:
                raise GraphError(f"{describe(call.node)}: only the index of the largest (k=1) is possible")
            attributes = {"axis": attributes.get("axis", -1), "keepdims": 1}
        axis, keep = int(attributes.get("axis", 0)) % (len(value.shape) + 1), int(attributes.get("keepdims", 1))
        if axis == 0 or attributes.get("select_last_index", 0):
            raise GraphError(
                f"{describe(call.node)}: needs an axis other than the batch axis, and the first index on a tie"
            )
        shape = (*value.shape[: axis - 1], *((1,) if keep else ()), *value.shape[axis:])
        step = Step("ArgMax", attributes={"axis": axis, "keepdims": keep})
        return replace(_shaped(value, describe(call.node)).then(step, describe(call.node)), shape=shape)


def _shaped(value: Value, node: str) -> Value:
    """The value with its channels brought into the model's shape, as the host needs them before it mixes them."""
    if value.host_only or len(value.shape) == 1:
        return value
    return value.then(_move_step(value.shape, None), node)


def _move_step(shape: tuple[int, ...], order: list[int] | None) -> Step:
    return (
        Step("Reshape", (np.array(shape, dtype=np.int64),)) if order is None else Step("Transpose", (np.array(order),))
    )


def _moved(constant: NDArray, before: tuple[int, ...], after: tuple[int, ...], order: list[int] | None) -> NDArray:
    if constant.ndim == 0:
        return constant
    spread = np.broadcast_to(constant, before)
    return spread.reshape(after) if order is None else spread.transpose([axis - 1 for axis in order[1:]])


def known_operators() -> str:
    """For error messages: the operators that the importer takes, constants aside."""
    return ", ".join(sorted(step_operators() | NOTHING | set(_HANDLERS)))


_HANDLERS: dict[str, Callable[[_Walk, _Call], Value]] = {
    "MatMul": _Walk.mat_mul,
    "Gemm": _Walk.gemm,
    "Reshape": _Walk.reshape,
    "Flatten": _Walk.reshape,
    "Squeeze": _Walk.reshape,
    "Unsqueeze": _Walk.reshape,
    "Transpose": _Walk.transpose,
    "ArgMax": _Walk.arg_max,
    "TopK": _Walk.arg_max,
}
