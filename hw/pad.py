# amaranth: UnusedElaboratable=no
"""Pad: constant pixels around an image."""

from collections.abc import Mapping, Sequence

import numpy as np
from amaranth.hdl import Const, Module, Mux

from ..ir.graph import Bounds, IntType, TensorType
from ..ir.pad import Pad
from ..ir.windows import Sides
from .arithmetic import delay
from .loops import Loop, LoopWalk, Nest, find_padding, shift
from .part import Part
from .plan import LayerPlan
from .stage import Stage
from .stream import Beats, lane_shape, split
from .timing import NONE, Reads, Schedule
from .unit import Unit


class PadStage(Stage):
    """Starts a beat in every slot: one of the image (height, width, channels), which it takes, or one of ``value``.

    The first slot of a frame waits for the image's first beat, even if it does not take it. Lanes beyond the last
    channel stay zero. y_type: holds ``value`` too.
    """

    latency = 2

    def __init__(self, image: TensorType, lanes: int, padding: Sides, value: int, y_type: IntType):
        height, width, channels = image.shape
        top, left, bottom, right = padding
        beats = -(-channels // lanes)
        loops = (Loop(height + top + bottom, 0, y=1), Loop(width + left + right, 0, x=1), Loop(beats, 0))
        self._nest = Nest(height * width * beats, loops, 0, corner=(-top, -left), size=(height, width))
        self._x_type, self._value, self._kept = image.dtype, value, channels - (beats - 1) * lanes
        taking = ~self._nest.padded
        slots = np.flatnonzero(taking)
        beat = np.full(len(taking), NONE)
        beat[slots] = np.arange(len(slots))
        beat[0] = 0
        # What is read is taken, but for the wait of the first slot.
        self.schedule = Schedule({"x": taking}, {"y": np.ones(len(taking), np.bool_)}, {"x": Reads(beat, slots)})
        super().__init__({"x": Beats(lanes, image.dtype)}, Beats(lanes, y_type))

    def elaborate(self, platform):
        m = Module()
        nest = self._nest
        m.submodules.walk = walk = LoopWalk([loop.count for loop in nest.loops], begin=1)
        goes, padded = (ranks[0] for ranks in find_padding(m, nest, walk, ahead=1))
        goes |= self.x.valid
        fire = self.issue(m, {}, starts=goes) & goes
        m.d.comb += [walk.step.eq(fire), self.x.ready.eq(m.submodules.credits.left & ~padded)]
        is_last = shift(m, walk.step, walk.last[2], [int(nest.loops[2].count == 1)], "last_group")[0]
        value = Const(self._value, lane_shape(self.y_type))
        lanes = [
            Mux(padded, value if lane < self._kept else Mux(is_last, 0, value), found)
            for lane, found in enumerate(split(self.x.payload, self.lanes_out, self._x_type))
        ]
        held = [delay(m, lane, 1, f"lane_{place}") for place, lane in enumerate(lanes)]
        self.emit(m, delay(m, fire, 1, "valid", reset=True), held)
        return m


def build_pad(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    node = unit.nodes[0]
    assert isinstance(node, Pad)
    stage = PadStage(unit.source, fold.pe, node.padding, node.value, unit.result.dtype)
    return [Part(unit.name, stage, (unit.source,), unit.result)]
