"""Says all that keeps a model from being imported at once, so that it can be changed before it is trained."""

import json
from collections import Counter
from pathlib import Path

from ..errors import EspalierError
from ..hw.operators import units
from ..ir.graph import Graph
from ..ir.import_check import check_model
from ..ir.onnx_import import import_onnx
from ..ir.simplify import simplify
from .model import find_model
from .options import ImportOptions
from .verbs import check_import


def check_verb(path: Path, input_type: str | None, as_json: bool) -> bool:
    """Print a line for each problem, or what the network is; whether there is none."""
    check_import(ImportOptions(input_type))
    model = find_model(path)
    problems, graph = check_model(model.onnx, input_type=input_type), None
    if not problems:
        try:
            graph = simplify(import_onnx(model.onnx, input_type=input_type).graph)
            units(graph)
        except EspalierError as error:  # what only shows in the whole
            problems, graph = [str(error)], None
    if as_json:
        found = {"model": model.name, "imports": not problems, "problems": problems}
        print(json.dumps(found | ({"operators": dict(operators(graph))} if graph else {}), indent=2))
    else:
        print("\n".join(problems) if graph is None else describe(graph))
    return not problems


def operators(graph: Graph) -> Counter[str]:
    return Counter(type(node).__name__ for node in graph.nodes)


def describe(graph: Graph) -> str:
    counts = ", ".join(f"{count} {operator}" for operator, count in operators(graph).items())
    ports = [f"input {port.name} {port.type}" for port in graph.inputs]
    ports += [f"output {port.name} {graph.tensors[port.tensor]}" for port in graph.outputs]
    return f"imports cleanly: {len(graph.nodes)} layers ({counts}); {', '.join(ports)}"
