"""Users' own arrays: frames and labels from files, and the share of frames whose class is right."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from ..ir.argmax import ArgMax
from ..ir.execute import dequantize_outputs, quantize_inputs
from ..ir.graph import Graph, Ints, Output


def load_frames(graph: Graph, path: Path, *, codes: bool = False) -> dict[str, Ints]:
    """The codes by input name, (frames, *shape), in a .npy file, or .npz with one array per input."""
    arrays = load_arrays(path)
    names = [port.name for port in graph.inputs]
    if isinstance(arrays, np.ndarray):
        if len(names) > 1:
            raise BuildError(f"{path}: one array for the inputs {', '.join(names)}; save them by name with np.savez")
        arrays = {names[0]: arrays}
    for name, array in arrays.items():
        check_numbers(path, name, array)
    if codes:
        return check_codes(path, arrays)
    return quantize_inputs(graph, {name: array.astype(np.float32) for name, array in arrays.items()})


def check_codes(path: Path, arrays: Mapping[str, NDArray]) -> dict[str, Ints]:
    for name, array in arrays.items():
        if array.dtype.kind not in "iub":
            raise BuildError(f"{path}: {name} has {array.dtype} values, --codes needs integers; leave it out for reals")
        if array.size and array.max() > np.iinfo(np.int64).max:
            raise BuildError(f"{path}: {name} holds the code {array.max()}, which fits no input; clip the codes")
    return {name: array.astype(np.int64) for name, array in arrays.items()}


def check_numbers(path: Path, name: str, array: NDArray) -> None:
    if array.dtype.kind not in "iubf":
        raise BuildError(f"{path}: {name} has {array.dtype} values, need numbers")
    if array.ndim < 1 or not array.size:
        raise BuildError(f"{path}: {name} has shape {list(array.shape)}, need at least one frame")
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0][0])
        raise BuildError(f"{path}: {name} holds NaN or infinity, first in frame {frame}; remove or replace it")
    if array.dtype.kind == "f" and np.abs(array).max() > np.finfo(np.float32).max:
        raise BuildError(f"{path}: {name} holds {np.abs(array).max():g}, more than float32 can hold; scale the frames")


def load_labels(path: Path, frames: int) -> Ints:
    """Classes, (frames,), from a .npy file."""
    labels = load_arrays(path)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iub":
        raise BuildError(f"{path}: labels must be one .npy array of integers, one class per frame")
    if labels.shape != (frames,):
        raise BuildError(f"{path}: labels of shape {list(labels.shape)} for {frames} frames, need [{frames}]")
    return labels.astype(np.int64)


def load_arrays(path: Path) -> NDArray | dict[str, NDArray]:
    if not path.is_file():
        raise BuildError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BuildError(f"{path}: not a numpy array file ({error}); write it with np.save") from None


def accuracy(graph: Graph, outputs: Mapping[str, Ints], labels: Ints) -> float:
    """Share of frames in which the class that the first output says is the label."""
    return float(np.mean(classes(graph, outputs) == labels))


def check_classes(graph: Graph, path: Path, labels: Ints) -> None:
    """BuildError for a label that no frame can get."""
    count = class_count(graph)
    wrong = labels[(labels < 0) | (labels >= count)]
    if wrong.size:
        raise BuildError(f"{path}: holds the label {wrong[0]}; {graph.name} tells classes 0 to {count - 1}, number so")


def class_count(graph: Graph) -> int:
    """How many classes the first output can say."""
    tensor = graph.outputs[0].tensor
    last = next((node for node in graph.nodes if node.name == tensor), None)
    if isinstance(last, ArgMax):
        return prod(graph.tensors[last.inputs[0]].shape)
    return max(2, prod(graph.tensors[tensor].shape))


def classes(graph: Graph, outputs: Mapping[str, Ints]) -> Ints:
    """(frames,): the index of an ArgMax, else that of the largest real, else, of a single real, whether it says yes."""
    port = graph.outputs[0]
    integers = outputs[port.name].reshape(len(outputs[port.name]), -1)
    if any(node.name == port.tensor and isinstance(node, ArgMax) for node in graph.nodes):
        return integers[:, 0]
    reals = dequantize_outputs(graph, outputs)[port.name].reshape(len(integers), -1)
    return reals.argmax(axis=1) if reals.shape[1] > 1 else (reals[:, 0] > decision(port)).astype(np.int64)


def decision(port: Output) -> float:
    """Above which a single real means class 1: one half after a sigmoid, zero for a logit or -1 and +1."""
    steps = port.chain.steps if port.chain else ()
    return 0.5 if any(step.operator == "Sigmoid" for step in steps) else 0.0


def compact(codes: Ints) -> NDArray:
    """``codes`` in the narrowest integer type of numpy that holds them."""
    return codes.astype(np.result_type(np.min_scalar_type(codes.min()), np.min_scalar_type(codes.max())))


def archive(arrays: Mapping[str, NDArray]) -> bytes:
    """The content of an .npz; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
