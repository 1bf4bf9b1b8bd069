"""Changes the number of lanes, or the division into pixels, of a stream: any count to any other."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal

from ..ir.graph import IntType, TensorType
from .arithmetic import delay
from .counters import Walk
from .function import table_rom
from .stage import Stage
from .stream import Beats
from .timing import Schedule


@dataclass(frozen=True)
class Move:
    """One slot: lanes held before it, whether it takes a beat, whether it starts one."""

    held: int
    takes: bool
    starts: bool


def plan_moves(source: TensorType, lanes_in: int, target: TensorType, lanes_out: int) -> list[Move]:
    """The slots of one frame: a beat is taken only when the next output beat needs it."""
    moves, held, arriving = [], 0, iter(_lanes_in_use(source, lanes_in))
    for needed in _lanes_in_use(target, lanes_out):
        if held >= needed:
            moves.append(Move(held, False, True))
        while held < needed:
            before, held = held, held + next(arriving)
            moves.append(Move(before, True, held >= needed))
        held -= needed
    return moves


def _lanes_in_use(tensor: TensorType, lanes: int) -> list[int]:
    full, rest = divmod(tensor.channels, lanes)
    return ([lanes] * full + [rest] * (rest > 0)) * tensor.pixels


def shortest_period(moves: list[Move]) -> int:
    """Slots after which the moves repeat."""
    count = len(moves)
    return next(p for p in range(1, count + 1) if count % p == 0 and moves == moves[:p] * (count // p))


class ConvertStage(Stage):
    """Collects lanes and hands them out again; lanes beyond the last channel of a pixel are zero on both sides."""

    latency = 2

    def __init__(self, source: TensorType, lanes_in: int, target: TensorType, lanes_out: int):
        moves = plan_moves(source, lanes_in, target, lanes_out)
        self.schedule = Schedule(
            takes={"x": np.array([move.takes for move in moves])},
            starts={"y": np.array([move.starts for move in moves])},
        )
        self._lanes_in, self._moves = lanes_in, moves[: shortest_period(moves)]
        super().__init__({"x": Beats(lanes_in, source.dtype)}, Beats(lanes_out, source.dtype))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = Walk(len(self._moves))
        takes, starts = self._flag(m, walk, "takes"), self._flag(m, walk, "starts")
        fire = self.issue(m, takes, starts)
        m.d.comb += walk.step.eq(fire)

        fired = delay(m, fire, 1, "fired", reset=True)
        started = delay(m, fire & starts, 1, "started", reset=True)
        fresh = delay(m, Mux(takes, self.x.payload, 0), 1, "fresh")
        bits, kept = self.y_type.bits, max(1, self._most_kept())
        held = Signal(kept * bits)
        together = Cat(held, Signal((self._lanes_in + self.lanes_out) * bits, name="zeros")) | self._placed(
            m, walk, fresh
        )
        with m.If(fired):
            m.d.sync += held.eq(Mux(started, together[self.lanes_out * bits :], together))
        beat = together[: self.lanes_out * bits]
        self.emit(m, started, [beat.word_select(lane, bits) for lane in range(self.lanes_out)])
        return m

    def _flag(self, m: Module, walk: Walk, name: str):
        """A property of the present slot, looked up one slot ahead so that it comes from a register."""
        flags = [int(getattr(move, name)) for move in self._moves]
        if len(set(flags)) == 1:
            return flags[0]
        flag = Signal(name=f"{name}_now", init=flags[0])
        following = Signal(name=f"{name}_next")
        with m.Switch(walk.beat):
            for slot in range(len(flags) - 1):
                with m.Case(slot):
                    m.d.comb += following.eq(flags[slot + 1])
            with m.Default():  # the last slot, and numbers that never come
                m.d.comb += following.eq(flags[0])
        with m.If(walk.step):
            m.d.sync += flag.eq(following)
        return flag

    def _placed(self, m: Module, walk: Walk, fresh):
        """``fresh`` above the lanes that are held already."""
        places = sorted({move.held for move in self._moves if move.takes})
        if places == [0]:
            return fresh
        index = np.array([[places.index(move.held) if move.takes else 0] for move in self._moves])
        m.submodules.places = rom = table_rom(index, IntType(max(1, (len(places) - 1).bit_length())), "lut")
        m.d.comb += rom.address.eq(walk.beat)
        shifted = [Mux(rom.word == number, fresh << held * self.y_type.bits, 0) for number, held in enumerate(places)]
        total = shifted[0]
        for part in shifted[1:]:
            total |= part
        return total

    def _most_kept(self) -> int:
        """Lanes held between slots, at most."""
        return max(move.held for move in self._moves)
