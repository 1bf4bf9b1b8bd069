"""Concat: the channels of several tensors, one after the other."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """Two or more inputs of the same pixels: first all channels of the first, then those of the next."""

    operands: ClassVar[int | None] = None

    def shape(self, *inputs: TensorType) -> tuple[int, ...]:
        pixels = inputs[0].shape[:-1]
        for name, x in zip(self.inputs, inputs):
            if x.shape[:-1] != pixels:
                raise GraphError(
                    f"{self.name}: joins the channels of {self.inputs[0]}, {inputs[0]}, and {name}, {x}; "
                    "bring both to one height and width first"
                )
        return (*pixels, sum(x.channels for x in inputs))

    def evaluate(self, *inputs: Ints) -> Ints:
        return np.concatenate(inputs, axis=-1)

    def bounds(self, *inputs: Bounds) -> Bounds:
        return Bounds(np.concatenate([x.low for x in inputs]), np.concatenate([x.high for x in inputs]))
