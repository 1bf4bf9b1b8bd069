"""Short names for ONNX nodes and tensors, made from the names of the modules they come from."""

import re

from onnx import GraphProto, NodeProto

# What Brevitas wraps around a layer; a user never wrote these names.
_WRAPPERS = {"act_quant", "weight_quant", "bias_quant", "input_quant", "output_quant", "export_handler"} | {
    "activation_impl",
    "fused_activation_quant_proxy",
    "tensor_quant",
}
_ROLES = {"weight_quant": "weights", "bias_quant": "bias", "input_quant": "input", "output_quant": "output"}
_MAIN_OPERATORS = {"MatMul", "Gemm", "Conv", "ConvTranspose", "BatchNormalization", "Quant", "BipolarQuant", "Trunc"}


def module_name(path: str) -> str:
    """A module's path, such as ``features.3.act_quant``, as an identifier: ``features_3``."""
    parts = [part for part in path.split(".") if part and part not in _WRAPPERS]
    name = re.sub(r"\W", "_", "_".join(parts))
    return f"layer{name}" if name[:1].isdigit() else name


def shorten_names(graph: GraphProto) -> None:
    """Rename the nodes, and the tensors between them, in place: ``fc1``, ``fc1_weights``, ``act1``."""
    ports = [port.name for port in (*graph.input, *graph.output)]
    used = {*ports, *(tensor.name for tensor in graph.initializer)}
    scopes = [_scope(node) for node in graph.node]
    tensors: dict[str, str] = {}
    for node, scope in zip(graph.node, scopes):
        alone = scopes.count(scope) == 1
        node.name = _unused(_node_name(node, scope, alone), used)
        for index, output in enumerate(node.output):
            if output and output not in ports:
                tensors[output] = node.name if index == 0 else _unused(f"{node.name}_{index}", used)
    for node in graph.node:
        node.input[:] = [tensors.get(name, name) for name in node.input]
        node.output[:] = [tensors.get(name, name) for name in node.output]
    for info in graph.value_info:
        info.name = tensors.get(info.name, info.name)


def _scope(node: NodeProto) -> str:
    """``fc1/weights`` of a node called /fc1/weight_quant/export_handler/Quant."""
    parts = node.name.strip("/").split("/")[:-1]
    roles = [_ROLES[part] for part in parts if part in _ROLES]
    return "/".join([module_name(".".join(parts)), *roles[:1]])


def _node_name(node: NodeProto, scope: str, alone: bool) -> str:
    base = scope.strip("/").replace("/", "_")
    if base and (alone or node.op_type in _MAIN_OPERATORS):
        return base
    return f"{base}_{node.op_type.lower()}".strip("_")


def _unused(name: str, used: set[str]) -> str:
    candidates = [name, *(f"{name}_{number}" for number in range(2, len(used) + 3))]
    name = next(candidate for candidate in candidates if candidate not in used)
    used.add(name)
    return name
