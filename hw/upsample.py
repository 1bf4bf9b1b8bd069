# amaranth: UnusedElaboratable=no
"""Upsample2d: a line of pixels kept, and read as often as it takes."""

from collections.abc import Mapping, Sequence

from ..ir.graph import Bounds
from ..ir.upsample import Upsample2d
from .loops import Loop, Nest
from .part import Part
from .plan import LayerPlan
from .serial_window import WindowStage
from .unit import Unit


def build_upsample(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """A slot for each beat of the result; the last reading of a line frees its pixels one by one."""
    node, source = unit.nodes[0], unit.source
    assert isinstance(node, Upsample2d)
    height, width, channels = source.shape
    pixel = -(-channels // fold.pe)
    outer = Loop(height, width * pixel), Loop(node.factor[0], 0, again=True), Loop(width, pixel)
    inner = Loop(node.factor[1], 0), Loop(pixel, 1)
    nest = Nest(source.pixels * pixel, (*outer, *inner), len(outer))
    return [Part(unit.name, WindowStage(nest, fold.pe, source.dtype), (source,), unit.result)]
