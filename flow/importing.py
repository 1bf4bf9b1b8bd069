"""Imports a model into a build folder, and compares it with the trained model where a run folder has its truth."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import BuildError
from ..ir.execute import execute, quantize_inputs
from ..ir.graph import Graph
from ..ir.import_names import Names, identifier
from ..ir.onnx_import import Imported, import_onnx
from ..ir.simplify import simplify
from ..ir.store import save
from ..ir.verify import explain_differences
from .data import archive, compact, load_arrays
from .folder import BuildFolder, read_entry, write_atomic, write_json
from .model import Model
from .options import ImportOptions
from .progress import say
from .scores import density, read_tests
from .steps import SAMPLES, step

COMPARED_BYTES = 1 << 28  # of all tensors of the frames that are compared at once
MENTIONED = 10


def import_step(folder: BuildFolder, model: Model, options: ImportOptions, force: bool) -> None:
    check_model(folder, model, force)
    given = asdict(options) | model.identity()
    step(folder, "import", given, lambda partial, at: import_model(model, options, partial, at), force)


def check_model(folder: BuildFolder, model: Model, force: bool) -> None:
    """BuildError if the folder holds another model; the same file with new content only makes its results stale."""
    stamp = folder.stamp("import")
    if stamp is None or force or stamp.options.get("digest") == model.digest:
        return
    if read_entry(folder.step("import") / "import.json", "origin") == model.origin():
        say(f"import: {model.onnx} has changed since it was imported")
        return
    held, digest = (str(stamp.options.get(key)) for key in ("name", "digest"))
    raise BuildError(
        f"{folder.path}: holds the model {held} ({digest[:12]}), not {model.name} ({model.digest[:12]}); "
        "choose another -o, or --force to replace it"
    )


def import_model(model: Model, options: ImportOptions, partial: Path, at: Callable[[str], None]) -> dict[str, Any]:
    at(f"read {model.onnx}")
    imported = import_onnx(model.onnx, input_type=options.input_type, argmax=options.argmax)
    at("simplify")
    graph = replace(simplify(imported.graph), name=top_name(model))
    save(graph, partial)
    summary: dict[str, Any] = {"model": model.name, "digest": model.digest, **model.memory, **model.shifts}
    known = summary | {"origin": model.origin(), "pruned": model.pruned, "agreement": None} | describe(graph)
    if model.tests:
        at("execute the test set")
        tests = read_tests(model.tests, model.metric, model.margin)
        codes = quantize_inputs(graph, tests.inputs)
        write_atomic(partial / SAMPLES, archive({name: compact(values) for name, values in codes.items()}))
        score = tests.score(graph, execute(graph, codes))
        score |= density(score, model.memory)
        summary, known = summary | score, known | score
        if model.truth:
            at("compare with the trained model")
            known["agreement"] = compare(imported, tests.inputs, model.truth)
    write_json(partial / "import.json", known)
    return summary


def top_name(model: Model) -> str:
    """The Verilog name of the whole: that of the model, as far as Verilog and the test bench leave it free."""
    name = identifier(model.name).lower() or "network"
    return Names().unique(name if name != "tb" else "network")


def describe(graph: Graph) -> dict[str, Any]:
    """Ports and operators for people."""
    return {
        "inputs": [{"name": port.name, "type": str(port.type)} for port in graph.inputs],
        "outputs": [{"name": port.name, "type": str(graph.tensors[port.tensor])} for port in graph.outputs],
        "nodes": [
            {"name": node.name, "operator": type(node).__name__, "output": str(graph.tensors[node.name])}
            for node in graph.nodes
        ],
    }


def compare(imported: Imported, inputs: Mapping[str, NDArray] | NDArray, truth: Path) -> dict[str, Any]:
    """Count the codes that differ from the trained model's, and those that float32 rounding explains.

    ``truth`` may hold fewer frames, the first of ``inputs``.
    """
    theirs = load_arrays(truth)
    if not isinstance(theirs, dict) or not theirs:
        raise BuildError(f"{truth}: holds no codes by name; train again, or name model.onnx instead of its folder")
    graph, found = imported.graph, []
    codes = quantize_inputs(graph, inputs)
    available, count = len(next(iter(codes.values()))), len(next(iter(theirs.values())))
    if count > available:
        raise BuildError(f"{truth}: holds {count} frames of {available}; train again, or name model.onnx instead")
    size = max(1, COMPARED_BYTES // (8 * sum(prod(tensor.shape) for tensor in graph.tensors.values())))
    for first in range(0, count, size):
        some = slice(first, min(count, first + size))
        ours = execute(graph, {name: values[some] for name, values in codes.items()}, every=True)
        found.append(explain_differences(imported, ours, {name: values[some] for name, values in theirs.items()}))
    by_tensor: Counter[str] = Counter()
    for one in found:
        by_tensor.update(one.by_tensor)
    explained, unexplained = (sum(getattr(one, what) for one in found) for what in ("explained", "unexplained"))
    return {
        "frames": sum(one.frames for one in found),
        "equal_frames": sum(one.equal_frames for one in found),
        "codes": sum(one.codes for one in found),
        "differing": explained + unexplained,
        "explained": explained,
        "unexplained": unexplained,
        "by_tensor": dict(by_tensor),
        "mismatches": [str(difference) for one in found for difference in one.mentioned][:MENTIONED],
    }
