"""Imports a quantized ONNX model (QONNX) as an integer graph, by evaluating its activations."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from ..errors import GraphError
from .chain import JOINED, Step
from .graph import Graph, Node, Output
from .import_builder import Builder
from .import_call import Call
from .import_constants import Constant, fold, plain
from .import_convolutions import convolve, convolve_transposed, gemm, mat_mul
from .import_input import parse_input_type
from .import_joins import concat, join
from .import_layout import Arrangement, channels_first, channels_last
from .import_names import identifier
from .import_outputs import make_outputs
from .import_pools import average_pool, global_average_pool, global_max_pool, max_pool, reduce_pixels
from .import_reshapes import depth_to_space, gather, reshape, slice_, space_to_depth, split, transpose
from .import_resize import pad, resize
from .import_steps import BINARY, NOTHING, StepRequest, check_nothing, make_step, step_operators
from .import_values import HOST_ONLY, QUANTIZERS, Value
from .imported import Imported, Quantizer
from .onnx_model import CHANNELS_LAST, OnnxModel, check_finite, describe, read_model

DOMAINS = {"", "ai.onnx", "onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general", CHANNELS_LAST}


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
    walk = Walk(model, Builder(parse_input_type(input_type) if input_type else None))
    for node in model.nodes:
        walk.visit(node)
    builder = walk.builder
    found = {name: walk.value(name, f"output {name}") for name in model.outputs}
    outputs = make_outputs(builder, found, argmax)
    name = builder.names.unique(identifier(Path(path).stem).lower() or "network")
    graph = Graph(builder.inputs(), needed_nodes(builder.nodes.values(), outputs), outputs, name)
    graph.check()
    return Imported(graph, builder.functions, builder.products, builder.joins, walk.quantizers(), model.digest)


def needed_nodes(nodes: Iterable[Node], outputs: tuple[Output, ...]) -> tuple[Node, ...]:
    """Without those that no output needs."""
    wanted, found = {port.tensor for port in outputs}, []
    for node in reversed(list(nodes)):
        if node.name in wanted:
            wanted.update(node.inputs)
            found.append(node)
    return tuple(reversed(found))


class Walk:
    """Visits the nodes in order; ``builder`` grows the graph."""

    def __init__(self, model: OnnxModel, builder: Builder) -> None:
        self.builder = builder
        self._opset = model.opset
        self._values: dict[str, Value] = {}
        self._constants: dict[str, Constant] = dict(model.initializers)
        self._sources: dict[str, str] = {}  # of which initializer a constant was made
        self._uses = Counter(name for node in model.nodes for name in node.input)
        self._uses.update(model.outputs)
        self._quantizers: list[str] = []  # outputs of those of data
        self._batch = 1
        for name, (batch, *shape) in model.inputs.items():
            self._batch = batch or 1
            sizes = tuple(size for size in shape if size is not None)
            self._values[name] = builder.add_input(name, sizes, _image_reader(model, name))

    def value(self, name: str, consumer: str) -> Value:
        if name in self._values:
            return self._values[name]
        what = "is a constant" if name in self._constants else "is made by no earlier node"
        raise GraphError(f"{consumer}: takes {name}, which {what}; export the model again")

    def quantizers(self) -> dict[str, Quantizer | None]:
        """Those of the model's data, in its order, by their outputs; None where one is inside a longer function."""
        return {output: self.builder.quantizers.get(output) for output in self._quantizers}

    def visit(self, node: onnx.NodeProto) -> None:
        operands = [self._operand(node, name) for name in node.input]
        if node.domain not in DOMAINS:
            raise GraphError(f"{describe(node)}: unknown domain {node.domain}; known operators: {known_operators()}")
        if node.op_type == "Shape" and isinstance(operands[0], Value):
            self._constants[node.output[0]] = self._shape(node, operands[0])
        elif not any(isinstance(operand, Value) for operand in operands):
            constants = [operand for operand in operands if not isinstance(operand, Value)]
            self._constants.update(zip(filter(None, node.output), fold(node, constants, self._opset), strict=False))
            if node.input:
                self._sources[node.output[0]] = self._sources.get(node.input[0], node.input[0])
        else:
            call = Call(node, operands, self.builder, self._opset, self._batch, self._sources)
            self._keep(call, self._apply(call))

    def _shape(self, node: onnx.NodeProto, value: Value) -> np.ndarray:
        limits = {attribute.name: attribute.i for attribute in node.attribute}
        return np.array([self._batch, *value.shape])[limits.get("start", 0) : limits.get("end")]

    def _operand(self, node: onnx.NodeProto, name: str) -> Value | Constant | None:
        if not name:
            return None
        if name in self._constants:
            check_finite(describe(node), name, plain(self._constants[name]))
            return self._constants[name]
        return self.value(name, describe(node))

    def _keep(self, call: Call, result: Value | list[Value]) -> None:
        if isinstance(result, list):
            self._values.update(zip(call.node.output, result, strict=True))
            return
        index = 1 if call.operator == "TopK" and len(call.node.output) > 1 else 0
        self._values[call.node.output[index]] = self._shared(call, result)

    def _shared(self, call: Call, value: Value) -> Value:
        """What a quantizer gives to several readers is made once, not by each of them again."""
        if call.operator not in QUANTIZERS and call.operator != "IntQuant":
            return value
        if call.operator not in ("Round", "Floor", "Ceil", "Sign"):
            self._quantizers.append(call.output)
        if self._uses[call.output] < 2 or self.builder.is_undecided(value) or value.host_only:
            return value
        return self.builder.quantize_output(value, call.owner)

    def _apply(self, call: Call) -> Value | list[Value]:
        if call.operator in NOTHING:
            check_nothing(call.node)
            return call.value
        if call.operator in JOINED and len(call.streams) == 2:
            return join(call)
        if call.operator in HANDLERS:
            return HANDLERS[call.operator](call)
        if call.operator in step_operators():
            return _step(call)
        raise GraphError(f"{call.owner}: there is no exact integer form for it; known operators: {known_operators()}")


