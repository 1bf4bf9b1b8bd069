# amaranth: UnusedElaboratable=no
"""Concat: the beats of several streams, pixel by pixel, as those of one."""

from collections.abc import Mapping, Sequence

from ..ir.graph import Bounds
from .convert import ConvertStage
from .moves import beats_of_pixel, lanes_in_use
from .part import Part
from .plan import LayerPlan
from .stream import Beats
from .unit import Unit


def build_concat(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    """Inputs come in the lanes in which they are made."""
    lanes = unit.lanes or (fold.pe,) * len(unit.sources)
    inputs, beats = {}, []
    for place, (source, count) in enumerate(zip(unit.sources, lanes)):
        inputs[f"x_{place}"] = Beats(count, source.dtype)
        beats += beats_of_pixel(f"x_{place}", source.channels, count)
    spare = -unit.sources[-1].channels % lanes[-1]
    needed = lanes_in_use(unit.result.channels, fold.pe)
    y = Beats(fold.pe, unit.result.dtype)
    stage = ConvertStage(inputs, y, beats, needed, repeats=unit.result.pixels, spare=spare)
    return [Part(unit.name, stage, unit.sources, unit.result)]
