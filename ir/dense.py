"""Dense: a matrix of integer weights times the channels of each pixel."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType, integer_array


@dataclass(frozen=True, eq=False)
class Dense(Node):
    """y = W x, with ``weights`` (outputs, inputs): (..., inputs) becomes (..., outputs)."""

    weights: Ints

    def __post_init__(self) -> None:
        weights = integer_array(self.name, "weights", self.weights, ("outputs", "inputs"))
        object.__setattr__(self, "weights", weights)

    def shape(self, x: TensorType) -> tuple[int, ...]:
        outputs, inputs = self.weights.shape
        if x.channels != inputs:
            raise GraphError(
                f"{self.name}: weights take {inputs} inputs, but the layer before it produces {x}; "
                "flatten it or change the layer's in_features"
            )
        return (*x.shape[:-1], outputs)

    def evaluate(self, x: Ints) -> Ints:
        largest = max(int(x.max()), -int(x.min())) if x.size else 0
        # Sums of integers below 2**53 are exact in float64 in whatever order BLAS adds them.
        if self._largest_sum(largest) < 2**53:
            return (x.astype(np.float64) @ self.weights.T.astype(np.float64)).astype(np.int64)
        return x @ self.weights.T

    def bounds(self, x: Bounds) -> Bounds:
        largest = max(int(x.high.max()), -int(x.low.min()))
        if self._largest_sum(largest) >= 2**62:
            raise GraphError(f"{self.name}: its sums need more than 62 bits; lower weight_bits or activation_bits")
        rising, falling = np.maximum(self.weights, 0), np.minimum(self.weights, 0)
        return Bounds(rising @ x.low + falling @ x.high, rising @ x.high + falling @ x.low)

    def _largest_sum(self, largest_input: int) -> int:
        widest = max(int(self.weights.max()), -int(self.weights.min()))
        if widest < 2**31:  # then this sum cannot overflow
            return int(np.abs(self.weights).sum(axis=1).max()) * largest_input
        return widest * self.weights.shape[1] * largest_input
