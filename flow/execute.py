"""Runs the exact integer reference of a build folder on the user's own data."""

import json
from pathlib import Path

from ..errors import BuildError
from ..ir.execute import dequantize_outputs, execute
from ..ir.store import load
from .data import accuracy, archive, check_classes, load_frames, load_labels
from .folder import file_digest, open_build, read_build, write_atomic
from .progress import progress
from .table import pairs


def execute_verb(
    build: Path, inputs: Path, codes: bool, labels: Path | None, output: Path | None, as_json: bool
) -> None:
    """Print, and with ``output`` write, what the hardware gives for ``inputs``; the accuracy goes to the summary."""
    folder = read_build(build)
    folder.need("import")
    graph = load(folder.step("import"))
    if output:
        check_output(output, inputs, labels)
    frames = load_frames(graph, inputs, codes=codes)
    count = len(next(iter(frames.values())))
    expected = load_labels(labels, count) if labels else None
    with progress("execute"):
        integers = execute(graph, frames)
        reals = dequantize_outputs(graph, integers)
    if labels and expected is not None:
        check_classes(graph, labels, expected)
    result = {"frames": count, "outputs": {name: list(values.shape[1:]) for name, values in integers.items()}}
    if output:
        write_atomic(output, archive(integers | {f"{name}.real": values for name, values in reals.items()}))
    if labels and expected is not None:
        result["accuracy"] = accuracy(graph, integers, expected)
        record(build, inputs, labels, codes, result["accuracy"])
    print(json.dumps(result, indent=2) if as_json else pairs(result | {"outputs": describe(result["outputs"])}))


def check_output(output: Path, inputs: Path, labels: Path | None) -> None:
    """BuildError for a file that cannot be written, or that would replace what is read."""
    if not output.resolve().parent.is_dir():
        raise BuildError(f"{output}: the folder {output.parent} does not exist; make it or choose another -o")
    if output.is_dir():
        raise BuildError(f"{output}: is a folder; choose another -o, such as {output / 'out.npz'}")
    if output.resolve() in {path.resolve() for path in (inputs, labels) if path}:
        raise BuildError(f"{output}: is one of the files to read; choose another -o")


def record(build: Path, inputs: Path, labels: Path, codes: bool, share: float) -> None:
    """Extend the summary of the build folder by the accuracy on the user's data."""
    options = {"inputs": file_digest(inputs), "labels": file_digest(labels), "codes": codes}
    with open_build(build) as folder:
        folder.run("execute", options, lambda partial: {"accuracy": share})


def describe(outputs: dict[str, list[int]]) -> str:
    return ", ".join(f"{name} [{', '.join(map(str, shape))}]" for name, shape in outputs.items())
