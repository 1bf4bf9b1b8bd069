"""Add: two tensors, each times a small integer, summed value by value."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType
from .windows import checked_integers


@dataclass(frozen=True, eq=False)
class Add(Node):
    """y = coefficients[0] * x_0 + coefficients[1] * x_1, of two inputs of one shape."""

    operands: ClassVar[int | None] = 2

    coefficients: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        found = checked_integers(self.name, "coefficients", self.coefficients, ("first", "second"), -(1 << 62))
        object.__setattr__(self, "coefficients", found)

    def shape(self, *inputs: TensorType) -> tuple[int, ...]:
        first, second = inputs
        if first.shape != second.shape:
            raise GraphError(
                f"{self.name}: adds {self.inputs[0]}, {first}, and {self.inputs[1]}, {second}; "
                "bring both to one shape first"
            )
        return first.shape

    def evaluate(self, *inputs: Ints) -> Ints:
        return self.coefficients[0] * inputs[0] + self.coefficients[1] * inputs[1]

    def bounds(self, *inputs: Bounds) -> Bounds:
        """As if the inputs were independent, which branches of one tensor are not."""
        largest = [max(int(x.high.max()), -int(x.low.min())) for x in inputs]
        if sum(abs(factor) * value for factor, value in zip(self.coefficients, largest)) >= 2**62:
            raise GraphError(f"{self.name}: its sums need more than 62 bits; lower activation_bits")
        ends = [(factor * x.low, factor * x.high) for factor, x in zip(self.coefficients, inputs)]
        low, high = (sum(function(*pair) for pair in ends) for function in (np.minimum, np.maximum))
        return Bounds(np.asarray(low), np.asarray(high))
