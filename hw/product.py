"""A matrix-vector product as every engine takes it: what to compute, whatever the layer it comes from."""

from dataclasses import dataclass

from ..ir.graph import Bounds, Ints, IntType, Node


@dataclass(frozen=True, eq=False)
class Product:
    """``pixels`` matrix-vector products in a frame.

    weights: (outputs, positions, channels): an input is so many pixels of so many channels. x_type, reach: of the
    inputs; sums: what each output can be; result: its type. blocks: the outputs are so many equal blocks, each with an
    input of its own. is_repeated: the stream brings the input again for each group of ``pe`` outputs, nothing is kept.
    is_lanewise: each output has inputs of its own, so that a beat holds ``simd`` for each of ``pe`` outputs.
    function: what turns sums into codes on their way out. is_loaded: weights and function can be replaced
    by others, for which ``sums`` holds, too.
    """

    weights: Ints
    x_type: IntType
    reach: Bounds
    sums: Bounds
    result: IntType
    pixels: int = 1
    blocks: int = 1
    is_repeated: bool = False
    is_lanewise: bool = False
    function: Node | None = None
    is_loaded: bool = False
