"""The gate in front of a design: it holds frames back, whole ones, and tells when those inside have left."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


@dataclass(frozen=True)
class _Border:
    """Frames that were begun and ended at an input or output, modulo a number larger than how many can be inside;
    begins: one begins in this cycle. goes_on: one is under way in the next."""

    begun: Signal
    ended: Signal
    begins: Value
    goes_on: Value


class FrameGate(wiring.Component):
    """inputs, outputs: beats of a frame at each; most: frames that can be inside at once.

    Input i may hand over beats while bit i of ``open`` is set; ``offered`` says that it wants to, ``taken`` that it
    does; ``left`` says that output i hands one over. With ``hold`` no input begins a frame that no other one has begun,
    and ``is_drained`` comes when all that were begun have left. Without ``is_loaded`` nothing goes in.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], most: int):
        self._inputs, self._outputs = list(inputs), list(outputs)
        self._frames = range(2 << most.bit_length())
        super().__init__(
            {
                "hold": In(1),
                "is_loaded": In(1),
                "is_drained": Out(1),
                "open": Out(len(inputs)),
                "offered": In(len(inputs)),
                "taken": In(len(inputs)),
                "left": In(len(outputs)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        ins = [self._count(m, beats, self.taken[i], f"input_{i}") for i, beats in enumerate(self._inputs)]
        outs = [self._count(m, beats, self.left[i], f"output_{i}") for i, beats in enumerate(self._outputs)]
        are_closed = [~self._open(m, place, ins) for place in range(len(ins))]
        same = [border.begun == ins[0].begun for border in ins[1:]]
        same += [border.ended == ins[0].begun for border in outs]
        m.d.comb += self.is_drained.eq(reduce(and_, [*are_closed, *same], self.hold))
        return m

    def _count(self, m: Module, beats: int, moves: Value, name: str) -> _Border:
        begun, ended = Signal(self._frames, name=f"{name}_begun"), Signal(self._frames, name=f"{name}_ended")
        beat = Signal(range(max(2, beats)), name=f"{name}_beat")
        is_first, is_last = beat == 0, beat == beats - 1
        with m.If(moves):
            m.d.sync += [beat.eq(Mux(is_last, 0, beat + 1)), begun.eq(begun + is_first), ended.eq(ended + is_last)]
        return _Border(begun, ended, moves & is_first, Mux(moves, ~is_last, ~is_first))

    def _open(self, m: Module, place: int, ins: Sequence[_Border]) -> Signal:
        """Whether the input is open; it closes between two frames, but not on a beat that it already offers."""
        own, bits = ins[place], len(ins[place].begun)
        others = [border.begun for at, border in enumerate(ins) if at != place]
        # Modulo: an input that is behind has less than half of the numbers to go.
        behind = [(other - own.begun - own.begins)[:bits] for other in others]
        may_begin = reduce(or_, [count.any() & (count[-1] == 0) for count in behind], Const(0, 1))
        is_open = Signal(init=1, name=f"input_{place}_open")
        waits = self.open[place] & self.offered[place] & ~self.taken[place]
        m.d.comb += self.open[place].eq(is_open & self.is_loaded)
        m.d.sync += is_open.eq(~self.hold | may_begin | own.goes_on | waits)
        return is_open
