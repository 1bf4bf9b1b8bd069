"""Imports a model into a build folder, and compares it with the trained model where a run folder has its truth."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from ..ir.execute import execute, quantize_inputs
from ..ir.graph import Graph, Ints
from ..ir.import_names import Names, identifier
from ..ir.onnx_import import Imported, import_onnx
from ..ir.simplify import simplify
from ..ir.store import save
from .data import accuracy, archive, compact, load_arrays, run
from .folder import BuildFolder, read_json, write_atomic, write_json
from .model import Model
from .options import ImportOptions
from .progress import say
from .steps import SAMPLES, step


def import_step(folder: BuildFolder, model: Model, options: ImportOptions, force: bool) -> None:
    check_model(folder, model, force)
    given = asdict(options) | model.identity()
    step(folder, "import", given, lambda partial, at: import_model(model, options, partial, at), force)


def check_model(folder: BuildFolder, model: Model, force: bool) -> None:
    """BuildError if the folder holds another model; the same file with new content only makes its results stale."""
    stamp = folder.stamp("import")
    if stamp is None or force or stamp.options["digest"] == model.digest:
        return
    if read_json(folder.step("import") / "import.json")["origin"] == model.origin():
        say(f"import: {model.onnx} has changed since it was imported")
        return
    raise BuildError(
        f"{folder.path}: holds the model {stamp.options['name']} ({stamp.options['digest'][:12]}), not {model.name} "
        f"({model.digest[:12]}); choose another -o, or --force to replace it"
    )


def import_model(model: Model, options: ImportOptions, partial: Path, at: Callable[[str], None]) -> dict[str, Any]:
    at(f"read {model.onnx}")
    imported = import_onnx(model.onnx, input_type=options.input_type, argmax=options.argmax)
    at("simplify")
    graph = replace(simplify(imported.graph), name=top_name(model))
    save(graph, partial)
    summary: dict[str, Any] = {"model": model.name, "digest": model.digest}
    known = summary | {"origin": model.origin(), "accuracy": None, "agreement": None} | describe(graph)
    if model.tests:
        at("execute the test set")
        inputs, labels = read_tests(model.tests)
        codes = quantize_inputs(graph, inputs)
        write_atomic(partial / SAMPLES, archive({name: compact(values) for name, values in codes.items()}))
        summary["accuracy"] = known["accuracy"] = accuracy(graph, run(graph, codes), labels)
        if model.truth:
            at("compare with the trained model")
            known["agreement"] = compare(imported, inputs, model.truth)
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


def read_tests(path: Path) -> tuple[NDArray, Ints]:
    """Inputs as the model takes them, and labels, of a run folder."""
    arrays = load_arrays(path)
    if not isinstance(arrays, dict) or not {"inputs", "labels"} <= set(arrays):
        raise BuildError(f"{path}: holds no inputs and labels; train again, or name model.onnx instead of its folder")
    frames, labels = (len(np.atleast_1d(arrays[name])) for name in ("inputs", "labels"))
    if frames != labels:
        raise BuildError(f"{path}: holds {labels} labels for {frames} inputs; train again, or name model.onnx instead")
    return arrays["inputs"], arrays["labels"].astype(np.int64)


def compare(imported: Imported, inputs: NDArray, truth: Path) -> dict[str, Any]:
    """Count the codes that differ from the trained model's, and those that float32 rounding explains."""
    from ..ir.verify import explain_differences

    theirs = load_arrays(truth)
    if not isinstance(theirs, dict):
        raise BuildError(f"{truth}: holds no codes by name; train again, or name model.onnx instead of its folder")
    ours = execute(imported.graph, quantize_inputs(imported.graph, inputs), every=True)
    found = explain_differences(imported, ours, theirs)
    return {
        "frames": found.frames,
        "equal_frames": found.equal_frames,
        "codes": found.codes,
        "differing": found.explained + found.unexplained,
        "explained": found.explained,
        "unexplained": found.unexplained,
        "by_tensor": found.by_tensor,
        "mismatches": [str(difference) for difference in found.mentioned],
    }
