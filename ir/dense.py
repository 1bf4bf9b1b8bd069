"""Dense: a matrix of integer weights times the channels of each pixel."""

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType, integer_array
from .products import exact_dtype, largest_magnitude, largest_sum, reach_of_products


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
        dtype = exact_dtype(largest_sum(self.weights, largest_magnitude(x)))
        return (x.astype(dtype) @ self.weights.T.astype(dtype)).astype(np.int64)

    def bounds(self, x: Bounds) -> Bounds:
        largest = max(int(x.high.max()), -int(x.low.min()))
        if largest_sum(self.weights, largest) >= 2**62:
            raise GraphError(f"{self.name}: its sums need more than 62 bits; lower weight_bits or activation_bits")
        return reach_of_products(self.weights, x.low, x.high)
