"""DepthToSpace: the channels of each pixel become a block of pixels."""

from dataclasses import dataclass

from ..errors import GraphError
from .graph import Bounds, Ints, Node, TensorType
from .windows import image_shape

ORDERS = ("DCR", "CRD")


@dataclass(frozen=True, eq=False)
class DepthToSpace(Node):
    """(height, width, channels) becomes (height * block, width * block, channels / block**2).

    The input's channel is (row * block + column) * outputs + output in the order "DCR", and
    (output * block + row) * block + column in "CRD", which is PyTorch's PixelShuffle.
    """

    block: int
    order: str = "DCR"

    def __post_init__(self) -> None:
        if self.block < 1:
            raise GraphError(f"{self.name}: its block is {self.block} pixels wide, need at least 1")
        if self.order not in ORDERS:
            raise GraphError(f"{self.name}: has the order {self.order!r}, need one of {', '.join(ORDERS)}")

    def shape(self, x: TensorType) -> tuple[int, ...]:
        height, width, channels = image_shape(self.name, x)
        outputs, rest = divmod(channels, self.block**2)
        if rest:
            raise GraphError(
                f"{self.name}: blocks of {self.block}x{self.block} pixels need a multiple of {self.block**2} channels, "
                f"but the layer before it produces {x}; change its out_channels"
            )
        return (height * self.block, width * self.block, outputs)

    def evaluate(self, x: Ints) -> Ints:
        frames, height, width, _ = x.shape
        y = self.split(x)  # (frames, height, width, row, column, output)
        return y.transpose(0, 1, 3, 2, 4, 5).reshape(frames, height * self.block, width * self.block, -1)

    def bounds(self, x: Bounds) -> Bounds:
        return Bounds(self.split(x.low).min(axis=(0, 1)), self.split(x.high).max(axis=(0, 1)))

    def split(self, x: Ints) -> Ints:
        """The last axis, the input's channels, as (row, column, output)."""
        outputs = x.shape[-1] // self.block**2
        if self.order == "DCR":
            return x.reshape(*x.shape[:-1], self.block, self.block, outputs)
        y = x.reshape(*x.shape[:-1], outputs, self.block, self.block)
        return y.transpose(*range(y.ndim - 3), -2, -1, -3)
