"""Reads an ONNX file into its graph, initializers and the nodes that its outputs need."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ..errors import BuildError, GraphError

CHANNELS_LAST = "qonnx.custom_op.channels_last"  # its operators take channels last data and weights


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """Nodes in order, constants by name, and the shapes (with batch axis, None where unknown) of real inputs.

    ``digest`` is the SHA-256 of the file and of the data files that it refers to.
    """

    nodes: tuple[onnx.NodeProto, ...]
    initializers: dict[str, NDArray]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    opset: int
    digest: str


def read_model(path: Path) -> OnnxModel:
    """Raises BuildError for a file that cannot be read, GraphError for one that is no whole ONNX model."""
    content = _read(path)
    model = _decode(path, content)
    digest = sha256(content)
    for name in _load_external(path, model):
        digest.update(_read(path.parent / name))
    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    graph = model.graph
    initializers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = {port.name: _shape(path, port) for port in graph.input if port.name not in initializers}
    outputs = tuple(port.name for port in graph.output)
    if not inputs or not outputs:
        raise GraphError(f"{path}: the model has no {'output' if inputs else 'input'}; export it again")
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 13)
    return OnnxModel(_needed(graph, outputs), initializers, inputs, outputs, opset, digest.hexdigest())


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes as numbers, strings, lists and arrays."""
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def describe(node: onnx.NodeProto) -> str:
    """How errors name a node: its name, or its output where it has none, and its operator."""
    return f"{node.name or node.output[0]} ({node.op_type})"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BuildError(f"{path}: no such file") from None
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror})") from None


def _decode(path: Path, content: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise GraphError(f"{path}: not an ONNX file, or cut short ({len(content)} bytes); export it again") from None
    if not model.ir_version or not model.graph.node:
        raise GraphError(f"{path}: not an ONNX file, or cut short: it holds no graph; export it again")
    return model


def _load_external(path: Path, model: onnx.ModelProto) -> list[str]:
    """Names of the data files beside the model whose tensors were loaded."""
    entries = [e.value for t in model.graph.initializer for e in t.external_data if e.key == "location"]
    names = sorted(set(entries))
    try:
        if names:
            onnx.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BuildError(f"{path}: its data {', '.join(names)} cannot be read ({error}); copy it beside") from None
    return names


def _shape(path: Path, port: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    tensor = port.type.tensor_type
    if not tensor.HasField("shape") or len(tensor.shape.dim) < 2:
        raise GraphError(
            f"{path}: input {port.name} needs a shape with a batch axis, such as [1, 784]; export it again"
        )
    sizes = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    if any(size is None for size in sizes[1:]):
        raise GraphError(
            f"{path}: input {port.name} has unknown sizes; export it with fixed sizes after the batch axis"
        )
    if 0 in sizes[1:]:
        raise GraphError(f"{path}: input {port.name} has shape {list(sizes[1:])}; every size must be at least 1")
    return sizes


def _needed(graph: onnx.GraphProto, outputs: tuple[str, ...]) -> tuple[onnx.NodeProto, ...]:
    wanted, nodes = set(outputs), []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            nodes.append(node)
    return tuple(reversed(nodes))


def check_finite(owner: str, name: str, values: NDArray) -> None:
    """Raise GraphError if ``values`` holds NaN."""
    if np.issubdtype(values.dtype, np.floating) and np.isnan(values).any():
        count = int(np.isnan(values).sum())
        raise GraphError(f"{owner}: {name} holds NaN in {count} of {values.size} places; train or export it again")