def _image_reader(model: OnnxModel, name: str) -> Arrangement | None:
    """How operators on images take this input, if they take it before anything rearranges it."""
    alike = {name}
    for node in model.nodes:
        if alike.intersection(node.input):
            if node.op_type in IMAGES:
                return channels_last if node.domain == CHANNELS_LAST else channels_first
            if node.op_type in step_operators() | NOTHING:
                alike.update(node.output)
    return None


def _step(call: Call) -> Value:
    position, value = call.data
    if position and call.operator not in BINARY:
        raise GraphError(f"{call.owner}: takes data as operand {position}; only its first operand can be data")
    operands = [None if isinstance(operand, Value) or operand is None else plain(operand) for operand in call.operands]
    request = StepRequest(call.node, operands, position, value.shape, call.opset)
    step = make_step(request)
    if step.operator in HOST_ONLY:
        value = replace(_shaped(value, call), host_shape=value.shape)
    return value.then(step, call.owner, call.output)


def _shaped(value: Value, call: Call) -> Value:
    """The value with its channels brought into the model's shape, as the host needs them before it mixes them."""
    if value.host_only or len(value.shape) == 1:
        return value
    return value.then(Step("Reshape", (np.array(value.shape, dtype=np.int64),)), call.owner, call.output)


def arg_max(call: Call) -> Value:
    value = call.value
    attributes = call.attributes
    if call.operator == "TopK":
        given = call.constant(1)
        count = attributes.get("k") if given is None else int(given.reshape(-1)[0])
        if count != 1 or not attributes.get("largest", 1) or not call.node.output[1:]:
            raise GraphError(f"{call.owner}: only the index of the largest (k=1) is possible")
        attributes = {"axis": attributes.get("axis", -1), "keepdims": 1}
    axis, keep = int(attributes.get("axis", 0)) % (len(value.shape) + 1), int(attributes.get("keepdims", 1))
    if axis == 0 or attributes.get("select_last_index", 0) or value.shape[axis - 1] == 1:
        raise GraphError(f"{call.owner}: needs an axis of several classes, and the first index on a tie")
    shape = (*value.shape[: axis - 1], *((1,) if keep else ()), *value.shape[axis:])
    step = Step("ArgMax", attributes={"axis": axis, "keepdims": keep})
    return replace(_shaped(value, call).then(step, call.owner, call.output), host_shape=shape)


def known_operators() -> str:
    """For error messages: the operators that the importer takes, constants aside."""
    return ", ".join(sorted(step_operators() | NOTHING | set(HANDLERS)))


IMAGES = {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "Resize", "Upsample"}
HANDLERS: dict[str, Callable[[Call], Value | list[Value]]] = {
    "MatMul": mat_mul,
    "Gemm": gemm,
    "Conv": convolve,
    "ConvTranspose": convolve_transposed,
    "MaxPool": max_pool,
    "GlobalMaxPool": global_max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "ReduceMean": reduce_pixels,
    "ReduceSum": reduce_pixels,
    "Reshape": reshape,
    "Flatten": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
    "Resize": resize,
    "Upsample": resize,
    "Pad": pad,
    "ArgMax": arg_max,
    "TopK": arg_max,
}
