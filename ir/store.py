"""A graph on disk: graph.json for structure, graph.safetensors for arrays; equal graphs give equal bytes."""

import json
import re
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from ..errors import BuildError, GraphError
from .chain import Chain, Step
from .graph import Bounds, Graph, Input, IntType, Node, Output, TensorType
from .operators import OPERATORS

FORMAT = 1

Arrays = dict[str, NDArray]


def save(graph: Graph, folder: Path) -> None:
    """Write ``graph`` to ``folder``; a kill at any moment leaves no pair of files that load() would take."""
    text, tensors = _serialize(graph)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "graph.safetensors", tensors)
        _replace(folder / "graph.json", text)
    except OSError as error:
        raise BuildError(f"{folder}: cannot be written ({error.strerror}); free it or choose another folder") from error


def load(folder: Path) -> Graph:
    """The graph that save() wrote to ``folder``, checked; raises BuildError naming the file that is at fault."""
    text, tensors = _read(folder / "graph.json"), _read(folder / "graph.safetensors")
    try:
        graph = _deserialize(text, tensors)
        graph.check()
        return graph
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise BuildError(f"{folder / 'graph.json'}: holds no valid graph ({error}); import the model again") from error


def digest(graph: Graph) -> str:
    """The SHA-256 of the graph's content, in hexadecimal."""
    return sha256(_serialize(graph)[0]).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror}); import the model first") from error


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _serialize(graph: Graph) -> tuple[bytes, bytes]:
    arrays: Arrays = {}
    structure: dict[str, Any] = {
        "inputs": [_encode(port, f"inputs.{port.name}", arrays) for port in graph.inputs],
        "nodes": [_encode(node, f"nodes.{node.name}", arrays) for node in graph.nodes],
        "outputs": [_encode(port, f"outputs.{port.name}", arrays) for port in graph.outputs],
    }
    tensors = safetensors.save(arrays)
    header = {"format": FORMAT, "name": graph.name, "arrays_sha256": sha256(tensors).hexdigest()}
    return (json.dumps({**header, **structure}, indent=1) + "\n").encode(), tensors


def _encode(value: Any, key: str, arrays: Arrays) -> Any:
    """Plain JSON for ``value``; its arrays go to ``arrays`` under ``key`` and below."""
    if isinstance(value, IntType):
        return str(value)
    if isinstance(value, Node):
        return {"operator": type(value).__name__, **_encode_fields(value, key, arrays)}
    if isinstance(value, Step):
        value = replace(value, constants=tuple(np.asarray(constant) for constant in value.constants))
    if is_dataclass(value):
        return _encode_fields(value, key, arrays)
    if isinstance(value, np.ndarray):
        arrays[key] = _compact(value)
        return {"array": key, "dtype": value.dtype.name}
    if isinstance(value, dict):
        return {name: _encode(value[name], f"{key}.{name}", arrays) for name in sorted(value)}
    if isinstance(value, tuple | list):
        return [_encode(item, f"{key}.{index}", arrays) for index, item in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _encode_fields(value: Any, key: str, arrays: Arrays) -> dict[str, Any]:
    return {field.name: _encode(getattr(value, field.name), f"{key}.{field.name}", arrays) for field in fields(value)}


def _compact(array: NDArray) -> NDArray:
    """``array`` in C order, int64 in the narrowest type that holds its values."""
    if array.dtype == np.int64 and array.size:
        low, high = int(array.min()), int(array.max())
        narrow = np.result_type(np.min_scalar_type(min(low, -1)), np.min_scalar_type(min(~high, -1)))
        return np.array(array, dtype=narrow, order="C")
    return np.array(array, order="C")


def _deserialize(text: bytes, tensors: bytes) -> Graph:
    data = json.loads(text)
    if data["format"] != FORMAT:
        raise GraphError(f"format {data['format']}, need {FORMAT}")
    if data["arrays_sha256"] != sha256(tensors).hexdigest():
        raise GraphError("graph.safetensors belongs to another graph")
    arrays = safetensors.load(tensors)
    return Graph(
        tuple(_decode_input(port, arrays) for port in data["inputs"]),
        tuple(_decode_node(node, arrays) for node in data["nodes"]),
        tuple(_decode_output(port, arrays) for port in data["outputs"]),
        data["name"],
    )


def _decode_input(port: dict[str, Any], arrays: Arrays) -> Input:
    tensor = TensorType(tuple(port["type"]["shape"]), _decode_type(port["type"]["dtype"]))
    reach = port["reach"] and Bounds(**_decode(port["reach"], arrays))
    return Input(port["name"], tensor, tuple(port["model_shape"]), _decode_chain(port["chain"], arrays), reach)


def _decode_output(port: dict[str, Any], arrays: Arrays) -> Output:
    return Output(port["name"], port["tensor"], tuple(port["model_shape"]), _decode_chain(port["chain"], arrays))


def _decode_chain(chain: dict[str, Any] | None, arrays: Arrays) -> Chain | None:
    if chain is None:
        return None
    return Chain(tuple(Step(**_decode(step, arrays)) for step in chain["steps"]))


def _decode_node(node: dict[str, Any], arrays: Arrays) -> Node:
    values = _decode(node, arrays)
    operator = values.pop("operator")
    if operator not in OPERATORS:
        raise GraphError(f"{node['name']}: no operator {operator}; known operators: {', '.join(OPERATORS)}")
    values["result"] = _decode_type(values["result"])
    return OPERATORS[operator](**values)


def _decode(value: Any, arrays: Arrays) -> Any:
    """The inverse of _encode for plain values and arrays; lists become tuples."""
    if isinstance(value, dict) and value.keys() == {"array", "dtype"}:
        return arrays[value["array"]].astype(value["dtype"])
    if isinstance(value, dict):
        return {name: _decode(item, arrays) for name, item in value.items()}
    return tuple(_decode(item, arrays) for item in value) if isinstance(value, list) else value


def _decode_type(text: str) -> IntType:
    match = re.fullmatch(r"(u?)int(\d+)", text)
    if match is None:
        raise GraphError(f"{text!r} is no integer type")
    return IntType(int(match[2]), signed=not match[1])
