"""One node of the model with its operands, as the importer's handlers get it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import GraphError
from .chain import Step
from .import_builder import Builder
from .import_constants import Constant, Quantized, integers_of, plain
from .import_steps import StepRequest
from .import_values import Value
from .onnx_model import attributes_of, describe


@dataclass(frozen=True, eq=False)
class Call:
    """``operands`` are Values, constants, or None where an optional one is absent.

    batch: the size of the batch axis in the file. sources: of which initializer a constant was made.
    """

    node: onnx.NodeProto
    operands: list[Value | Constant | None]
    builder: Builder
    opset: int
    batch: int
    sources: Mapping[str, str]

    @property
    def owner(self) -> str:
        """How errors name the node."""
        return describe(self.node)

    @property
    def operator(self) -> str:
        return self.node.op_type

    @property
    def output(self) -> str:
        return self.node.output[0]

    @cached_property
    def attributes(self) -> dict[str, Any]:
        return attributes_of(self.node)

    @property
    def streams(self) -> list[Value]:
        """The operands that are data."""
        return [operand for operand in self.operands if isinstance(operand, Value)]

    @property
    def data(self) -> tuple[int, Value]:
        """The place and value of the one operand that is no constant."""
        places = [(i, operand) for i, operand in enumerate(self.operands) if isinstance(operand, Value)]
        if len(places) > 1:
            raise GraphError(
                f"{self.owner}: joins {len(places)} streams of data; only Add, Sub and Concat can, and others if both "
                "are functions of one tensor"
            )
        return places[0]

    @property
    def value(self) -> Value:
        """The first operand, all others being constants."""
        position, value = self.data
        if position:
            raise GraphError(f"{self.owner}: takes data as operand {position}; only its first operand can be data")
        return value

    def constant(self, index: int) -> NDArray | None:
        operand = self.operands[index] if index < len(self.operands) else None
        assert not isinstance(operand, Value)
        return None if operand is None else plain(operand)

    def integers(self, index: int) -> list[int] | None:
        """Operand ``index``, a list of integers; None where it is absent."""
        found = self.constant(index)
        return None if found is None else [int(value) for value in found.reshape(-1)]

    def weights(self, axes: int) -> Quantized:
        """Operand 1, which has as many axes, as integers."""
        name, operand = self.node.input[1], self.operands[1]
        assert operand is not None and not isinstance(operand, Value)
        if 0 in plain(operand).shape:
            raise GraphError(
                f"{self.owner}: weights {name} have shape {list(plain(operand).shape)}; every size must be at least 1"
            )
        weights = integers_of(self.owner, name, operand)
        if weights.values.ndim != axes:
            raise GraphError(f"{self.owner}: weights {name} have {weights.values.ndim} axes, need {axes}")
        return weights

    def layer_name(self, kind: str) -> str:
        """That of the module it came from, else the kind and a number."""
        source = self.sources.get(self.node.input[1], self.node.input[1])
        return self.builder.layer(source, self.node.name, kind)

    def add_bias(self, value: Value, bias: NDArray | None) -> Value:
        """The value plus a constant that broadcasts to (1, *its shape), as the layer itself adds it up."""
        if bias is None:
            return value
        request = StepRequest(self.node, [None, None, bias.astype(np.float32)], 0, value.shape, self.opset)
        return value.then(Step("Add", (request.constant(2),)), self.owner, self.output)
