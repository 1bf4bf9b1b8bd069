# amaranth: UnusedElaboratable=no
"""Collects lanes and hands them out again: other lanes, other pixels, the lanes of several streams, or some of them."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ..ir.graph import TensorType
from .arithmetic import delay
from .moves import (
    HELD,
    ZERO,
    Beat,
    Source,
    conversion,
    find_blocks,
    number,
    place_lanes,
    plan_moves,
    shift_lanes,
    shortest_period,
    use_padding,
)
from .stage import Stage
from .steps import Steps
from .stream import Beats, split
from .timing import Schedule


class ConvertStage(Stage):
    """Takes ``beats`` in their order from the ports of ``inputs``, drops the lanes that are not kept, and makes beats
    with so many lanes in use as ``needed`` says, ``repeats`` times in a frame.

    spare: zeros above the channels of the last beat. Lanes beyond those in use are zero.
    """

    latency = 2

    def __init__(
        self,
        inputs: Mapping[str, Beats],
        y: Beats,
        beats: Sequence[Beat],
        needed: Sequence[int],
        *,
        repeats: int = 1,
        spare: int = 0,
    ):
        beats, needed = use_padding(beats, needed, spare, y.lanes)
        moves = plan_moves(beats, needed)
        actions = shift_lanes(moves, needed, y.lanes) or place_lanes(moves, y.lanes)
        kinds, order = number(actions)
        self.schedule = Schedule(
            takes={port: np.tile([port in action.takes for action in actions], repeats) for port in inputs},
            starts={"y": np.tile([action.starts for action in actions], repeats)},
        )
        table, self._blocks = find_blocks(order[: shortest_period(order)])
        self._table = [kinds[kind] for kind in table]
        super().__init__(inputs, y)

    def elaborate(self, platform):
        m = Module()
        m.submodules.steps = steps = Steps(self._blocks)
        slots = list(enumerate(self._table))
        takes = {port: steps.flag(slot for slot, action in slots if port in action.takes) for port in self.inputs}
        starts = steps.flag(slot for slot, action in slots if action.starts)
        fire = self.issue(m, takes, starts)
        m.d.comb += steps.step.eq(fire)
        lanes = self._hold(m, steps, fire)[: self.lanes_out]
        for lane, value in enumerate(lanes):
            if hidden := [slot for slot, action in slots if action.starts and action.shown <= lane]:
                lanes[lane] = Mux(delay(m, steps.flag(hidden), 1, f"hidden_{lane}"), 0, value)
        self.emit(m, delay(m, fire & starts, 1, "started", reset=True), lanes)
        return m

    def _hold(self, m: Module, steps: Steps, fire: Signal) -> list[Value]:
        """The lanes held, each loaded with what each slot makes of it."""
        bits, count = self.y_type.bits, len(self._table[0].lanes)
        choices = [self._choices(lane) for lane in range(count)]
        held: list[Value] = [
            Signal(bits, name=f"lane_{lane}", reset_less=True) if set(sources) - {ZERO} else Const(0, bits)
            for lane, sources in enumerate(choices)
        ]
        for lane, sources in enumerate(choices):
            if isinstance(held[lane], Const):
                continue
            keeps = sources.pop((HELD, lane), [])
            values = [(self._value(source, held), steps.flag(slots)) for source, slots in sources.items()]
            with m.If(fire & ~steps.flag(keeps)):
                m.d.sync += held[lane].eq(_select(values))
        return held

    def _choices(self, lane: int) -> dict[Source, list[int]]:
        """The slots of the table by what they make of a lane."""
        found: dict[Source, list[int]] = {}
        for slot, action in enumerate(self._table):
            source = action.lanes[lane]
            if source is not None:
                found.setdefault(source, []).append(slot)
        return found

    def _value(self, source: Source, held: Sequence[Value]) -> Value:
        port, lane = source
        if source == ZERO:
            return Const(0, self.y_type.bits)
        if port == HELD:
            return held[lane]
        lanes, dtype = self.inputs[port]
        value = split(getattr(self, port).payload, lanes, dtype)[lane]
        beyond = value[-1] if dtype.signed else Const(0, 1)
        return Value.cast(Cat(value, beyond.replicate(max(0, self.y_type.bits - dtype.bits))))[: self.y_type.bits]


def convert_lanes(made: TensorType, lanes_in: int, read: TensorType, lanes_out: int) -> ConvertStage:
    """From the beats of a tensor as it is made to those as which it is read."""
    beats, needed, repeats = conversion(made, lanes_in, read, lanes_out)
    x, y = Beats(lanes_in, made.dtype), Beats(lanes_out, read.dtype)
    return ConvertStage({"x": x}, y, beats, needed, repeats=repeats, spare=-made.channels % lanes_in)


def _select(values: Sequence[tuple[Value, Value]]) -> Value:
    """The value whose flag is set, if one is."""
    if len(values) == 1:
        return values[0][0]
    if len(values) == 2:
        return Mux(values[0][1], values[0][0], values[1][0])
    return reduce(or_, (flag.replicate(len(value)) & value for value, flag in values))
