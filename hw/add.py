# amaranth: UnusedElaboratable=no
"""Add: two streams in lockstep, each lane times a small constant, summed, and what its unit makes of the sums."""

from collections.abc import Mapping, Sequence

import numpy as np
from amaranth.hdl import Const, Module, Signal, Value

from ..ir.add import Add
from ..ir.graph import Bounds, IntType, TensorType
from .arithmetic import Term, add_up, as_value, delay
from .finish import Finish
from .part import Part
from .plan import LayerPlan
from .stage import Stage
from .stream import Beats, lane_shape, split
from .timing import Schedule
from .unit import Unit

PORTS = ("x_0", "x_1")


class AddStage(Stage):
    """Takes a beat from each input and starts one in every slot.

    reach: of the inputs; finish: what becomes of the sums; source: the type of either input, but for its integers.
    """

    def __init__(
        self,
        coefficients: Sequence[int],
        source: TensorType,
        dtypes: Sequence[IntType],
        reach: Sequence[Bounds],
        finish: Finish,
    ):
        self._coefficients, self._finish = coefficients, finish
        # Padding lanes are zero.
        self._ranges = [(min(0, int(found.low.min())), max(0, int(found.high.max()))) for found in reach]
        _, adding = self._sum(Module(), [Const(0, lane_shape(dtype)) for dtype in dtypes], "sum")
        self._waiting = max(1, finish.lead - adding)
        self._summed = self._waiting + adding
        # One cycle more: the queue's own.
        self.latency = self._summed + finish.cycles + 1
        every = np.ones(source.pixels * -(-source.channels // finish.lanes), bool)
        self.schedule = Schedule(takes=dict.fromkeys(PORTS, every), starts={"y": every})
        inputs = {port: Beats(finish.lanes, dtype) for port, dtype in zip(PORTS, dtypes)}
        super().__init__(inputs, Beats(finish.lanes, finish.y_type))

    def elaborate(self, platform):
        m = Module()
        fire = self.issue(m, {port: Const(1, 1) for port in PORTS}, starts=1)
        done: list[Value] = [fire]
        for cycle in range(self.latency - 1):
            done.append(delay(m, done[-1], 1, f"done_{cycle}", reset=True))
        beats = [
            split(delay(m, getattr(self, port).payload, self._waiting, port), *self.inputs[port]) for port in PORTS
        ]
        totals = []
        for lane, values in enumerate(zip(*beats)):
            total = Signal(lane_shape(self._finish.x_type), name=f"total_{lane}")
            m.d.comb += total.eq(as_value(self._sum(m, values, f"sum_{lane}")[0]))
            totals.append(total)
        self.emit(m, done[-1], self._finish.build(m, totals, done[self._summed - self._finish.lead :]))
        return m

    def _sum(self, m: Module, values: Sequence[Value], name: str) -> tuple[Term, int]:
        """The sum of a lane, and its cycles."""
        terms = [
            Term(value, *reach, shift=place, minus=digit < 0)
            for value, reach, factor in zip(values, self._ranges, self._coefficients)
            for place, digit in signed_digits(factor)
        ]
        return add_up(m, terms or [Term(Const(0, 1), 0, 0)], name)


def signed_digits(number: int) -> list[tuple[int, int]]:
    """The places of ``number`` in the fewest digits of 1 and -1: 7 is 8 - 1."""
    digits, place = [], 0
    while number:
        if number % 2:
            digit = 2 - number % 4
            digits.append((place, digit))
            number -= digit
        number, place = number // 2, place + 1
    return digits


def build_add(unit: Unit, fold: LayerPlan, bounds: Mapping[str, Bounds]) -> Sequence[Part]:
    node = unit.nodes[0]
    assert isinstance(node, Add)
    finish = Finish(unit.function, fold.pe, bounds[node.name], unit.result.dtype)
    dtypes, reach = [source.dtype for source in unit.sources], [bounds[name] for name in node.inputs]
    stage = AddStage(node.coefficients, unit.source, dtypes, reach, finish)
    return [Part(unit.name, stage, unit.sources, unit.result)]
