# amaranth: UnusedElaboratable=no
"""DepthToSpace: a line of pixels kept, and read once for each line of the pixels that come out of it."""

from collections.abc import Mapping, Sequence

from ..errors import PlanError
from ..ir.depth_to_space import DepthToSpace
from ..ir.graph import Bounds, TensorType
from .loops import Loop, Nest
from .part import Part
from .plan import LayerPlan
from .serial_window import WindowStage
from .unit import Unit


def build_depth_to_space(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """A slot for each beat of the result; the last reading of a line frees its pixels one by one.

    In the order "CRD" the channels of one pixel to be lie apart, so that they are read one by one.
    """
    node = unit.nodes[0]
    assert isinstance(node, DepthToSpace)
    height, width, channels = unit.source.shape
    block, outputs = node.block, unit.result.channels
    if node.order == "DCR":
        parts, beats = block**2, -(-outputs // fold.pe)  # of a pixel of the input, each a pixel to be
        step, part = 1, beats
    else:
        parts, beats = 1, outputs
        step, part = block**2, 1
        if fold.pe > 1:
            raise PlanError(f"{unit.name}: pe {fold.pe}, but the order CRD is read channel by channel; set pe to 1")
    pixel = block**2 * beats
    outer = Loop(height, width * pixel), Loop(block, block * part, again=True), Loop(width, pixel)
    nest = Nest(unit.source.pixels * pixel, (*outer, Loop(block, part), Loop(beats, step)), len(outer))
    stage = WindowStage(nest, fold.pe, unit.source.dtype)
    reads = TensorType((height, width * parts, channels // parts), unit.source.dtype)
    return [Part(unit.name, stage, (reads,), unit.result)]
