"""Runs a graph on integers, exactly: the reference for everything else; and converts at its border."""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .graph import Graph, Input, Ints

CHUNK_BYTES = 1 << 26  # of all tensors together


def execute(graph: Graph, inputs: Ints | Mapping[str, Ints], *, every: bool = False) -> dict[str, Ints]:
    """The outputs by output name, each (frames, *shape), for codes (frames, *shape) of each input.

    every: all tensors by tensor name instead. Raises GraphError if the codes do not fit the inputs' shapes and types.
    """
    graph.check()
    tensors = {name: _check_codes(port, codes) for port, name, codes in _ports(graph, inputs)}
    frames = _check_frames(tensors)
    if every:
        return _evaluate(graph, tensors)
    # Few frames at a time, because the tensors of thousands of them would not fit into memory.
    size = max(1, CHUNK_BYTES // (8 * sum(prod(tensor.shape) for tensor in graph.tensors.values())))
    chunks = []
    for first in range(0, max(1, frames), size):
        found = _evaluate(graph, {name: codes[first : first + size] for name, codes in tensors.items()})
        chunks.append([found[port.tensor] for port in graph.outputs])
    return {port.name: np.concatenate(parts) for port, parts in zip(graph.outputs, zip(*chunks))}


def _evaluate(graph: Graph, tensors: Mapping[str, Ints]) -> dict[str, Ints]:
    """All tensors, by name, from those of the inputs."""
    tensors = dict(tensors)
    for node in graph.nodes:
        tensors[node.name] = node.evaluate(*(tensors[name] for name in node.inputs))
    return tensors


def quantize_inputs(graph: Graph, reals: NDArray | Mapping[str, NDArray]) -> dict[str, Ints]:
    """The codes of each input, (frames, *shape), for what the model takes, (frames, *model_shape)."""
    codes = {}
    for port, name, values in _ports(graph, reals):
        if values.shape[1:] != port.model_shape:
            raise GraphError(f"input {name}: has shape {list(values.shape)}, need {_frames_of(port.model_shape)}")
        converted = values if port.chain is None else port.chain(values)
        converted = converted.reshape(len(values), *port.type.shape)
        whole = np.rint(converted)
        wrong = converted[whole != converted]  # NaN too
        if wrong.size:
            raise GraphError(f"input {name}: {wrong.flat[0]} is not an integer code; scale or round the data first")
        dtype = port.type.dtype
        wrong = whole[(whole < dtype.low) | (whole > dtype.high)]
        if wrong.size:
            raise GraphError(f"input {name}: code {wrong.flat[0]:.0f} does not fit {dtype}; clip or rescale the data")
        codes[name] = whole.astype(np.int64)
    return codes


def dequantize_outputs(graph: Graph, integers: Mapping[str, Ints]) -> dict[str, NDArray]:
    """What the model returns, (frames, *model_shape), for the integers of each output, as execute returns them."""
    reals = {}
    for port in graph.outputs:
        values = integers[port.name]
        converted = values if port.chain is None else port.chain(values)
        reals[port.name] = converted.reshape(len(values), *port.model_shape)
    return reals


def _ports(graph: Graph, values: NDArray | Mapping[str, NDArray]) -> list[tuple[Input, str, NDArray]]:
    names = [port.name for port in graph.inputs]
    given = values if isinstance(values, Mapping) else {names[0]: values}
    if sorted(given) != sorted(names):
        raise GraphError(f"{graph.name}: data for inputs {sorted(given)} was given, need {sorted(names)}")
    return [(port, port.name, np.asarray(given[port.name])) for port in graph.inputs]


def _check_codes(port: Input, codes: NDArray) -> Ints:
    if not np.can_cast(codes.dtype, np.int64):
        raise GraphError(f"input {port.name}: has {codes.dtype} values, need integer codes {port.type.dtype}")
    if codes.shape[1:] != port.type.shape or codes.ndim == 0:
        raise GraphError(f"input {port.name}: has shape {list(codes.shape)}, need {_frames_of(port.type.shape)}")
    codes = codes.astype(np.int64)
    dtype = port.type.dtype
    if not dtype.holds(codes):
        raise GraphError(f"input {port.name}: codes {codes.min()}..{codes.max()} do not fit {dtype}; clip them")
    if port.reach and ((codes < port.reach.low) | (codes > port.reach.high)).any():
        raise GraphError(f"input {port.name}: holds codes that the network before it never makes; execute the whole")
    return codes


def _check_frames(tensors: Mapping[str, Ints]) -> int:
    """How many frames there are, of each input alike."""
    frames = {name: len(codes) for name, codes in tensors.items()}
    if len(set(frames.values())) > 1:
        raise GraphError(f"inputs have different numbers of frames: {frames}; give each the same")
    return next(iter(frames.values()))


def _frames_of(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, ('frames', *shape)))}]"
