"""Float32 functions at the border and between accumulator and quantizer, written with the model's own operators."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Step:
    """One operator of the model in float32: ONNX (or QONNX) name, constant operands, attributes.

    ``position`` is the operand that the data takes (1 for ``Sub(constant, x)``).
    """

    operator: str
    constants: tuple[NDArray, ...] = ()
    attributes: dict[str, int | float | str] = field(default_factory=dict)
    position: int = 0


@dataclass(frozen=True, eq=False)
class Chain:
    """Steps applied in order to float32 data of shape (frames, *shape), channels last."""

    steps: tuple[Step, ...] = ()

    def __call__(self, values: NDArray) -> Floats:
        raise NotImplementedError
