"""The work that we and the peers are given: fixed integer matrices, and what stands between them.

A file of works is an npz with arrays ``NAME_w0``, ``NAME_w1``, ..., each (inputs, outputs), and ``meta``, JSON text:
for each name the range of the inputs, the shift behind each matrix (null: the sums leave as they are), and the bits of
what comes out of a shift.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espalier.errors import BuildError
from espalier.ir.dense import Dense
from espalier.ir.graph import Graph, Input, Ints, IntType, Node, Output, TensorType
from espalier.ir.narrow_types import narrow_types
from espalier.ir.requantize import Requantize

WIDE = IntType(62, signed=True)  # narrowed as soon as the graph stands


@dataclass(frozen=True, eq=False)
class Work:
    """A chain of matrices (inputs, outputs). Behind each: relu, a shift right, and a clip to ``activation_bits`` bits
    without sign; nothing where the shift is None."""

    name: str
    matrices: tuple[Ints, ...]
    shifts: tuple[int | None, ...]
    x_type: IntType
    activation_bits: int

    @property
    def inputs(self) -> int:
        return self.matrices[0].shape[0]

    @property
    def outputs(self) -> int:
        return self.matrices[-1].shape[1]

    def draw(self, frames: int, seed: int = 0) -> Ints:
        """Random inputs, (frames, inputs): first all at the lowest code, then all at the highest."""
        low, high = self.x_type.low, self.x_type.high
        drawn = np.random.default_rng(seed).integers(low, high + 1, (frames, self.inputs))
        drawn[:2] = np.array([[low], [high]])[:frames]
        return drawn

    def evaluate(self, x: Ints) -> Ints:
        """What every generator's hardware has to give, (frames, outputs): numpy, and nothing of ours."""
        for matrix, shift in zip(self.matrices, self.shifts, strict=True):
            x = x @ matrix
            if shift is not None:
                x = np.clip(np.maximum(x, 0) >> shift, 0, (1 << self.activation_bits) - 1)
        return x


def read_works(path: Path) -> dict[str, Work]:
    """The works of a file, by name; raises BuildError where it is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            meta = json.loads(str(arrays["meta"]))
            return {name: _read(name, described, arrays) for name, described in meta.items()}
    except (OSError, KeyError, ValueError) as error:
        raise BuildError(f"{path}: is no file of works ({error}); give peer_workloads.npz") from error


def _read(name: str, described: Mapping, arrays: Mapping) -> Work:
    shifts = tuple(described["shift"])
    matrices = tuple(arrays[f"{name}_w{number}"] for number in range(len(shifts)))
    low, high = described["in_range"]
    x_type = IntType.of_range(low, high)
    if (x_type.low, x_type.high) != (low, high):
        raise BuildError(f"work {name}: inputs {low}..{high} are not the range of an integer type; nearest {x_type}")
    return Work(name, matrices, shifts, x_type, described["act_bits"])


def build_graph(work: Work) -> Graph:
    """The work as our graph: Dense and Requantize, every type as narrow as its range allows."""
    x = Input("x", TensorType((work.inputs,), work.x_type), (work.inputs,))
    nodes: list[Node] = []
    last = "x"
    for number, (matrix, shift) in enumerate(zip(work.matrices, work.shifts, strict=True)):
        nodes.append(Dense(f"fc{number}", (last,), WIDE, matrix.T))
        last = nodes[-1].name
        if shift is not None:
            channels, highest = matrix.shape[1], (1 << work.activation_bits) - 1
            one, zero = np.ones(channels, np.int64), np.zeros(channels, np.int64)
            nodes.append(Requantize(f"act{number}", (last,), WIDE, one, zero, shift, 0, highest))
            last = nodes[-1].name
    return narrow_types(Graph((x,), tuple(nodes), (Output("y", last, (work.outputs,)),), name=f"work_{work.name}"))
