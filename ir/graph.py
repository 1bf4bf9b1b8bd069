"""The integer graph: tensors with exact integer types, and operators that compute one from others."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Chain

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class IntType:
    """Integers of ``bits`` bits: two's complement if signed, else 0 .. 2**bits - 1."""

    bits: int
    signed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 62:
            raise GraphError(f"an integer type of {self.bits} bits was asked for; 1 to 62 are possible")

    @property
    def low(self) -> int:
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << self.bits - int(self.signed)) - 1

    @classmethod
    def of_range(cls, low: int, high: int) -> "IntType":
        """The narrowest type that holds ``low`` and ``high``, both included."""
        signed = low < 0
        bits = max(max(0, int(high)).bit_length(), int(~low).bit_length() if signed else 0)
        return cls(max(1, bits + signed), signed)

    def holds(self, values: Ints) -> bool:
        return values.size == 0 or (self.low <= int(values.min()) and int(values.max()) <= self.high)

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"


@dataclass(frozen=True)
class TensorType:
    """Shape without frame axis, channels last: ``(channels,)`` or ``(height, width, channels)``; and the type."""

    shape: tuple[int, ...]
    dtype: IntType

    @property
    def channels(self) -> int:
        return self.shape[-1]

    @property
    def pixels(self) -> int:
        return prod(self.shape[:-1])

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def integer_array(owner: str, what: str, values: object, axes: tuple[str, ...]) -> Ints:
    """A read-only int64 copy of ``values``; raises GraphError unless they are integers of as many axes, none empty."""
    array = np.asarray(values)
    if not np.can_cast(array.dtype, np.int64):
        raise GraphError(f"{owner}: {what} are {array.dtype}, need integers; round or quantize them first")
    if array.ndim != len(axes):
        raise GraphError(f"{owner}: {what} have shape {list(array.shape)}, need ({', '.join(axes)})")
    if array.size == 0:
        raise GraphError(f"{owner}: {what} have shape {list(array.shape)}; every size must be at least 1")
    array = np.array(array, dtype=np.int64, order="C")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Node(ABC):
    """One operator; its single output tensor has the node's name and the type ``result``.

    Subclasses hold integer arrays and plain values only. ``operands`` is the number of inputs they take; None where
    any number from 2 will do.
    """

    operands: ClassVar[int | None] = 1

    name: str
    inputs: tuple[str, ...]
    result: IntType

    @abstractmethod
    def shape(self, *inputs: TensorType) -> tuple[int, ...]:
        """The output's shape; raises GraphError, naming the node, if the inputs do not fit."""

    @abstractmethod
    def evaluate(self, *inputs: Ints) -> Ints:
        """The exact result, int64, for inputs of shape (frames, *shape)."""

    @abstractmethod
    def bounds(self, *inputs: "Bounds") -> "Bounds":
        """The reachable bounds of each output channel, given those of the inputs' channels.

        Where pixels become channels (Flatten), those of one pixel; find_bounds repeats them.
        """


@dataclass(frozen=True)
class Bounds:
    """Reachable minimum and maximum of each channel, each of shape (channels,), both included."""

    low: Ints
    high: Ints


@dataclass(frozen=True, eq=False)
class Input:
    """Where data enters: the model's reals, shape ``model_shape`` without frame axis, become codes by ``chain``.

    The chain gives the values of ``type`` in their order; if they are in another shape, they are brought to its shape
    last. It is None where the host has no conversion (raw integers are what the model takes). ``reach``: the codes that
    come, where they are not all of the type; a part of a network knows them from the whole.
    """

    name: str
    type: TensorType
    model_shape: tuple[int, ...]
    chain: Chain | None = None
    reach: Bounds | None = None


@dataclass(frozen=True, eq=False)
class Output:
    """Where data leaves: ``chain`` turns the integers of ``tensor`` into what the model returns, of ``model_shape``."""

    name: str
    tensor: str
    model_shape: tuple[int, ...]
    chain: Chain | None = None


def _check_operands(node: Node) -> None:
    found, needed = len(node.inputs), node.operands
    if found < 2 if needed is None else found != needed:
        takes = "2 or more" if needed is None else needed
        raise GraphError(f"{node.name}: takes {takes} inputs, but {found} are connected")


@dataclass(frozen=True, eq=False)
class Graph:
    """Operators in topological order between inputs and outputs."""

    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    name: str = field(default="network")

    @cached_property
    def tensors(self) -> Mapping[str, TensorType]:
        """The type of every tensor, by name, in order; raises GraphError where operators do not fit."""
        tensors = {port.name: port.type for port in self.inputs}
        for node in self.nodes:
            _check_operands(node)
            missing = [name for name in node.inputs if name not in tensors]
            if missing:
                raise GraphError(f"{node.name}: takes {missing[0]!r}, which no earlier node or input makes")
            if node.name in tensors:
                raise GraphError(f"{node.name}: this name is used twice; rename one of the two nodes")
            shape = node.shape(*(tensors[name] for name in node.inputs))
            if not shape or min(shape) < 1:
                raise GraphError(f"{node.name}: its output has shape {list(shape)}; every size must be at least 1")
            tensors[node.name] = TensorType(shape, node.result)
        return tensors

    def check(self) -> None:
        """Raise GraphError unless names, shapes, types and reachable ranges all fit."""
        from .ranges import find_bounds  # ranges imports this module

        for kind, ports in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [port.name for port in ports]
            if len(set(names)) != len(names) or not names:
                raise GraphError(f"{self.name}: its {kind} are called {names}; name at least one, and each differently")
        for name in (self.name, *self.tensors, *(port.name for port in self.outputs)):
            if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
                raise GraphError(f"{name!r} is no identifier; rename it to letters, digits and underscores")
        for port in self.outputs:
            if port.tensor not in self.tensors:
                raise GraphError(f"output {port.name}: takes {port.tensor!r}, which no node or input makes")
        find_bounds(self)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def readers(self, tensor: str) -> tuple[str, ...]:
        """Names of the nodes and outputs that take ``tensor``, one entry per use."""
        nodes = [node.name for node in self.nodes for name in node.inputs if name == tensor]
        return (*nodes, *(port.name for port in self.outputs if port.tensor == tensor))
